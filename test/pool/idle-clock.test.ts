import { describe, expect, test } from 'vitest'
import { IdleClock } from '../../proxy/pool/idle-clock.ts'
import { Http2Endpoint } from '../support/http2-endpoint.ts'
import { A, expectQuiet, orders, warm } from '../support/orders.ts'
import { respond } from '../support/upstream.ts'

describe('how long an endpoint keeps an idle connection', () => {
  test('is not known at first', () => {
    expect(new IdleClock().limitMs).toBe(Number.POSITIVE_INFINITY)
  })

  test.each([
    [1000, 800],
    [5000, 4000],
    [75_000, 74_000],
  ])('it says so (%i ms): the connection is retired before (%i ms)', (hint, limit) => {
    const learnt = new IdleClock()
    learnt.hinted(hint)
    expect(learnt.limitMs).toBe(limit)
  })

  test('two closes after the same time say so, too', () => {
    const learnt = new IdleClock()
    learnt.observed(60_000)
    expect(learnt.limitMs).toBe(Number.POSITIVE_INFINITY)
    learnt.observed(60_900)
    expect(learnt.limitMs).toBe(59_000)
  })

  test('closes after all sorts of times are a restart and say nothing', () => {
    const learnt = new IdleClock()
    for (const ms of [60_000, 3000, 41_000, 12_000, 700, 28_000]) learnt.observed(ms)
    expect(learnt.limitMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('closes at once say nothing of a time', () => {
    const learnt = new IdleClock()
    for (let i = 0; i < 10; i++) learnt.observed(3)
    expect(learnt.limitMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('the shorter of that and the policy counts; what was learnt can be forgotten', () => {
    const learnt = new IdleClock()
    learnt.limitTo(30_000)
    expect(learnt.limitMs).toBe(30_000)
    learnt.hinted(5000)
    expect(learnt.limitMs).toBe(4000)
    learnt.limitTo(2000)
    expect(learnt.limitMs).toBe(2000)
    learnt.forget()
    learnt.limitTo(0)
    expect(learnt.limitMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('the shorter of what it said and what was seen counts', () => {
    const learnt = new IdleClock()
    learnt.hinted(60_000)
    learnt.observed(5000)
    learnt.observed(5000)
    expect(learnt.limitMs).toBe(4000)
  })
})

describe('the pool', () => {
  test('retires a connection before the endpoint that announced it closes it', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n')
    warm(mesh)
    mesh.advance(3900)
    expect(upstream.open).toHaveLength(1)
    mesh.advance(200)
    expect(upstream.open).toHaveLength(0)
    expectQuiet(mesh)
  })

  test('learns from an endpoint that closes without a word, and no request meets the third close', async () => {
    const { mesh, upstream } = await orders()
    /** As a server with an idle timeout of five seconds. */
    const idleTimeout = (round: number) => {
      warm(mesh)
      const connection = upstream.last
      mesh.advance(5000)
      if (!connection.over) connection.close()
      mesh.settle()
      expect(connection.over, `round ${round}`).toBe(true)
    }
    idleTimeout(1)
    idleTimeout(2)
    warm(mesh)
    const third = upstream.last
    mesh.advance(4100)
    // The proxy closed it, the endpoint did not.
    expect(third.over).toBe(true)
    expect(third.gotEnd).toBe(true)
  })

  test('a connection that is too old is not used, even where the sweep has not come to it', async () => {
    const { mesh, upstream } = await orders()
    warm(mesh)
    const old = upstream.last
    upstream.answer = respond('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok')
    mesh.advance(2000)
    warm(mesh)
    expect(upstream.last).toBe(old)
    mesh.advance(900)
    warm(mesh)
    expect(upstream.last).not.toBe(old)
  })

  test.each(['http', 'http2'] as const)('learns nothing from its own closes (%s)', async protocol => {
    const { mesh, upstream } = await orders({ protocol, timeouts: { idleMs: 10_000 } })
    const endpoint = protocol === 'http2' ? new Http2Endpoint(mesh, A) : upstream
    for (let round = 0; round < 8; round++) {
      warm(mesh)
      mesh.advance(9800)
      expect(endpoint.open, `round ${round}`).toHaveLength(1)
      mesh.advance(400)
      expect(endpoint.open).toHaveLength(0)
    }
    expectQuiet(mesh)
  })
})
