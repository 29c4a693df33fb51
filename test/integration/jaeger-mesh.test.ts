import { createServer, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type JaegerSpan, type JaegerTrace, tagOf } from '../../examples/support/jaeger.ts'
import { type RunningAgent, startAgent } from '../agent/traces/support/agent.ts'
import { type Application, applicationOf } from '../agent/traces/support/application.ts'
import { type Jaeger, startJaeger } from './support/jaeger.ts'
import { get } from './support/proxy.ts'
import { startTiers, type Tier } from './support/tiers.ts'
import { until } from './support/until.ts'

let jaeger: Jaeger
let agent: RunningAgent
let tiers: readonly Tier[]
/** The applications of the caller and of gamma have OpenTelemetry's own SDK; those of the others have nothing. */
let caller: Application
let gamma: Application

beforeAll(async () => {
  jaeger = await startJaeger()
  const traces = `export: "grpc://127.0.0.1:${jaeger.ports.grpc}", grpc: 127.0.0.1:0, http: 127.0.0.1:0`
  agent = await startAgent({ traces })
  caller = applicationOf('caller', 'grpc', agent.grpc)
  gamma = applicationOf('gamma-app', 'http', agent.http)
  tiers = await startTiers(agent.socket, ({ outbound }) =>
    createServer((asked, answer) => {
      const own = gamma.startSpan('gamma at work', String(asked.headers.traceparent))
      const headers = { host: 'delta', traceparent: own.traceparent }
      request({ host: '127.0.0.1', port: outbound, path: asked.url, headers }, response => {
        own.end()
        answer.statusCode = response.statusCode!
        response.pipe(answer)
      }).end()
    }),
  )
  // The data thread of a sidecar makes spans only from when it knows of the agent.
  const sent: string[] = []
  await until('that all sidecars make spans', async () => {
    sent.push(await send('/ok'))
    return (await Promise.all(sent.map(wholeTrace))).some(trace => trace !== null)
  })
})

afterAll(async () => {
  await caller.stop()
  await gamma.stop()
  await jaeger.kill()
})

/** Each sidecar sends its spans by itself: until all parents are there, and the last service, some are on their way. */
function isWhole(trace: JaegerTrace): boolean {
  const roots = trace.spans.filter(span => parentOf(trace, span) === null)
  return roots.length === 1 && trace.spans.some(span => serviceOf(trace, span) === 'delta')
}

/** One request of the caller; the id of its trace. */
async function send(path: string): Promise<string> {
  const root = caller.startSpan(`caller ${path}`)
  await get(tiers[0]!.inbound, path, { headers: { traceparent: root.traceparent } })
  root.end()
  await caller.flush()
  await gamma.flush()
  return root.traceparent.split('-')[1]!
}

async function wholeTrace(id: string): Promise<JaegerTrace | null> {
  const found = (await jaeger.traces('caller', 1_000)).find(({ traceID }) => traceID === id)
  return found !== undefined && isWhole(found) ? found : null
}

/** The trace of one request, once all of its spans are there. */
async function traceOf(path: string): Promise<JaegerTrace> {
  const id = await send(path)
  return await until('a whole trace in Jaeger', () => wholeTrace(id))
}

const kindOf = (span: JaegerSpan) => tagOf(span.tags, 'span.kind')
const serviceOf = (trace: JaegerTrace, span: JaegerSpan) => trace.processes[span.processID]!.serviceName

function parentOf(trace: JaegerTrace, span: JaegerSpan): JaegerSpan | null {
  return trace.spans.find(({ spanID }) => span.references.some(each => each.spanID === spanID)) ?? null
}

/** From the root to a span: `alpha server`, `alpha internal` ... */
function wayTo(trace: JaegerTrace, span: JaegerSpan | null): string[] {
  if (span === null) return []
  return [...wayTo(trace, parentOf(trace, span)), `${serviceOf(trace, span)} ${kindOf(span)}`]
}

const attemptsOf = (trace: JaegerTrace, service: string) =>
  trace.spans
    .filter(span => serviceOf(trace, span) === service && kindOf(span) === 'client')
    .sort((a, b) => a.startTime - b.startTime)

/** Two attempts on the way to beta: the dead endpoint comes first in one of two requests. */
const withRetry = (trace: JaegerTrace) => attemptsOf(trace, 'alpha').length === 2

describe('a request through four services, in a real Jaeger', () => {
  test('is one trace in which each hop has its parent, and applications with an SDK have theirs', async () => {
    const trace = await traceOf('/ok')
    const last = trace.spans.find(span => serviceOf(trace, span) === 'delta' && kindOf(span) === 'server')!
    expect(wayTo(trace, last)).toEqual([
      'caller internal',
      'alpha server',
      'alpha internal',
      'alpha client',
      'beta server',
      'beta internal',
      'beta client',
      'gamma server',
      'gamma-app internal',
      'gamma internal',
      'gamma client',
      'delta server',
    ])
    for (const span of trace.spans) {
      const parent = parentOf(trace, span)
      if (parent === null) continue
      // Of one host, so its clock is one: no span begins before its parent, but for the rounding of each.
      expect(span.startTime).toBeGreaterThanOrEqual(parent.startTime - 2_000)
    }
    const { tags } = trace.processes[last.processID]!
    expect(tagOf(tags, 'host.name')).not.toBeNull()
  })

  test('has one CLIENT span for each attempt, with what was decided and why there was another', async () => {
    let trace = await traceOf('/ok')
    for (let more = 0; more < 3 && !withRetry(trace); more++) trace = await traceOf('/ok')
    const attempts = attemptsOf(trace, 'alpha')
    expect(attempts).toHaveLength(2)
    const [first, second] = attempts as [JaegerSpan, JaegerSpan]
    expect(parentOf(trace, first)).toBe(parentOf(trace, second))
    expect(tagOf(first.tags, 'error')).toBe(true)
    expect(tagOf(first.tags, 'error.type')).toBe('connect-refused')
    expect(tagOf(first.tags, 'outrigger.retry')).toBe('yes: connect-failure')
    expect(tagOf(first.tags, 'http.request.resend_count')).toBeNull()
    expect(tagOf(second.tags, 'error')).toBeNull()
    expect(tagOf(second.tags, 'http.request.resend_count')).toBe(1)
    expect(tagOf(second.tags, 'http.response.status_code')).toBe(200)
    expect(tagOf(second.tags, 'outrigger.endpoint')).toBe(`127.0.0.1:${tiers[1]!.inbound}`)
    const decision = parentOf(trace, first)!
    expect(tagOf(decision.tags, 'outrigger.service')).toBe('beta')
    expect(tagOf(decision.tags, 'outrigger.attempts')).toBe(2)
    expect(tagOf(decision.tags, 'error')).toBeNull()
    const events = decision.logs.map(({ fields }) => tagOf(fields, 'event'))
    expect(events).toContain('retry')
  })

  test('that fails at its end is an error on every hop, and in every CLIENT span', async () => {
    const trace = await traceOf('/fail')
    for (const name of ['alpha', 'beta', 'gamma', 'delta']) {
      const own = trace.spans.filter(span => serviceOf(trace, span) === name && kindOf(span) === 'server')
      expect(own, name).toHaveLength(1)
      expect(tagOf(own[0]!.tags, 'error'), name).toBe(true)
      expect(tagOf(own[0]!.tags, 'http.response.status_code')).toBe(500)
    }
    for (const name of ['beta', 'gamma']) {
      const [attempt] = attemptsOf(trace, name)
      expect(tagOf(attempt!.tags, 'error'), name).toBe(true)
    }
  })
})
