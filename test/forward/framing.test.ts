import { describe, expect, test } from 'vitest'
import { expectQuiet, orders, warm } from '../support/orders.ts'
import { respond, silent } from '../support/upstream.ts'

describe('request bodies', () => {
  test.each([
    ['a cold pool', false],
    ['an idle connection', true],
  ])('reach the endpoint as they are framed: %s', async (_name, warmed) => {
    const { mesh, upstream } = await orders()
    if (warmed) warm(mesh)
    const caller = mesh.caller()
    caller.send('POST /1 HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\n\r\nhello', 'POST')
    caller.send(
      'POST /2 HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3;x=y\r\ndef\r\n0\r\nX-Sum: 1\r\n\r\n',
      'POST',
    )
    caller.send('POST /3 HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'POST')
    caller.send('POST /4 HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 2\r\n\r\n', 'POST')
    caller.send('POST /5 HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n', 'POST')
    caller.send('POST /6 HTTP/1.1\r\nHost: orders\r\n\r\n', 'POST')
    mesh.settle()
    expect(caller.statuses).toEqual([200, 200, 200, 200, 200, 200])
    const requests = upstream.requests.filter(({ target }) => target !== '/warm')
    expect(requests.map(({ text }) => text)).toEqual(['hello', 'abcdef', '', '', '', ''])
    expect(requests.map(({ trailers }) => trailers)).toEqual([[], [['X-Sum', '1']], [], [['X-Sum', '2']], [], []])
    expect(requests.map(({ framing }) => framing)).toEqual([
      'length',
      'chunked',
      'chunked',
      'chunked',
      'length',
      'none',
    ])
    expectQuiet(mesh)
  })

  test('an empty chunked body that comes whole before there is a connection is still ended', async () => {
    const { mesh, upstream } = await orders()
    upstream.connectMs = 50
    const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
    mesh.advance(100)
    expect(upstream.received.endsWith('\r\n\r\n0\r\n\r\n')).toBe(true)
    expect(caller.statuses).toEqual([200])
  })

  test('a body that comes while the connection is made follows it', async () => {
    const { mesh, upstream } = await orders()
    upstream.connectMs = 50
    const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 6\r\n\r\nab')
    mesh.advance(10)
    caller.sendMore('cd')
    mesh.advance(50)
    caller.sendMore('ef')
    mesh.settle()
    expect(upstream.requests[0]!.text).toBe('abcdef')
    expect(caller.statuses).toEqual([200])
  })

  test('chunks are framed anew: extensions stay behind', async () => {
    const { mesh, upstream } = await orders()
    mesh
      .caller()
      .send(
        'POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n0005;secret="x"\r\nhello\r\n0;more\r\n\r\n',
      )
    mesh.settle()
    expect(upstream.received).toMatch(/\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/)
  })
})

describe('responses', () => {
  test.each([
    ['Content-Length: 5\r\n\r\nhello', 'Content-Length: 5\r\n\r\nhello'],
    [
      'Transfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\n\r\n',
      'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ],
    [
      'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
      'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
    ],
    ['Content-Length: 0\r\n\r\n', 'Content-Length: 0\r\n\r\n'],
  ])('%j arrives as it was framed', async (sent, received) => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(`HTTP/1.1 200 OK\r\n${sent}`)
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.received).toBe(`HTTP/1.1 200 OK\r\n${received}`)
    expect(caller.last.whole).toBe(true)
    expect(caller.gotEnd).toBe(false)
    expectQuiet(mesh)
  })

  test('a body that ends with the connection goes on chunked, and the caller keeps its connection', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nX: 1\r\n\r\nhello')
      connection.end()
    }
    const caller = mesh.caller().get().get()
    mesh.settle()
    expect(caller.received).toBe(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nX: 1\r\n\r\n5\r\nhello\r\n0\r\n\r\n'.repeat(2),
    )
    expect(upstream.connections).toHaveLength(2)
    expectQuiet(mesh)
  })

  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', true],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', true],
    ['HEAD', 'HTTP/1.1 404 No\r\n\r\n', true],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n', true],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', true],
  ])('%s %j has no body on either side, and both connections go on', async (method, response, reused) => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(response)
    const caller = mesh.caller()
    const ask = () => caller.send(`${method} / HTTP/1.1\r\nHost: orders\r\n\r\n`)
    ask()
    mesh.settle()
    ask()
    mesh.settle()
    expect(caller.received).toBe(response.repeat(2))
    expect(caller.responses).toHaveLength(2)
    expect(upstream.connections).toHaveLength(reused ? 1 : 2)
    expectQuiet(mesh)
  })

  test('a 204 that announces a body loses the announcement, and its connection is not used again', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(
      'HTTP/1.1 204 No Content\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    )
    const caller = mesh.caller().get().get()
    mesh.settle()
    expect(caller.received).toBe('HTTP/1.1 204 No Content\r\n\r\n'.repeat(2))
    expect(upstream.connections).toHaveLength(2)
    expectQuiet(mesh)
  })

  test('a HEAD that is answered with a body: the bytes are not taken for the next answer', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(
      'HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    )
    const caller = mesh.caller().send('HEAD / HTTP/1.1\r\nHost: orders\r\n\r\n')
    mesh.settle()
    caller.get('/2')
    mesh.settle()
    expect(caller.responses.map(({ bodyBytes }) => bodyBytes)).toEqual([0, 38])
    expect(upstream.connections).toHaveLength(2)
  })

  test('bytes behind an answer, in the same read or later, end the connection and reach nobody', async () => {
    for (const later of [false, true]) {
      const { mesh, upstream } = await orders()
      upstream.answer = (_request, connection) => {
        const extra = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
        const good = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'
        if (later) {
          connection.send(good)
          mesh.loop.after(5, () => connection.send(extra))
        } else connection.send(good + extra)
      }
      const caller = mesh.caller().get('/1')
      mesh.advance(10)
      caller.get('/2')
      mesh.advance(10)
      expect(caller.responses.map(({ text }) => text)).toEqual(['good', 'good'])
      expect(upstream.connections.map(({ over }) => over)).toEqual([true, true])
      expectQuiet(mesh)
    }
  })

  test('an answer without a request ends the idle connection', async () => {
    const { mesh, upstream } = await orders()
    warm(mesh)
    upstream.last.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
    mesh.settle()
    expect(upstream.last.over).toBe(true)
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.last.text).toBe('ok')
  })

  test('an answer that was sent before its request is not taken for it', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = silent
    upstream.connectMs = 10
    const caller = mesh.caller().get()
    mesh.advance(9)
    expect(upstream.connections).toHaveLength(0)
    mesh.advance(1)
    expect(caller.responses).toHaveLength(0)
    upstream.last.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
    mesh.settle()
    upstream.answer = respond('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood')
    caller.get()
    mesh.advance(10)
    expect(caller.responses.map(({ text }) => text)).toEqual(['', 'good'])
  })
})
