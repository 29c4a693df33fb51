import { describe, expect, test } from 'vitest'
import type { RetrySpec } from '../../mesh-config/snapshot.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { A, B, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'
import { ok, respond, silent } from '../support/upstream.ts'

/** A second try beside a slow first one: `retries.hedge`. */

const TICK = 10
const AFTER_50 = { afterMs: 50, percentile: 0, minSamples: 0 }

/** The endpoint that is asked first answers after `slowMs` (never: -1), the other one at once. */
async function hedged(slowMs: number, retries: Partial<RetrySpec> = {}, options: OrdersOptions = {}) {
  const { mesh } = await orders({ endpoints: [A, B], retries: { hedge: AFTER_50, ...retries }, ...options })
  let first = ''
  for (const name of [A, B])
    mesh.upstream(name).answer = (request, connection) => {
      first ||= name
      if (name !== first) return ok(request, connection)
      if (slowMs >= 0)
        mesh.loop.after(slowMs, () => {
          if (!connection.wire.destroyed) ok(request, connection)
        })
    }
  return {
    mesh,
    get requests() {
      return [A, B].map(name => mesh.upstream(name).requests.length).sort()
    },
  }
}

const GET = 'GET / HTTP/1.1\r\nHost: o\r\n\r\n'

test('a fast answer is asked for once', async () => {
  const { mesh, ...tried } = await hedged(40)
  const caller = mesh.caller().send(GET)
  mesh.advance(500)
  expect([caller.statuses, mesh.flight.attempts.length]).toEqual([[200], 1])
  expect(tried).toBeDefined()
  expectQuiet(mesh)
})

test('a slow one is asked for elsewhere too: the first answer counts, the other try is cancelled and blames nobody', async () => {
  const { mesh } = await hedged(-1)
  const caller = mesh.caller().send(GET)
  mesh.advance(50 - 1)
  expect(caller.statuses).toEqual([])
  mesh.advance(1 + TICK)
  expect(caller.statuses).toEqual([200])
  const [first, second] = mesh.flight.attempts
  expect([first!.failure, first!.flag, second!.failure, second!.hedge]).toEqual(['hedge-lost', 'LR', '', true])
  expect(first!.endpoint).not.toBe(second!.endpoint)
  expect(mesh.endpoints()[0]!.endpoints.map(({ failures }) => failures)).toEqual([0, 0])
  expect(mesh.stat('outrigger_retries_total')).toBe(1)
  expect(mesh.stat('outrigger_hedges_total', { outcome: 'won' })).toBe(1)
  expectQuiet(mesh)
})

test('the first try may still win', async () => {
  const { mesh } = await orders({ endpoints: [A, B], retries: { hedge: AFTER_50 } })
  let asked = 0
  for (const name of [A, B])
    mesh.upstream(name).answer = (request, connection) => {
      const isFirst = asked++ === 0
      mesh.loop.after(isFirst ? 100 : 1000, () => {
        if (!connection.wire.destroyed) ok(request, connection)
      })
    }
  const caller = mesh.caller().get()
  mesh.advance(120)
  expect(caller.statuses).toEqual([200])
  expect(mesh.flight.attempts.map(({ failure }) => failure)).toEqual(['', 'hedge-lost'])
  expect(mesh.stat('outrigger_hedges_total', { outcome: 'won' })).toBe(0)
  expect(mesh.stat('outrigger_hedges_total', { outcome: 'lost' })).toBe(1)
  // The same caller and connections go on.
  caller.get()
  mesh.advance(3000)
  expect(caller.statuses).toEqual([200, 200])
  expectQuiet(mesh)
})

describe('no second try', () => {
  test.each<[string, string, Partial<RetrySpec>, OrdersOptions]>([
    ['of a POST', 'POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 2\r\n\r\nhi', {}, {}],
    ['without another endpoint', GET, {}, { endpoints: [A] }],
    ['without budget', GET, { budget: { percent: 0, minPerSecond: 0 } }, {}],
    ['with one attempt', GET, { attempts: 1 }, {}],
    ['before enough answers have come', GET, { hedge: { afterMs: 0, percentile: 95, minSamples: 10 } }, {}],
  ])('%s', async (_what, request, retries, options) => {
    const { mesh } = await hedged(200, retries, options)
    const caller = mesh.caller().send(request)
    mesh.advance(300)
    expect([caller.statuses, mesh.flight.attempts.length]).toEqual([[200], 1])
    expectQuiet(mesh)
  })
})

test('a POST that may run twice is sent twice, with its body, once that is whole', async () => {
  const { mesh } = await hedged(-1, { methods: ['POST'] })
  const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 4\r\n\r\nhi')
  mesh.advance(1000)
  // The caller still uploads: no endpoint is slow.
  expect([A, B].map(name => mesh.upstream(name).requests.length).reduce((sum, n) => sum + n)).toBe(1)
  caller.sendMore('ho')
  mesh.advance(50 + TICK)
  expect(caller.statuses).toEqual([200])
  expect([A, B].flatMap(name => mesh.upstream(name).requests.map(({ text }) => text))).toEqual(['hiho', 'hiho'])
  expectQuiet(mesh)
})

test('one of the two fails: the other one is waited for', async () => {
  for (const failing of ['first', 'second'])
    for (const how of ['reset', '503']) {
      const { mesh } = await orders({
        endpoints: [A, B],
        retries: { hedge: AFTER_50, on: ['reset-before-response', 'gateway-error'] },
      })
      let asked = 0
      for (const name of [A, B])
        mesh.upstream(name).answer = (request, connection) => {
          const isFirst = asked++ === 0
          const fails = isFirst === (failing === 'first')
          mesh.loop.after(isFirst ? 80 : 60, () => {
            if (!fails) mesh.loop.after(100, () => ok(request, connection))
            else if (how === 'reset') connection.reset()
            else respond('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')(request, connection)
          })
        }
      const caller = mesh.caller().get()
      mesh.advance(400)
      expect([failing, how, caller.statuses, asked]).toEqual([failing, how, [200], 2])
      expect(mesh.flight.attempts.map(({ retry }) => retry)).toContain('no: another try runs already')
      expectQuiet(mesh)
    }
})

test('both fail: the caller hears it once', async () => {
  const { mesh } = await orders({ endpoints: [A, B], retries: { hedge: AFTER_50 } })
  for (const name of [A, B])
    mesh.upstream(name).answer = (_request, connection) => mesh.loop.after(100, () => connection.reset())
  const caller = mesh.caller().get()
  mesh.advance(400)
  expect([caller.statuses, mesh.flight.attempts.length]).toEqual([[503], 2])
  expectQuiet(mesh)
})

test('the time of the request ends both', async () => {
  const { mesh } = await orders({
    endpoints: [A, B],
    retries: { hedge: AFTER_50 },
    timeouts: { requestMs: 200 },
  })
  for (const name of [A, B]) mesh.upstream(name).answer = silent
  const caller = mesh.caller().get()
  mesh.advance(200 + TICK)
  expect([caller.statuses, mesh.flight.flag, mesh.flight.attempts.length]).toEqual([[504], 'UT', 2])
  expectQuiet(mesh)
})

test('a caller that goes takes both with it', async () => {
  const { mesh } = await orders({ endpoints: [A, B], retries: { hedge: AFTER_50 } })
  for (const name of [A, B]) mesh.upstream(name).answer = silent
  const caller = mesh.caller().get()
  mesh.advance(100)
  caller.close()
  mesh.settle()
  expect(mesh.flight.attempts).toHaveLength(2)
  expectQuiet(mesh)
})

test('by percentile: what is slower than 95 of 100 answers is asked for twice, within the budget', async () => {
  const { mesh } = await orders({
    endpoints: [A, B],
    retries: { hedge: { afterMs: 0, percentile: 95, minSamples: 50 }, budget: { percent: 20, minPerSecond: 0 } },
  })
  let isSlow = false
  for (const name of [A, B])
    mesh.upstream(name).answer = (request, connection) => {
      const waitMs = isSlow ? 5000 : 20
      isSlow = false
      mesh.loop.after(waitMs, () => {
        if (!connection.wire.destroyed) ok(request, connection)
      })
    }
  const caller = mesh.caller()
  for (let i = 0; i < 60; i++) {
    caller.get()
    mesh.advance(20 + TICK)
  }
  expect(mesh.stat('outrigger_retries_total')).toBe(0)
  isSlow = true
  caller.get()
  mesh.advance(20 + 20 + 2 * TICK)
  expect(caller.statuses).toHaveLength(61)
  expect(mesh.flight.attempts.map(({ failure }) => failure)).toEqual(['hedge-lost', ''])
  expectQuiet(mesh)
})

describe('HTTP/2', () => {
  test('the try that has lost is reset, and the connection goes on', async () => {
    const { mesh } = await orders({ endpoints: [A, B], retries: { hedge: AFTER_50 }, protocol: 'http2' })
    const endpoints = [A, B].map(name => new Http2Endpoint(mesh, name))
    let asked = 0
    for (const endpoint of endpoints)
      endpoint.answer = ({ stream }) => {
        if (asked++ !== 0) reply(stream, 200, [], 'ok')
      }
    const caller = mesh.http2Caller()
    const slow = caller.ask()
    mesh.advance(50 + 2 * TICK)
    expect([slow.status, slow.body]).toEqual([200, 'ok'])
    expect(mesh.flight.attempts.map(({ failure }) => failure)).toEqual(['hedge-lost', ''])
    const lost = endpoints.flatMap(({ served }) => served).filter(({ failure }) => failure !== null)
    expect(lost).toHaveLength(1)
    const next = caller.ask()
    mesh.settle()
    expect(next.status).toBe(200)
    expect(endpoints.map(({ connections }) => connections.length)).toEqual([1, 1])
    expectQuiet(mesh)
  })
})
