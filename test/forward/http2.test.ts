import { describe, expect, test } from 'vitest'
import * as frames from '../codec/h2/support/frames.ts'
import { nextMicrotasks } from '../support/mesh.ts'
import { expectQuiet, orders } from '../support/orders.ts'
import { ok, respond, silent } from '../support/upstream.ts'

/** Callers that speak HTTP/2, endpoints that speak HTTP/1.1. */

describe('a request', () => {
  test('is written as HTTP/1.1 has it: Host, one Cookie, nothing of one connection', async () => {
    const { mesh, upstream } = await orders()
    const caller = mesh.http2Caller()
    const got = caller.ask({
      path: '/a?b=c',
      authority: 'orders:80',
      fields: ['te', 'trailers', 'cookie', 'a=1', 'x-one', '1', 'cookie', 'b=2', 'x-two', ''],
    })
    mesh.settle()
    expect(got.status).toBe(200)
    const request = upstream.requests[0]!
    expect(request.startLine).toBe('GET /a?b=c HTTP/1.1')
    expect(request.all('host')).toEqual(['orders:80'])
    expect(request.all('cookie')).toEqual(['a=1; b=2'])
    expect(request.header('x-one')).toBe('1')
    expect(request.header('x-two')).toBe('')
    expect([request.header('te'), request.header('connection')]).toEqual(['trailers', 'TE'])
    expect(request.names).not.toContain('transfer-encoding')
    expect(mesh.flight).toMatchObject({ method: 'GET', path: '/a?b=c' })
    expectQuiet(mesh)
  })

  test('has its body framed: by its length, by chunks, or not at all', async () => {
    const { mesh, upstream } = await orders()
    const caller = mesh.http2Caller()
    caller.ask({ method: 'POST', fields: ['content-length', '5'], body: 'hello' })
    caller.ask({ method: 'POST', body: 'hello', trailers: ['x-sum', '1'] })
    caller.ask({ method: 'POST' })
    caller.ask({ method: 'DELETE' })
    mesh.settle()
    const seen = upstream.requests.map(request => [
      request.header('content-length'),
      request.header('transfer-encoding'),
      request.text,
      request.trailers.length,
    ])
    expect(seen).toEqual([
      ['5', undefined, 'hello', 0],
      [undefined, 'chunked', 'hello', 1],
      ['0', undefined, '', 0],
      [undefined, undefined, '', 0],
    ])
    expectQuiet(mesh)
  })

  test('runs beside others of its connection', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = (request, connection) =>
      void mesh.loop.after(request.target === '/slow' ? 100 : 1, () => ok(request, connection))
    const caller = mesh.http2Caller()
    const slow = caller.ask({ path: '/slow' })
    const quick = Array.from({ length: 20 }, () => caller.ask())
    mesh.advance(10)
    expect(quick.every(({ status }) => status === 200)).toBe(true)
    expect(slow.status).toBe(0)
    mesh.advance(100)
    expect(slow.status).toBe(200)
    expect(upstream.requests).toHaveLength(21)
    expectQuiet(mesh)
  })

  test('that is given up is given up upstream', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = silent
    const caller = mesh.http2Caller()
    const got = caller.ask()
    mesh.settle()
    expect(upstream.open).toHaveLength(1)
    got.cancel()
    mesh.settle()
    expect(upstream.open).toHaveLength(0)
    expect(mesh.flight).toMatchObject({ status: 499 })
    expect(mesh.flight.failure).toBe('downstream-gone')
    expect(caller.ask().stream).toBeDefined()
    caller.close()
    mesh.settle()
    expectQuiet(mesh)
  })

  test('CONNECT is refused, and so is the extended one to what the service does not allow', async () => {
    const { mesh, upstream } = await orders()
    const caller = mesh.http2Caller()
    const got = caller.ask({ method: 'CONNECT', authority: 'orders:80', path: 'orders:80', upgrade: 'connect' })
    mesh.settle()
    expect(got.status).toBe(403)
    const raw = mesh.caller()
    raw.reader.push = () => {}
    raw.sendMore(
      Buffer.concat([
        frames.hello,
        frames.headers(
          1,
          false,
          ':method',
          'CONNECT',
          ':protocol',
          'irc',
          ':scheme',
          'http',
          ':path',
          '/',
          ':authority',
          'orders',
        ),
      ]),
    )
    mesh.settle()
    expect(mesh.flight).toMatchObject({ status: 403, method: 'GET', failure: 'tunnel-refused' })
    expect(upstream.requests).toHaveLength(0)
  })
})

describe('nothing that would mean something else in HTTP/1.1 gets through', () => {
  const base = [':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'orders']
  const replaced = (name: string, value: string) =>
    base.map((text, i) => (base[i - 1] === name && i % 2 === 1 ? value : text))
  const heads: [string, string[]][] = [
    ['CR LF in a value', [...base, 'x', 'a\r\nTransfer-Encoding: chunked']],
    ['LF in a value', [...base, 'x', 'a\nb: c']],
    ['NUL in a value', [...base, 'x', 'a\0b']],
    ['CR LF in a name', [...base, 'x\r\ny', 'a']],
    ['a space in a name', [...base, 'content-length ', '3']],
    ['a colon in a name', [...base, 'transfer-encoding: chunked', 'a']],
    ['an uppercase name', [...base, 'Content-Length', '3']],
    ['a space in the method', replaced(':method', 'GET /admin HTTP/1.1\r\nx:')],
    ['a space in the path', replaced(':path', '/ HTTP/1.1')],
    ['CR LF in the path', replaced(':path', '/ HTTP/1.1\r\nx: y')],
    ['a fragment of another origin as path', replaced(':path', 'http://other/')],
    ['CR LF in the authority', replaced(':authority', 'orders\r\nx: y')],
    ['a path in the authority', replaced(':authority', 'orders/x')],
    ['user information in the authority', replaced(':authority', 'a@orders')],
    ['another Host', [...base, 'host', 'other']],
    ['two Hosts', [...base, 'host', 'orders', 'host', 'orders']],
    ['Transfer-Encoding', [...base, 'transfer-encoding', 'chunked']],
    ['Connection', [...base, 'connection', 'close']],
    ['Upgrade', [...base, 'upgrade', 'h2c']],
    ['two lengths', [...base, 'content-length', '3', 'content-length', '4']],
    ['a length that is no number', [...base, 'content-length', '+3']],
    ['a list of lengths', [...base, 'content-length', '3, 3']],
  ]
  test.each(heads)('%s', async (_name, fields) => {
    const { mesh, upstream } = await orders()
    const raw = mesh.caller()
    raw.reader.push = () => {}
    raw.sendMore(Buffer.concat([frames.hello, frames.headers(1, false, ...fields), frames.data(1, 'abc', true)]))
    mesh.settle()
    expect(upstream.received).toBe('')
    expect(mesh.flight).toMatchObject({ status: 400 })
    raw.close()
    mesh.settle()
    expectQuiet(mesh)
  })

  test.each([
    ['less', '5', 'abc'],
    ['more', '2', 'abc'],
  ])('%s DATA than Content-Length: the endpoint never sees a whole request', async (_name, length, body) => {
    const { mesh, upstream } = await orders()
    const raw = mesh.caller()
    raw.reader.push = () => {}
    raw.sendMore(Buffer.concat([frames.hello, frames.headers(1, false, ...base, 'content-length', length)]))
    mesh.settle()
    raw.sendMore(frames.data(1, body, true))
    mesh.settle()
    expect(upstream.requests.every(({ whole }) => !whole)).toBe(true)
    expect(upstream.open).toHaveLength(0)
    expect(mesh.flight).toMatchObject({ status: 400 })
    raw.close()
    mesh.settle()
    expectQuiet(mesh)
  })
})

describe('an answer', () => {
  test('loses what is of one connection, and its names their capitals', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(
      'HTTP/1.1 200 Fine\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX-End: 2\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 3\r\n\r\n',
    )
    const got = mesh.http2Caller().ask()
    mesh.settle()
    expect(got.fields.pairs).toEqual(['set-cookie', 'a', 'set-cookie', 'b', 'x-end', '2'])
    expect(got.body).toBe('ok')
    expect(got.trailing?.get('x-sum')).toBe('3')
    expectQuiet(mesh)
  })

  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n', 200, '100'],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204, undefined],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n', 304, '100'],
    ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 200, '0'],
  ])('without a body: %s %s', async (method, text, status, length) => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(text)
    const got = mesh.http2Caller().ask({ method })
    mesh.settle()
    expect(got).toMatchObject({ status, ended: true, body: '' })
    expect(got.fields.get('content-length')).toBe(length)
    expectQuiet(mesh)
  })

  test('that ends with the connection is whole, and one cut short is not', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\n\r\nall of it')
      connection.end()
    }
    const caller = mesh.http2Caller()
    const whole = caller.ask()
    mesh.settle()
    expect(whole).toMatchObject({ body: 'all of it', ended: true })
    upstream.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc')
      connection.end()
    }
    const cut = caller.ask()
    mesh.settle()
    expect(cut).toMatchObject({ body: 'abc', ended: false, status: 200 })
    expect(cut.failure).not.toBeNull()
    expectQuiet(mesh)
  })

  test('has interim heads before it', async () => {
    const { mesh, upstream } = await orders()
    upstream.onHead = (_request, connection) => void connection.send('HTTP/1.1 100 Continue\r\n\r\n')
    const got = mesh
      .http2Caller()
      .ask({ method: 'POST', fields: ['expect', '100-continue', 'content-length', '3'], body: null })
    mesh.settle()
    expect(got.interim).toEqual([100])
    got.send('abc', true)
    mesh.settle()
    expect(got.status).toBe(200)
    expectQuiet(mesh)
  })

  test('of the proxy itself', async () => {
    const { mesh, upstream } = await orders()
    upstream.connect = 'refuse'
    const got = mesh.http2Caller().ask()
    mesh.advance(1000)
    expect(got).toMatchObject({ status: 503, ended: true })
    expect(JSON.parse(got.body)).toMatchObject({ failure: 'connect-refused' })
    expectQuiet(mesh)
  })
})

describe('back-pressure', () => {
  test('a caller that stops reading one stream stops its endpoint, and no other stream', async () => {
    const { mesh, upstream } = await orders()
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let sent = 0
    upstream.answer = (request, connection) => {
      if (request.target !== '/large') return ok(request, connection)
      connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${400 * chunk.length}\r\n\r\n`)
      const more = () => {
        while (sent < 400) {
          sent++
          if (!connection.send(chunk)) return
        }
      }
      connection.drained = more
      more()
    }
    const caller = mesh.http2Caller()
    const large = caller.ask({ path: '/large' })
    large.accept = false
    mesh.settle()
    expect(sent).toBeLessThan(100)
    const other = caller.ask()
    mesh.settle()
    expect(other.status).toBe(200)
    large.resume()
    mesh.settle()
    expect(large).toMatchObject({ bytes: 400 * chunk.length, ended: true })
    expect(Math.max(...mesh.wires.map(({ peakUnsent }) => peakUnsent))).toBeLessThan(2 * 1024 * 1024)
    expectQuiet(mesh)
  })

  test('an endpoint that stops reading stops the stream that it is for', async () => {
    const { mesh, upstream } = await orders()
    upstream.onHead = (request, connection) => {
      if (request.target === '/stop') connection.wire.pause()
    }
    const caller = mesh.http2Caller()
    const stopped = caller.ask({ method: 'POST', path: '/stop', body: null })
    const chunk = Buffer.alloc(64 * 1024)
    let sent = 0
    for (; sent < 400 && stopped.mayWrite; sent++) {
      stopped.send(chunk)
      mesh.settle()
    }
    expect(sent).toBeLessThan(60)
    const other = caller.ask({ method: 'POST', body: 'abc' })
    mesh.settle()
    expect(other.status).toBe(200)
    upstream.connections[0]!.wire.resume()
    mesh.settle()
    stopped.send('', true)
    mesh.settle()
    expect(stopped.status).toBe(200)
    expect(upstream.requests[0]!.bodyBytes).toBe(sent * chunk.length)
    expectQuiet(mesh)
  })
})

test('a drain lets what runs finish, and closes', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = (request, connection) => void mesh.loop.after(500, () => ok(request, connection))
  const [busy, idle] = [mesh.http2Caller(), mesh.http2Caller()]
  const got = busy.ask()
  idle.ask()
  mesh.advance(600)
  const last = busy.ask()
  mesh.advance(10)
  mesh.thread.receive({ kind: 'drain', side: 'all', delayMs: 0, timeoutMs: 5000 })
  mesh.advance(10)
  await nextMicrotasks()
  mesh.advance(100)
  expect([got.status, idle.over, busy.over]).toEqual([200, true, false])
  await nextMicrotasks()
  mesh.advance(2000)
  await nextMicrotasks()
  expect([last.status, busy.over]).toEqual([200, true])
  expect(mesh.messages.find(({ kind }) => kind === 'drained')).toMatchObject({ cut: 0 })
  expectQuiet(mesh)
})

test('a request after one that was given up, on the same stream object, is one of its own', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = silent
  const caller = mesh.http2Caller()
  const first = caller.ask()
  mesh.settle()
  first.cancel()
  mesh.settle()
  upstream.answer = ok
  const second = caller.ask()
  mesh.settle()
  expect(second).toMatchObject({ status: 200, body: 'ok' })
  expect(mesh.flights().map(({ status }) => status)).toEqual([200, 499])
  expectQuiet(mesh)
})
