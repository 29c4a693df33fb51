import type { Ask } from '../../proxy/admin/ask.ts'
import type { Format, Page, PageAnswer } from '../../proxy/admin/page-types.ts'
import type {
  Answer,
  AttemptView,
  EndpointsAnswer,
  EndpointView,
  FlightView,
  Question,
} from '../../proxy/core/channel.ts'

/** Pages of the admin port, asked directly, and data threads that answer them. */
export async function ask(
  page: Page,
  search = '',
  format: Format | null = 'text',
  method: 'GET' | 'POST' = 'GET',
  body = '',
): Promise<PageAnswer & { body: string }> {
  const answer = await page.answer({ method, query: new URLSearchParams(search), format, body, accept: '' })
  if (typeof answer.body !== 'string') throw new Error('the page is streamed')
  return { ...answer, body: answer.body }
}

export const json = async (page: Page, search = '') =>
  JSON.parse((await ask(page, search, 'json')).body) as Record<string, unknown>

/** Data threads that answer so; null: not in time. */
export function threads(answers: readonly (Answer | null)[], asked: Question[] = []): Ask {
  return question => {
    asked.push(question)
    return Promise.resolve(answers.map((answer, thread) => ({ thread, answer })))
  }
}

export function endpoint(address: string, over: Partial<EndpointView> = {}): EndpointView {
  const load = {
    active: 0,
    protocol: 'HTTP/1.1',
    connections: 1,
    idle: 1,
    pending: 0,
    requests: 10,
    failures: 0,
    p50Ms: 1,
    p99Ms: 2,
  }
  const place = { weight: 1, effectiveWeight: over.weight ?? 1, priority: 0, zone: '', metadata: {} }
  return {
    address,
    ...place,
    health: 'passing',
    healthReason: '',
    warming: false,
    state: 'admitting',
    reason: '',
    ejectedForMs: 0,
    ...load,
    ...over,
  }
}

export const service = (
  name: string,
  endpoints: readonly EndpointView[],
  notes: readonly string[] = [],
): EndpointsAnswer => ({
  services: [{ name, policy: 'least_request', active: 1, limits: [], notes, endpoints }],
})

export function attemptView(over: Partial<AttemptView> = {}): AttemptView {
  const outcome = { status: 200, grpcStatus: null, failure: '', flag: '-', detail: '', retry: '' }
  return {
    endpoint: '127.0.0.1:9001',
    policy: 'least_request',
    way: [],
    compared: null,
    hop: false,
    hedge: false,
    reusedConnection: true,
    startedAfterMs: 0,
    headAfterMs: 3.2,
    tookMs: 12.34,
    ...outcome,
    ...over,
  }
}

export function flightView(over: Partial<FlightView> = {}): FlightView {
  return {
    at: '2026-11-21T07:08:09.045Z',
    protocol: 'http/1.1',
    requestId: 'id-1',
    traceId: '',
    recorded: '',
    listener: 'outbound 127.0.0.1:15001',
    direction: 'outbound',
    peer: '127.0.0.1',
    method: 'GET',
    authority: 'orders',
    path: '/api/1',
    status: 200,
    grpcStatus: null,
    grpcMessage: '',
    deadlineMs: null,
    flag: '-',
    failure: '',
    reason: '',
    detail: '',
    remedy: '',
    by: 'host',
    service: 'orders',
    route: '/api/*',
    draw: null,
    destination: 'orders',
    notes: [],
    durationMs: 12.5,
    bytesIn: 0,
    bytesOut: 12,
    attempts: [attemptView()],
    ...over,
  }
}
