import { describe, expect, test } from 'vitest'
import { expectQuiet, orders } from '../support/orders.ts'
import { ok } from '../support/upstream.ts'

/**
 * `timeouts.connectionAge`: connections that are old make room for new ones, which a balancer before us may place
 * elsewhere.
 */
const start = (connectionAgeMs: number) =>
  orders({ timeouts: { requestMs: 60_000 }, listener: { timeouts: { connectionAgeMs } } })

describe('an old connection', () => {
  test('of HTTP/1.1 waits for its next request, and says close with the answer', async () => {
    const { mesh } = await start(60_000)
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.last.header('connection')).toBeUndefined()
    mesh.advance(100_000)
    // A close now could cross the next request.
    expect([caller.gotEnd, caller.over]).toEqual([false, false])
    caller.get()
    mesh.advance(2000)
    expect(caller.statuses).toEqual([200, 200])
    expect(caller.last.header('connection')).toBe('close')
    expect([caller.over, caller.wasReset]).toEqual([true, false])
    expectQuiet(mesh)
  })

  test('of HTTP/2 is left after the requests that run, and those that cross the first GOAWAY', async () => {
    const { mesh, upstream } = await start(60_000)
    const caller = mesh.http2Caller()
    const first = caller.ask()
    mesh.advance(53_000)
    upstream.answer = (request, connection) => void mesh.loop.after(30_000, () => ok(request, connection))
    const running = caller.ask()
    mesh.advance(20_000)
    expect([first.status, caller.over]).toEqual([200, false])
    expect(caller.connection.capacity).toBe(0)
    mesh.advance(20_000)
    expect(running).toMatchObject({ status: 200, ended: true })
    expect(caller.over).toBe(true)
    expectQuiet(mesh)
  })

  test('that nobody uses is left too', async () => {
    const { mesh } = await start(60_000)
    const caller = mesh.http2Caller()
    caller.ask()
    mesh.advance(70_000)
    expect(caller.over).toBe(true)
    expectQuiet(mesh)
  })
})

test('connections that came together go one after the other, within a tenth of the age', async () => {
  const { mesh } = await start(100_000)
  const callers = Array.from({ length: 200 }, () => mesh.http2Caller())
  for (const caller of callers) caller.ask()
  const open = () => callers.filter(({ over }) => !over).length
  mesh.advance(89_000)
  expect(open()).toBe(200)
  mesh.advance(11_000)
  expect(open()).toBeGreaterThan(60)
  expect(open()).toBeLessThan(140)
  mesh.advance(13_000)
  expect(open()).toBe(0)
  expectQuiet(mesh)
})

test('off: none is ever too old', async () => {
  const { mesh } = await start(0)
  const caller = mesh.http2Caller()
  for (let i = 0; i < 30; i++) {
    caller.ask()
    mesh.advance(250_000)
  }
  expect(caller.over).toBe(false)
})
