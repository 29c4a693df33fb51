import type { EndpointsAnswer, EndpointView } from '../core/channel.ts'
import { type Ask, askAll, missingNote } from './ask.ts'
import { eitherAnswer, type Page } from './page.ts'
import { type Align, columns, count, duration, plural } from './text.ts'

type ServiceView = EndpointsAnswer['services'][number]

export function endpointsPage(ask: Ask): Page {
  return {
    path: '/endpoints',
    methods: ['GET'],
    shows: 'every endpoint: weight, load, health, latency; why it is ejected and for how long',
    parameters: '?service=orders',
    async answer(request) {
      const asked = await askAll<EndpointsAnswer>(ask, { what: 'endpoints' }, request)
      if ('status' in asked) return asked
      const wanted = request.query.get('service')
      const services = mergeEndpoints(asked.answers.map(({ answer }) => answer)).filter(({ name }) => wanted === null || name === wanted)
      return eitherAnswer(request, 'endpoints', { services, ...(asked.silent.length > 0 && { silentThreads: asked.silent }) }, () => {
        const known =
          services.length > 0 ? services.map(serviceText).join('\n') : wanted === null ? 'no services are configured\n' : `no service is called ${wanted}\n`
        return known + missingNote(asked.silent)
      })
    },
  }
}

/** What the data threads say of the same endpoints, as one: sums, and the worst of each state. */
export function mergeEndpoints(answers: readonly EndpointsAnswer[]): ServiceView[] {
  const services = new Map<string, { service: ServiceView; endpoints: Map<string, EndpointView> }>()
  for (const service of answers.flatMap(answer => answer.services)) {
    const merged = services.get(service.name)
    if (merged === undefined) {
      services.set(service.name, { service, endpoints: new Map(service.endpoints.map(endpoint => [endpoint.address, endpoint])) })
      continue
    }
    merged.service = { ...merged.service, active: merged.service.active + service.active }
    for (const endpoint of service.endpoints) {
      const before = merged.endpoints.get(endpoint.address)
      merged.endpoints.set(endpoint.address, before === undefined ? endpoint : mergeEndpoint(before, endpoint))
    }
  }
  return [...services.values()].map(({ service, endpoints }) => ({ ...service, endpoints: [...endpoints.values()] }))
}

const severity = { admitting: 0, probing: 1, ejected: 2 } as const

function mergeEndpoint(a: EndpointView, b: EndpointView): EndpointView {
  const worse = severity[b.state] > severity[a.state] || (b.state === a.state && b.ejectedForMs > a.ejectedForMs) ? b : a
  const requests = a.requests + b.requests
  return {
    ...a,
    state: worse.state,
    reason: worse.reason,
    ejectedForMs: worse.ejectedForMs,
    active: a.active + b.active,
    connections: a.connections + b.connections,
    idle: a.idle + b.idle,
    pending: a.pending + b.pending,
    requests,
    failures: a.failures + b.failures,
    // Close to the median of all when the threads see the same endpoint; the tail is that of the slower one.
    p50Ms: requests === 0 ? 0 : (a.p50Ms * a.requests + b.p50Ms * b.requests) / requests,
    p99Ms: Math.max(a.p99Ms, b.p99Ms),
  }
}

const header = ['ENDPOINT', 'WEIGHT', 'ZONE', 'HEALTH', 'ACTIVE', 'CONNS', 'IDLE', 'PENDING', 'REQUESTS', 'FAILED', 'P50', 'P99', 'STATE', 'METADATA']
const align: Align[] = ['left', 'right', 'left', 'left', 'right', 'right', 'right', 'right', 'right', 'right', 'right', 'right', 'left', 'left']

function serviceText({ name, policy, active, endpoints }: ServiceView): string {
  const usable = endpoints.filter(isUsable).length
  const title = `${name}  ${policy}, ${usable} of ${plural(endpoints.length, 'endpoint')} usable, ${count(active)} active`
  if (endpoints.length === 0) return `${title}\n  none: requests are answered with 503 UH\n`
  const total = endpoints.reduce((sum, endpoint) => sum + endpoint.requests, 0)
  return `${title}\n${columns([header, ...endpoints.map(endpoint => endpointRow(endpoint, total))], align, '  ')}\n`
}

function isUsable({ health, state }: EndpointView): boolean {
  return health === 'passing' && state !== 'ejected'
}

function endpointRow(endpoint: EndpointView, total: number): string[] {
  const { address, weight, zone, health, state, reason, ejectedForMs } = endpoint
  const share = total === 0 ? '' : ` (${Math.round((100 * endpoint.requests) / total)}%)`
  const measured = (milliseconds: number) => (endpoint.requests === 0 ? '-' : duration(milliseconds))
  return [
    address,
    String(weight),
    zone || '-',
    health,
    count(endpoint.active),
    count(endpoint.connections),
    count(endpoint.idle),
    count(endpoint.pending),
    `${count(endpoint.requests)}${share}`,
    count(endpoint.failures),
    measured(endpoint.p50Ms),
    measured(endpoint.p99Ms),
    state === 'ejected' ? `ejected for ${duration(ejectedForMs)} more: ${reason}` : state === 'probing' ? `probing (was ejected: ${reason})` : state,
    Object.entries(endpoint.metadata)
      .map(([key, value]) => `${key}=${value}`)
      .join(' '),
  ]
}
