import { describe, expect, test } from 'vitest'
import type { RetrySpec } from '../../mesh-config/snapshot.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { A, B, expectQuiet, orders } from '../support/orders.ts'
import { ok, respond } from '../support/upstream.ts'

/** What `retries` of a policy names besides failures on the way: answers, methods, keys, waits. */

const TICK = 10

/** The endpoint asked first answers with this, the other one with 200. */
async function answered(answer: string, retries: Partial<RetrySpec>) {
  const { mesh } = await orders({ endpoints: [A, B], retries })
  let isFirst = true
  for (const name of [A, B])
    mesh.upstream(name).answer = (request, connection) => {
      if (isFirst) respond(answer)(request, connection)
      else ok(request, connection)
      isFirst = false
    }
  return {
    mesh,
    ask(request = 'GET / HTTP/1.1\r\nHost: o\r\n\r\n') {
      const caller = mesh.caller().send(request)
      mesh.settle()
      return caller
    },
    get requests() {
      return mesh.upstream(A).requests.length + mesh.upstream(B).requests.length
    },
  }
}

describe('answers', () => {
  const header = (name: string, value: string) => `HTTP/1.1 200 OK\r\n${name}: ${value}\r\nContent-Length: 0\r\n\r\n`

  test.each<[string, string, Partial<RetrySpec>]>([
    ['a conflict', 'HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n', { on: ['retriable-4xx'] }],
    ['a status', 'HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n', { on: [], statuses: [418] }],
    ['a header', header('x-again', 'yes'), { on: [], headers: [{ name: 'x-again', kind: 'exact', value: 'yes' }] }],
    ['a pattern', header('x-again', 'yes'), { on: [], headers: [{ name: 'x-again', kind: 'regex', value: 'y.s' }] }],
    ['a rate limit', header('x-envoy-ratelimited', 'true'), { on: ['envoy-ratelimited'] }],
  ])('%s is tried again where the policy says so', async (_what, answer, retries) => {
    const tried = await answered(answer, retries)
    const caller = tried.ask()
    expect([caller.statuses, tried.requests]).toEqual([[200], 2])
    expect(caller.last.header('x-again')).toBeUndefined()
    const plain = await answered(answer, { on: ['connect-failure'] })
    plain.ask()
    expect(plain.requests).toBe(1)
    const [first] = tried.mesh.flight.attempts
    expect(first!.retry).toMatch(/^yes: (retriable-|envoy-)/)
    expectQuiet(tried.mesh)
  })

  test('a header with another value is none of it', async () => {
    const tried = await answered(header('x-again', 'no'), {
      on: [],
      headers: [{ name: 'x-again', kind: 'exact', value: 'yes' }],
    })
    tried.ask()
    expect(tried.requests).toBe(1)
  })
})

describe('methods', () => {
  const busy = 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'
  const post = (more = '') => `POST / HTTP/1.1\r\nHost: o\r\n${more}Content-Length: 2\r\n\r\nhi`

  test('a POST is sent twice only where the policy says that it may', async () => {
    for (const [retries, request, expected] of [
      [{}, post(), 1],
      [{ methods: ['POST'] }, post(), 2],
      [{ methods: ['PATCH'] }, post(), 1],
      [{}, post('Idempotency-Key: 7\r\n'), 1],
      [{ idempotencyKey: true }, post(), 1],
      [{ idempotencyKey: true }, post('Idempotency-Key: 7\r\n'), 2],
    ] as const) {
      const tried = await answered(busy, { on: ['gateway-error'], ...retries })
      const caller = tried.ask(request)
      expect([caller.statuses, tried.requests]).toEqual([[expected === 2 ? 200 : 503], expected])
      const bodies = [A, B].flatMap(name => tried.mesh.upstream(name).requests.map(({ text }) => text))
      expect(bodies).toEqual(expected === 2 ? ['hi', 'hi'] : ['hi'])
      expectQuiet(tried.mesh)
    }
  })
})

describe('Retry-After', () => {
  const after = (status: number, value: string) =>
    `HTTP/1.1 ${status} Later\r\nRetry-After: ${value}\r\nContent-Length: 0\r\n\r\n`

  test('of one endpoint: another is asked at once', async () => {
    const tried = await answered(after(503, '7'), { on: ['gateway-error'] })
    expect([tried.ask().statuses, tried.requests]).toEqual([[200], 2])
  })

  test('of the only endpoint: it is left alone for so long, within the time of the request', async () => {
    for (const form of ['seconds', 'date']) {
      const { mesh, upstream } = await orders({ retries: { on: ['gateway-error'] } })
      const value = form === 'seconds' ? '2' : new Date(mesh.clock.wallTime() + 3000).toUTCString()
      const expected = form === 'seconds' ? 2000 : Date.parse(value) - mesh.clock.wallTime()
      let isFirst = true
      upstream.answer = (request, connection) => {
        if (isFirst) respond(after(503, value))(request, connection)
        else ok(request, connection)
        isFirst = false
      }
      const caller = mesh.caller().get()
      mesh.settle()
      mesh.advance(expected - 1)
      expect(upstream.requests).toHaveLength(1)
      mesh.advance(1 + TICK)
      expect([upstream.requests.length, caller.statuses]).toEqual([2, [200]])
    }
  })

  test('longer than the request may take: the answer passes as it is', async () => {
    const { mesh, upstream } = await orders({ retries: { on: ['gateway-error'] }, timeouts: { requestMs: 1000 } })
    upstream.answer = respond(after(503, '2'))
    const caller = mesh.caller().get()
    mesh.settle()
    expect([caller.statuses, caller.last.header('retry-after')]).toEqual([[503], '2'])
    expect(mesh.flight.attempts.map(({ retry }) => retry)).toEqual([
      'no: the endpoint wants to wait 2000 ms, which is longer than the request may take',
    ])
    expectQuiet(mesh)
  })

  test('of a 429 it holds for the service: nobody else is asked earlier', async () => {
    const tried = await answered(after(429, '1'), { on: [], statuses: [429] })
    const caller = tried.ask()
    expect(tried.requests).toBe(1)
    tried.mesh.advance(1000 + TICK)
    expect([caller.statuses, tried.requests]).toEqual([[200], 2])
    expectQuiet(tried.mesh)
  })
})

describe('the wait before an endpoint that failed', () => {
  test('is as the policy says', async () => {
    const { mesh, upstream } = await orders({
      retries: { attempts: 4, backoff: { baseMs: 1000, maxMs: 1500 } },
      outliers: { consecutiveGatewayFailures: 0 },
    })
    upstream.connect = 'refuse'
    for (let i = 0; i < 20; i++) mesh.caller().get()
    mesh.advance(1000 + 1500 + 1500 + 3 * TICK)
    const waits = mesh
      .flights()
      .flatMap(({ attempts }) =>
        attempts.slice(1).map(({ startedAfterMs }, n) => startedAfterMs - attempts[n]!.startedAfterMs),
      )
    expect(waits).toHaveLength(60)
    expect(Math.max(...waits)).toBeGreaterThan(1000)
    expect(Math.max(...waits)).toBeLessThanOrEqual(1500 + TICK)
    expectQuiet(mesh)
  })

  test('never goes past the time of the request, and no try begins after it', async () => {
    const { mesh, upstream } = await orders({
      retries: { attempts: 9, backoff: { baseMs: 200, maxMs: 400 }, budget: { minPerSecond: 100 } },
      timeouts: { requestMs: 300 },
      outliers: { consecutiveGatewayFailures: 0 },
    })
    upstream.connect = 'refuse'
    const callers = Array.from({ length: 30 }, () => mesh.caller().get())
    mesh.advance(300 + TICK)
    expect(callers.every(({ statuses }) => statuses.length === 1)).toBe(true)
    for (const { attempts } of mesh.flights())
      for (const { startedAfterMs } of attempts) expect(startedAfterMs).toBeLessThanOrEqual(300)
    expectQuiet(mesh)
  })
})

describe('HTTP/2', () => {
  async function over2(first: readonly [status: number, fields: readonly string[]], retries: Partial<RetrySpec>) {
    const { mesh } = await orders({ endpoints: [A, B], retries, protocol: 'http2' })
    const endpoints = [A, B].map(name => new Http2Endpoint(mesh, name))
    let isFirst = true
    for (const endpoint of endpoints)
      endpoint.answer = ({ stream }) => {
        if (isFirst) reply(stream, first[0], first[1])
        else reply(stream, 200, [], 'ok')
        isFirst = false
      }
    return { mesh, served: () => endpoints.flatMap(({ served }) => served) }
  }

  test.each<[string, readonly [number, readonly string[]], Partial<RetrySpec>]>([
    ['a conflict', [409, []], { on: ['retriable-4xx'] }],
    ['a header', [200, ['x-again', 'yes']], { on: [], headers: [{ name: 'x-again', kind: 'present', value: '' }] }],
    ['a rate limit', [429, ['x-envoy-ratelimited', 'true']], { on: ['envoy-ratelimited'] }],
    ['a 503 of one that wants its rest', [503, ['retry-after', '9']], { on: ['gateway-error'] }],
  ])('%s', async (_what, first, retries) => {
    const { mesh, served } = await over2(first, retries)
    const answer = mesh.http2Caller().ask()
    mesh.settle()
    expect([answer.status, answer.body, served().length]).toEqual([200, 'ok', 2])
    expect(served().map(({ fields }) => fields.get('x-outrigger-attempt'))).toContain('2')
    expectQuiet(mesh)
  })

  test('a POST with its key, and its body, goes out twice', async () => {
    const { mesh, served } = await over2([503, []], { on: ['gateway-error'], idempotencyKey: true })
    const answer = mesh.http2Caller().ask({ method: 'POST', fields: ['idempotency-key', '7'], body: 'hi' })
    mesh.settle()
    expect([answer.status, served().map(({ body }) => body)]).toEqual([200, ['hi', 'hi']])
    const without = await over2([503, []], { on: ['gateway-error'], idempotencyKey: true })
    const other = without.mesh.http2Caller().ask({ method: 'POST', body: 'hi' })
    without.mesh.settle()
    expect([other.status, without.served().length]).toEqual([503, 1])
  })
})
