import { describe, expect, test } from 'vitest'
import type { Caller } from '../support/caller.ts'
import { expectQuiet, orders, warm } from '../support/orders.ts'
import { silent } from '../support/upstream.ts'

const ways: [string, (caller: Caller) => void][] = [
  ['closes', caller => caller.close()],
  ['resets', caller => caller.wire.reset()],
  ['half-closes', caller => caller.end()],
]

describe.each(ways)('a caller that %s', (_name, leave) => {
  test('before the answer: the endpoint is told, and nothing is left', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = silent
    const caller = mesh.caller().get()
    mesh.settle()
    leave(caller)
    mesh.advance(5)
    expect(upstream.last.over).toBe(true)
    expect(caller.over).toBe(true)
    expect(mesh.flight).toMatchObject({ flag: 'DC', failure: 'downstream-gone' })
    expectQuiet(mesh)
  })

  test('inside its own body', async () => {
    const { mesh, upstream } = await orders()
    const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 10\r\n\r\nabc')
    mesh.settle()
    leave(caller)
    mesh.advance(5)
    expect(upstream.last.over).toBe(true)
    expect(upstream.requests[0]!.whole).toBe(false)
    expect(caller.over).toBe(true)
    expect(mesh.flight).toMatchObject({ flag: 'DC' })
    expectQuiet(mesh)
  })

  test('inside the answer', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
    const caller = mesh.caller().get()
    mesh.settle()
    leave(caller)
    mesh.advance(5)
    expect(upstream.last.over).toBe(true)
    expect(caller.over).toBe(true)
    expect(mesh.flight).toMatchObject({ status: 200, flag: 'DC' })
    expectQuiet(mesh)
  })

  test('while a connection is being made: it is kept for the next one', async () => {
    const { mesh, upstream } = await orders()
    upstream.connectMs = 50
    const caller = mesh.caller().get()
    mesh.advance(10)
    leave(caller)
    mesh.advance(100)
    expect(upstream.received).toBe('')
    mesh.caller().get()
    mesh.settle()
    expect(upstream.connections).toHaveLength(1)
    expect(mesh.callers[1]!.statuses).toEqual([200])
    expectQuiet(mesh)
  })

  test('between two attempts: there is no other attempt', async () => {
    const { mesh, upstream } = await orders({ retries: { attempts: 3 } })
    upstream.connect = 'refuse'
    const caller = mesh.caller().get()
    // The only endpoint has failed: it gets a moment.
    mesh.settle()
    expect(upstream.dials).toBe(1)
    upstream.connect = 'accept'
    leave(caller)
    mesh.advance(1000)
    expect(upstream.dials).toBe(1)
    expectQuiet(mesh)
  })

  test('with requests behind the one that runs: none of them is begun', async () => {
    const { mesh, upstream } = await orders()
    warm(mesh)
    upstream.answer = silent
    const caller = mesh.caller().get('/1').get('/2')
    mesh.settle()
    leave(caller)
    mesh.advance(5)
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/warm', '/1'])
    expectQuiet(mesh)
  })

  test('inside a head: nothing happens at all', async () => {
    const { mesh, upstream } = await orders()
    const caller = mesh.caller().sendMore('GET / HT')
    mesh.settle()
    leave(mesh.callers[0]!)
    mesh.advance(5)
    expect(caller).toBe(true)
    expect(mesh.callers[0]!.over).toBe(true)
    expect(upstream.dials).toBe(0)
    expect(mesh.flights()).toEqual([])
    expectQuiet(mesh)
  })
})

test('no connection is lost to callers that die in the middle of an upload, however many', async () => {
  const { mesh } = await orders({ listener: { limits: { connections: 3 } } })
  for (let i = 0; i < 20; i++) {
    const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 10\r\n\r\nabc')
    mesh.settle()
    caller.close()
    mesh.settle()
  }
  const last = mesh.caller().get()
  mesh.settle()
  expect(last.statuses).toEqual([200])
  expectQuiet(mesh)
})

test('whoever closes after the whole answer was asked for gets no failure in the log', async () => {
  const { mesh } = await orders()
  const caller = mesh.caller().get()
  mesh.settle()
  caller.end()
  mesh.advance(5)
  expect(caller.over).toBe(true)
  expect(mesh.flight).toMatchObject({ status: 200, flag: '-' })
  expectQuiet(mesh)
})
