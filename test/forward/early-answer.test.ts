import { describe, expect, test } from 'vitest'
import { expectQuiet, orders, warm } from '../support/orders.ts'
import { silent } from '../support/upstream.ts'

const head = 'POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 1000000\r\n\r\n'
const refusal = 'HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!'

describe('an endpoint that answers before the body is whole', () => {
  test('the answer passes, says close, and neither connection is used again', async () => {
    const { mesh, upstream } = await orders()
    upstream.onHead = (_request, connection) => void connection.send(refusal)
    const caller = mesh.caller().send(head)
    mesh.settle()
    expect(caller.last).toMatchObject({ status: 413, whole: true })
    expect(caller.last.header('connection')).toBe('close')
    expect(caller.gotEnd).toBe(true)
    expect(upstream.last.over).toBe(true)
    expect(mesh.flight).toMatchObject({ status: 413, flag: '-' })
    mesh.advance(2000)
    expectQuiet(mesh)
  })

  test('the answer is not destroyed by the body that is still coming', async () => {
    const { mesh, upstream } = await orders()
    upstream.onHead = (_request, connection) => void connection.send(refusal)
    const caller = mesh.caller()
    caller.wire.pause()
    caller.send(head)
    mesh.settle()
    for (let i = 0; i < 10; i++) {
      caller.sendMore(Buffer.alloc(10_000))
      mesh.advance(20)
    }
    // Only now does the caller look.
    caller.wire.resume()
    mesh.settle()
    expect(caller.last.text).toBe('no!')
    expect(caller.wasReset).toBe(false)
    expect(upstream.last.receivedBytes).toBeLessThan(1000)
    mesh.advance(2000)
    expect(caller.over).toBe(true)
    expectQuiet(mesh)
  })

  test('a body that goes on past the moment of grace is cut off', async () => {
    const { mesh, upstream } = await orders()
    upstream.onHead = (_request, connection) => void connection.send(refusal)
    const caller = mesh.caller()
    caller.send(head)
    mesh.settle()
    // It never closes its side.
    caller.wire.handler = { bytes() {}, drained() {}, ended() {}, closed: error => caller.closed(error) }
    for (let i = 0; i < 30 && !caller.over; i++) {
      caller.sendMore(Buffer.alloc(10_000))
      mesh.advance(100)
    }
    expect(caller.over).toBe(true)
    expectQuiet(mesh)
  })

  test('head first, rest later: the body goes on flowing until the answer is whole', async () => {
    const { mesh, upstream } = await orders()
    upstream.onHead = (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab')
    upstream.answer = (_request, connection) => void connection.send('cd')
    const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 6\r\n\r\nxy')
    mesh.settle()
    expect(caller.last.text).toBe('ab')
    caller.sendMore('zzzz')
    mesh.settle()
    expect(upstream.requests[0]!.text).toBe('xyzzzz')
    expect(caller.last).toMatchObject({ text: 'abcd', whole: true })
    expect(upstream.last.over).toBe(false)
    expectQuiet(mesh)
  })

  test('it also stops reading: the caller is not left waiting for a body nobody takes', async () => {
    const { mesh, upstream } = await orders({ mesh: { upstream: { window: 10_000 } } })
    upstream.answer = silent
    const caller = mesh.caller().send(head)
    mesh.settle()
    upstream.last.wire.pause()
    caller.sendMore(Buffer.alloc(900_000))
    mesh.settle()
    expect(caller.wire.unsent).toBeGreaterThan(100_000)
    upstream.last.send(refusal)
    mesh.settle()
    expect(caller.last.text).toBe('no!')
    expect(caller.wire.unsent).toBe(0)
    upstream.last.wire.resume()
    mesh.advance(2000)
    expectQuiet(mesh)
  })
})

test('an answer that the proxy gives itself while the body is still coming: read for a moment, then closed', async () => {
  const { mesh, upstream } = await orders({ endpoints: [] })
  const caller = mesh.caller().send(head)
  mesh.settle()
  expect(caller.last.status).toBe(503)
  expect(caller.last.header('connection')).toBe('close')
  caller.sendMore(Buffer.alloc(100_000))
  mesh.settle()
  expect(caller.wasReset).toBe(false)
  mesh.advance(2000)
  expect(caller.over).toBe(true)
  expect(upstream.dials).toBe(0)
  expectQuiet(mesh)
})

test('the connection of an early answer is not given to whoever waits for one', async () => {
  const { mesh, upstream } = await orders({ limits: { connections: 1 } })
  warm(mesh)
  upstream.onHead = (request, connection) => {
    if (request.method === 'POST') connection.send(refusal)
  }
  const uploading = mesh.caller().send(head)
  const waiting = mesh.caller().get('/next')
  mesh.settle()
  expect(uploading.statuses).toEqual([413])
  expect(waiting.statuses).toEqual([200])
  expect(upstream.connections).toHaveLength(2)
})
