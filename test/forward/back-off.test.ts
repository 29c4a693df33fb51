import { describe, expect, test } from 'vitest'
import { A, B, expectQuiet, orders } from '../support/orders.ts'
import { respond } from '../support/upstream.ts'

/**
 * A retry elsewhere comes at once; at an endpoint that failed the request before it comes after a random moment (25 ms,
 * doubled each time, full jitter).
 */

const TICK = 10

describe('the only endpoint', () => {
  test('gets its moment before the first retry already', async () => {
    const { mesh, upstream } = await orders({ retries: { attempts: 2 } })
    const waits: number[] = []
    for (let i = 0; i < 40; i++) {
      upstream.connect = 'refuse'
      const before = upstream.dials
      const caller = mesh.caller().get()
      mesh.settle()
      expect(upstream.dials - before, 'dials before the moment is over').toBe(1)
      upstream.connect = 'accept'
      const since = mesh.clock.now()
      while (caller.responses.length === 0) mesh.advance(1)
      waits.push(mesh.clock.now() - since)
      expect(caller.statuses).toEqual([200])
      caller.close()
      mesh.settle()
      for (const connection of upstream.open) connection.close()
      mesh.settle()
    }
    expect(Math.max(...waits)).toBeLessThanOrEqual(25 + TICK)
    expect(new Set(waits.map(wait => Math.ceil(wait / TICK))).size, 'jitter').toBeGreaterThan(1)
    expect(mesh.flight.attempts.map(({ failure }) => failure)).toEqual(['connect-refused', ''])
    expectQuiet(mesh)
  })

  test('after an answer that is retried, too', async () => {
    const { mesh, upstream } = await orders({ retries: { attempts: 2, on: ['gateway-error'] } })
    upstream.answer = respond('HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n')
    const caller = mesh.caller().get()
    mesh.settle()
    expect(upstream.requests).toHaveLength(1)
    mesh.advance(25 + TICK)
    expect([upstream.requests.length, caller.statuses]).toEqual([2, [503]])
    expectQuiet(mesh)
  })

  test('of TCP', async () => {
    const { mesh, upstream } = await orders({
      protocol: 'tcp',
      listener: { protocol: 'tcp' },
      retries: { attempts: 2 },
    })
    upstream.connect = 'refuse'
    const caller = mesh.plainCaller()
    mesh.settle()
    expect([upstream.dials, caller.over]).toEqual([1, false])
    mesh.advance(25 + TICK)
    expect(upstream.dials).toBe(2)
    expect(mesh.flight.attempts).toHaveLength(2)
  })
})

test('another endpoint is tried at once', async () => {
  const { mesh } = await orders({ endpoints: [A, B], retries: { attempts: 2 } })
  mesh.upstream(A).connect = 'refuse'
  for (let i = 0; i < 4; i++) mesh.caller().get()
  mesh.settle()
  expect(mesh.callers.flatMap(({ statuses }) => statuses)).toEqual([200, 200, 200, 200])
})
