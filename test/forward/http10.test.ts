import { expect, test } from 'vitest'
import { expectQuiet, orders } from '../support/orders.ts'
import { respond } from '../support/upstream.ts'

test('an HTTP/1.0 request goes on as HTTP/1.1, with the Host it had or an empty one', async () => {
  const { mesh, upstream } = await orders()
  mesh.caller().send('GET /a HTTP/1.0\r\nX: 1\r\n\r\n')
  mesh.caller().send('GET /b HTTP/1.0\r\nX: 1\r\nHost: o\r\n\r\n')
  mesh.settle()
  expect(upstream.requests.map(({ startLine }) => startLine)).toEqual(['GET /a HTTP/1.1', 'GET /b HTTP/1.1'])
  expect(upstream.requests.map(request => request.all('host'))).toEqual([[''], ['o']])
})

test('the connection of an HTTP/1.0 caller closes after the answer', async () => {
  const { mesh } = await orders()
  const caller = mesh.caller().send('GET / HTTP/1.0\r\n\r\n')
  mesh.settle()
  expect(caller.last.header('connection')).toBe('close')
  expect(caller.last.text).toBe('ok')
  expect(caller.gotEnd).toBe(true)
  mesh.advance(2000)
  expectQuiet(mesh)
})

test('an HTTP/1.0 caller that asks for keep-alive is told that it has it', async () => {
  const { mesh } = await orders()
  const caller = mesh.caller()
  for (let i = 0; i < 2; i++) {
    caller.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    mesh.settle()
    expect(caller.last.header('connection')).toBe('keep-alive')
  }
  expect(caller.gotEnd).toBe(false)
})

test.each(['Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n4;x\r\n you\r\n0\r\nX-Sum: 1\r\n\r\n', '\r\nhello you'])(
  'a body without a length ends with the connection, for HTTP/1.0 knows no chunks: %j',
  async body => {
    const { mesh, upstream } = await orders()
    upstream.answer = (_request, connection) => {
      connection.send(`HTTP/1.1 200 OK\r\nX: 1\r\n${body}`)
      connection.end()
    }
    const caller = mesh.caller().send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    mesh.settle()
    expect(caller.received).toBe(`HTTP/1.1 200 OK\r\nconnection: close\r\nX: 1\r\n\r\nhello you`)
    expect(caller.gotEnd).toBe(true)
    expect(caller.wasReset).toBe(false)
    mesh.advance(2000)
    expectQuiet(mesh)
  },
)

test('an HTTP/1.0 answer goes on as HTTP/1.1, and its connection is used again only if it says so', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = respond('HTTP/1.0 200 Fine\r\nContent-Length: 2\r\n\r\nok')
  const caller = mesh.caller().get().get()
  mesh.settle()
  expect(caller.received).toBe('HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok'.repeat(2))
  expect(upstream.connections).toHaveLength(2)
  upstream.answer = respond('HTTP/1.0 200 Fine\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok')
  caller.get().get()
  mesh.settle()
  expect(upstream.connections).toHaveLength(3)
  expectQuiet(mesh)
})

test('an HTTP/1.0 request with a body', async () => {
  const { mesh, upstream } = await orders()
  const caller = mesh.caller().send('POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello')
  mesh.settle()
  expect(upstream.requests[0]!.text).toBe('hello')
  expect(caller.statuses).toEqual([200])
})

test('HEAD from an HTTP/1.0 caller: no Transfer-Encoding is shown to who does not know it', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = respond('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  const caller = mesh.caller().send('HEAD / HTTP/1.0\r\n\r\n')
  mesh.settle()
  expect(caller.last.names).toEqual(['connection'])
})
