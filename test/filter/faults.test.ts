import { describe, expect, test } from 'vitest'
import type { FaultSpec, RouteSpec } from '../../mesh-config/snapshot.ts'
import type { ExplainAnswer } from '../../proxy/core/channel.ts'
import { Mesh } from '../support/mesh.ts'
import { A, expectQuiet } from '../support/orders.ts'
import { accessLogSpec, listenerSpec, matchSpec, routeSpec, serviceSpec, snapshotOf } from '../support/specs.ts'
import { respond } from '../support/upstream.ts'

const INJECTED = 'outrigger_faults_injected_total'

function rule(overrides: Partial<FaultSpec> = {}): FaultSpec {
  return { name: 'f', byHeaders: false, active: 1000, ...overrides }
}

async function faulty(service: readonly FaultSpec[], routes?: readonly RouteSpec[]): Promise<Mesh> {
  const orders = serviceSpec('orders', [A], routes === undefined ? {} : { routes })
  return Mesh.start(
    snapshotOf([{ ...orders, faults: service }], [listenerSpec({ service: 'orders' })], {
      accessLog: accessLogSpec({ mode: 'on', format: 'text', template: '%RESPONSE_CODE% %RESPONSE_FLAGS%\n' }),
    }),
  )
}

/** The status, and how long it took. */
function ask(
  mesh: Mesh,
  headers = '',
  path = '/',
): { readonly status: number; readonly ms: number; readonly text: string } {
  const caller = mesh.caller()
  caller.get(path, headers)
  mesh.settle()
  const begin = mesh.clock.now()
  while (caller.responses.at(-1)?.whole !== true && mesh.clock.now() - begin < 60_000) mesh.advance(10)
  const { status, text } = caller.last
  const ms = mesh.clock.now() - begin
  caller.close()
  mesh.settle()
  return { status, ms, text }
}

async function explain(mesh: Mesh): Promise<ExplainAnswer> {
  mesh.thread.receive({
    kind: 'ask',
    id: 77,
    question: { what: 'explain', method: 'GET', url: '/', headers: [], listener: null },
  })
  await new Promise(resolve => setImmediate(resolve))
  const found = mesh.messages.findLast(message => message.kind === 'answer' && message.id === 77)
  return (found as { readonly answer: ExplainAnswer }).answer
}

/** Flags in the access log. */
function logged(mesh: Mesh): string[] {
  mesh.advance(2000)
  return mesh.messages.flatMap(message => (message.kind === 'log' ? message.lines.trim().split('\n') : []))
}

describe('an abort', () => {
  test('is answered with its status and the flag FI; the endpoint hears nothing and is not blamed', async () => {
    const mesh = await faulty([rule({ abort: { status: 502, grpcStatus: 0, percent: 100 } })])
    for (let i = 0; i < 20; i++) expect(ask(mesh).status).toBe(502)
    expect(mesh.flight).toMatchObject({ flag: 'FI', failure: 'fault-injected', detail: 'f', attempts: [] })
    expect(mesh.upstream(A).requests).toEqual([])
    const { state, failures } = mesh.endpoints()[0]!.endpoints[0]!
    expect([state, failures]).toEqual(['admitting', 0])
    expect(mesh.stat(INJECTED, { fault: 'abort', rule: 'f' })).toBe(20)
    expect(mesh.stat('outrigger_faults_active')).toBe(0)
    expect(logged(mesh)[0]).toBe('502 FI')
    expectQuiet(mesh)
  })

  test('tells gRPC its gRPC status, or what gRPC makes of the HTTP status', async () => {
    const statusOf = async (status: number, grpcStatus: number) => {
      const mesh = await faulty([rule({ abort: { status, grpcStatus, percent: 100 } })])
      const fields = ['content-type', 'application/grpc', 'te', 'trailers']
      const got = mesh.http2Caller().ask({ method: 'POST', path: '/a.A/B', fields })
      mesh.settle()
      return [got.status, got.fields.get('grpc-status')]
    }
    expect(await statusOf(0, 5)).toEqual([200, '5'])
    expect(await statusOf(503, 0)).toEqual([200, '14'])
    expect(await statusOf(404, 0)).toEqual([200, '12'])
  })

  test('of 30 % hits 30 %, and the same ones with the same random numbers', async () => {
    const run = async () => {
      const mesh = await faulty([rule({ abort: { status: 503, grpcStatus: 0, percent: 30 } })])
      return Array.from({ length: 1000 }, () => ask(mesh).status)
    }
    const statuses = await run()
    const hit = statuses.filter(status => status === 503).length
    expect(hit).toBeGreaterThan(250)
    expect(hit).toBeLessThan(350)
    expect(await run()).toEqual(statuses)
  })

  test('is explained: the one that is certain refuses, the one by chance is told', async () => {
    const certain = await explain(await faulty([rule({ abort: { status: 500, grpcStatus: 0, percent: 100 } })]))
    expect(certain.record).toMatchObject({ status: 500, flag: 'FI' })
    const mesh = await faulty([
      rule({ abort: { status: 500, grpcStatus: 0, percent: 5 }, delay: { minMs: 100, maxMs: 200, percent: 10 } }),
    ])
    const { record, steps } = await explain(mesh)
    expect(record!.status).toBe(0)
    expect(steps).toContainEqual({
      stage: 'filters',
      text: 'faults: f delays 10 % of the requests by 100 to 200 ms, answers 5 % of the requests with 500 (gRPC: 2)',
    })
    expect(mesh.stat(INJECTED)).toBe(0)
  })
})

describe('a delay', () => {
  test('holds the request for its time, then sends it on, with the flag DI', async () => {
    const mesh = await faulty([rule({ delay: { minMs: 500, maxMs: 500, percent: 100 } })])
    const { status, ms } = ask(mesh)
    expect(status).toBe(200)
    expect(ms).toBeGreaterThanOrEqual(500)
    expect(ms).toBeLessThan(530)
    expect(mesh.flight.notes).toEqual(['faults: f: delayed by 500 ms'])
    expect(mesh.stat(INJECTED, { fault: 'delay' })).toBe(1)
    expect(logged(mesh)).toEqual(['200 DI'])
    expectQuiet(mesh)
  })

  test('of a range lies within it', async () => {
    const mesh = await faulty([rule({ delay: { minMs: 100, maxMs: 300, percent: 100 } })])
    const all = Array.from({ length: 30 }, () => ask(mesh).ms)
    expect(Math.min(...all)).toBeGreaterThanOrEqual(100)
    expect(Math.max(...all)).toBeLessThanOrEqual(330)
    expect(Math.max(...all) - Math.min(...all)).toBeGreaterThan(100)
  })

  test('comes before an abort of the same rule', async () => {
    const mesh = await faulty([
      rule({ delay: { minMs: 200, maxMs: 200, percent: 100 }, abort: { status: 503, grpcStatus: 0, percent: 100 } }),
    ])
    const { status, ms } = ask(mesh)
    expect(status).toBe(503)
    expect(ms).toBeGreaterThanOrEqual(200)
    expect(logged(mesh)).toEqual(['503 DI,FI'])
  })

  test('ends with its caller', async () => {
    const mesh = await faulty([rule({ delay: { minMs: 60_000, maxMs: 60_000, percent: 100 } })])
    const caller = mesh.caller()
    caller.get()
    mesh.advance(100)
    expect(mesh.stat('outrigger_faults_active')).toBe(1)
    caller.close()
    mesh.settle()
    expect(mesh.stat('outrigger_faults_active')).toBe(0)
    expect(mesh.flight.flag).toBe('DC')
  })

  test('of 1,000 requests at once delays no other request', async () => {
    const match = matchSpec({ path: { kind: 'exact', value: '/slow' } })
    const mesh = await faulty([rule({ match, active: 1000, delay: { minMs: 5000, maxMs: 5000, percent: 100 } })])
    const slow = Array.from({ length: 1000 }, () => mesh.caller().get('/slow'))
    mesh.settle()
    expect(mesh.stat('outrigger_faults_active')).toBe(1000)
    for (let i = 0; i < 20; i++) expect(ask(mesh)).toMatchObject({ status: 200, ms: 0 })
    // One more goes on without a fault.
    expect(ask(mesh, '', '/slow')).toMatchObject({ status: 200, ms: 0 })
    expect(mesh.stat('outrigger_faults_overflow_total')).toBe(1)
    mesh.advance(5100)
    expect(slow.every(({ statuses }) => statuses.length === 1 && statuses[0] === 200)).toBe(true)
    expectQuiet(mesh)
  })
})

describe('a throttle', () => {
  const body = 'x'.repeat(10_000)

  test.each([
    ['with a length', `HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n${body}`],
    ['in chunks', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n${body}\r\n0\r\nX-End: 1\r\n\r\n`],
  ])('sends an answer %s at its rate, whole', async (_name, answer) => {
    const mesh = await faulty([rule({ throttle: { bytesPerSecond: 5000, percent: 100 } })])
    mesh.upstream(A).answer = respond(answer)
    const got = ask(mesh)
    expect(got.text).toBe(body)
    expect(got.ms).toBeGreaterThan(1900)
    expect(got.ms).toBeLessThan(2500)
    expect(mesh.flight.notes).toEqual(['faults: f: slowed to 5000 bytes/s'])
    expectQuiet(mesh)
  })

  test('of an answer without a body changes nothing', async () => {
    const mesh = await faulty([rule({ throttle: { bytesPerSecond: 100, percent: 100 } })])
    mesh.upstream(A).answer = respond('HTTP/1.1 204 No Content\r\n\r\n')
    expect(ask(mesh).status).toBe(204)
    mesh.upstream(A).answer = respond('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect(ask(mesh).status).toBe(200)
    expectQuiet(mesh)
  })

  test('holds no more of a large answer than its bound, and ends with its caller', async () => {
    const mesh = await faulty([rule({ throttle: { bytesPerSecond: 1000, percent: 100 } })])
    mesh.upstream(A).answer = respond(`HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n${'x'.repeat(5_000_000)}`)
    const caller = mesh.caller()
    caller.get()
    mesh.advance(1000)
    expect(caller.receivedBytes).toBeLessThan(1500)
    expect(mesh.held).toBeLessThan(2_000_000)
    caller.close()
    mesh.settle()
    expect(mesh.stat('outrigger_faults_active')).toBe(0)
    expect(mesh.held).toBe(0)
  })
})

describe('which requests', () => {
  test('only those that match, and the first rule that does', async () => {
    const match = matchSpec({ headers: [{ name: 'x-test', kind: 'exact', value: '1' }] })
    const mesh = await faulty([
      rule({ name: 'a', match, abort: { status: 500, grpcStatus: 0, percent: 100 } }),
      rule({ name: 'b', match, abort: { status: 501, grpcStatus: 0, percent: 100 } }),
    ])
    expect(ask(mesh).status).toBe(200)
    expect(ask(mesh, 'X-Test: 1\r\n').status).toBe(500)
  })

  test('those of a route take the place of those of the service', async () => {
    const abort = (status: number) => rule({ abort: { status, grpcStatus: 0, percent: 100 } })
    const at = (path: string, faults: readonly FaultSpec[] | undefined): RouteSpec => ({
      ...routeSpec({ name: path, match: matchSpec({ path: { kind: 'exact', value: path } }) }),
      ...(faults === undefined ? {} : { faults }),
    })
    const mesh = await faulty([abort(500)], [at('/own', [abort(501)]), at('/none', []), at('/service', undefined)])
    expect(['/own', '/none', '/service'].map(path => ask(mesh, '', path).status)).toEqual([501, 200, 500])
  })

  test('only in its time', async () => {
    const mesh = await faulty([])
    const now = mesh.clock.wallTime()
    const orders = serviceSpec('orders', [A])
    const timed = rule({
      abort: { status: 500, grpcStatus: 0, percent: 100 },
      fromTime: now + 1000,
      untilTime: now + 5000,
    })
    await mesh.apply(snapshotOf([{ ...orders, faults: [timed] }], [listenerSpec({ service: 'orders' })]))
    const seen = [ask(mesh).status]
    mesh.advance(2000)
    seen.push(ask(mesh).status)
    mesh.advance(5000)
    seen.push(ask(mesh).status)
    expect(seen).toEqual([200, 500, 200])
  })

  test('headers of a caller count only where the rule says so', async () => {
    const headers = 'X-Envoy-Fault-Abort-Request: 418\r\nX-Envoy-Fault-Delay-Request: 300\r\n'
    const closed = await faulty([rule({ delay: { minMs: 100, maxMs: 100, percent: 0 } })])
    expect(ask(closed, headers)).toMatchObject({ status: 200, ms: 0 })
    const open = await faulty([rule({ byHeaders: true })])
    const { status, ms } = ask(open, headers)
    expect(status).toBe(418)
    expect(ms).toBeGreaterThanOrEqual(300)
    expect(ask(open).status).toBe(200)
    expect(ask(open, 'X-Envoy-Fault-Abort-Request: 418\r\nX-Envoy-Fault-Abort-Request-Percentage: 0\r\n').status).toBe(
      200,
    )
    expect(ask(open, 'X-Envoy-Fault-Abort-Request: nonsense\r\n').status).toBe(200)
    expect(ask(open, 'X-Envoy-Fault-Throughput-Response: 1\r\n').status).toBe(200)
    expect(open.stat(INJECTED, { fault: 'throttle' })).toBe(1)
  })
})
