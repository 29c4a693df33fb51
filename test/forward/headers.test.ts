import { expect, test, vi } from 'vitest'
import { expectQuiet, orders } from '../support/orders.ts'
import { respond } from '../support/upstream.ts'

test('the fields of a request arrive in their order, case and spelling, then those the proxy adds', async () => {
  const { mesh, upstream } = await orders()
  const caller = mesh.caller()
  caller.send('GET /a?b HTTP/1.1\r\nhOST: Orders:80\r\nX-B:1\r\nx-a:   2 \r\nX-B: 3\r\nEmpty:\r\n\r\n')
  mesh.settle()
  const id = mesh.flight.requestId
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(upstream.received).toBe(
    `GET /a?b HTTP/1.1\r\nhOST: Orders:80\r\nX-B:1\r\nx-a:   2 \r\nX-B: 3\r\nEmpty:\r\nx-request-id: ${id}\r\nx-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\n\r\n`,
  )
})

test('the fields of a response arrive as they were written, bytes above ASCII and all', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = respond(
    'HTTP/1.1 299 Caf\xe9\r\nSet-Cookie: a=1\r\nx-b:2\r\nSet-Cookie: b=\xff\r\ncontent-LENGTH: 2\r\n\r\nok',
  )
  const caller = mesh.caller().get()
  mesh.settle()
  expect(caller.received).toBe(
    'HTTP/1.1 299 Caf\xe9\r\nSet-Cookie: a=1\r\nx-b:2\r\nSet-Cookie: b=\xff\r\ncontent-LENGTH: 2\r\n\r\nok',
  )
})

test('fields of one connection do not pass, in either direction', async () => {
  const { mesh, upstream } = await orders()
  const hops =
    'Connection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-Hop: 1\r\nx-HOP: 2\r\n'
  upstream.answer = respond(`HTTP/1.1 200 OK\r\n${hops}Upgrade: h2c\r\nX-End: 1\r\nContent-Length: 0\r\n\r\n`)
  const caller = mesh.caller().get('/', `${hops}Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nX-End: 1\r\n`)
  mesh.settle()
  expect(upstream.requests[0]!.names).toEqual([
    'Host',
    'X-End',
    'x-request-id',
    'x-forwarded-for',
    'x-forwarded-proto',
    'te',
    'connection',
  ])
  expect(caller.last.names).toEqual(['X-End', 'Content-Length'])
})

test.each([
  ['trailers', 'trailers'],
  ['gzip, Trailers;q=0.5', 'trailers'],
  ['gzip', undefined],
  ['x-trailers', undefined],
])('TE: %s leaves as %s, named by Connection (RFC 9110 section 10.1.4)', async (te, expected) => {
  const { mesh, upstream } = await orders()
  mesh.caller().get('/', `TE: ${te}\r\nConnection: TE, keep-alive\r\n`)
  mesh.settle()
  mesh.http2Caller().ask({ fields: te === 'trailers' ? ['te', te] : [] })
  mesh.settle()
  const asked = upstream.requests.map(request => [request.header('te'), request.header('connection')])
  expect(asked).toEqual([[expected, expected && 'TE'], te === 'trailers' ? ['trailers', 'TE'] : [undefined, undefined]])
})

test('TE is not asked of an endpoint for a caller of HTTP/1.0, nor beside an upgrade', async () => {
  const { mesh, upstream } = await orders()
  mesh.caller().send('GET / HTTP/1.0\r\nHost: orders\r\nTE: trailers\r\n\r\n')
  mesh.caller().get('/chat', 'TE: trailers\r\nConnection: TE, Upgrade\r\nUpgrade: websocket\r\n')
  mesh.settle()
  expect(upstream.requests.map(request => [request.header('te'), request.header('connection')])).toEqual([
    [undefined, undefined],
    [undefined, 'Upgrade'],
  ])
})

test.each(['\tchunked', ' chunked\t', '  chunked', ' chunked ', '\t \tchunked \t '])(
  'Transfer-Encoding:%j is chunked, and is written without the white space',
  async value => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(`HTTP/1.1 200 OK\r\nTransfer-Encoding:${value}\r\n\r\n2\r\nok\r\n0\r\n\r\n`)
    const caller = mesh
      .caller()
      .send(`POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding:${value}\r\nX: 1\r\n\r\n3\r\nabc\r\n0\r\n\r\n`)
    mesh.settle()
    expect(upstream.received).toContain('\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n')
    expect(upstream.received.match(/transfer-encoding/gi)).toHaveLength(1)
    expect(caller.last.all('transfer-encoding')).toEqual(['chunked'])
    expect(caller.received.match(/transfer-encoding: chunked\r\n/gi)).toHaveLength(1)
    expect(caller.last.text).toBe('ok')
  },
)

test('fields of one connection at the very start and end of a head, and next to each other', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = respond(
    'HTTP/1.1 200 OK\r\nTE: a\r\nA: 1\r\nTE: b\r\nKeep-Alive: c\r\nB: 2\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n',
  )
  const caller = mesh
    .caller()
    .send(
      'GET / HTTP/1.1\r\nTE: a\r\nKeep-Alive: x\r\nHost: orders\r\nTE: b\r\nA: 1\r\nConnection: a\r\nB: 2\r\nTE: c\r\n\r\n',
    )
  mesh.settle()
  expect(upstream.requests[0]!.names.slice(0, 2)).toEqual(['Host', 'B'])
  expect(caller.last.names).toEqual(['A', 'B', 'Content-Length'])
})

test.each([
  'host',
  'content-length',
  'transfer-encoding',
  'authorization',
  'cookie',
  'x-forwarded-for',
  'x-request-id',
])('a caller cannot take %s away from the endpoint by naming it in Connection', async name => {
  const { mesh, upstream } = await orders()
  const body = name === 'transfer-encoding' ? 'Transfer-Encoding: chunked\r\n' : 'Content-Length: 2\r\n'
  const caller = mesh
    .caller()
    .send(
      `POST / HTTP/1.1\r\nHost: orders\r\nAuthorization: a\r\nCookie: c\r\nX-Forwarded-For: 1.2.3.4\r\nX-Request-Id: r\r\n${body}Connection: close, ${name}\r\n\r\n${name === 'transfer-encoding' ? '2\r\nhi\r\n0\r\n\r\n' : 'hi'}`,
    )
  mesh.advance(2000)
  expect(caller.statuses).toEqual([200])
  expect(upstream.requests[0]!.text).toBe('hi')
  expect(upstream.requests[0]!.all(name)).toHaveLength(1)
  expect(upstream.requests[0]!.header('connection')).toBeUndefined()
})

test('a caller cannot use Connection to spend time: sixty kilobytes of names beside a hundred fields', async () => {
  const { mesh, upstream } = await orders()
  const names = Array.from({ length: 14_000 }, (_, i) => `x${i.toString(36)}`)
    .join(',')
    .slice(0, 57_000)
  const fields = Array.from({ length: 95 }, (_, i) => `f${i}: ${i}\r\n`).join('')
  const decoded = vi.spyOn(Buffer.prototype, 'latin1Slice')
  mesh.caller().get('/', `${fields}Connection: ${names}\r\n`)
  mesh.settle()
  // Name by name against field by field it would be more than a million.
  expect(decoded.mock.calls.length).toBeLessThan(1000)
  decoded.mockRestore()
  expect(upstream.requests).toHaveLength(1)
})

test('x-forwarded-for grows by the caller; x-forwarded-proto is kept', async () => {
  const { mesh, upstream } = await orders()
  mesh.caller().get('/', 'X-Forwarded-For: 1.2.3.4\r\nx-forwarded-for: 5.6.7.8\r\nX-Forwarded-Proto: https\r\n')
  mesh.settle()
  const [request] = upstream.requests
  expect(request!.all('x-forwarded-for')).toEqual(['1.2.3.4, 5.6.7.8, 127.0.0.1'])
  expect(request!.all('x-forwarded-proto')).toEqual(['https'])
})

test('x-request-id of the caller is kept, and of two requests without one each gets its own', async () => {
  const { mesh, upstream } = await orders()
  mesh.caller().get('/', 'X-REQUEST-ID: mine\r\n').get().get()
  mesh.settle()
  const ids = upstream.requests.map(request => request.all('x-request-id'))
  expect(ids[0]).toEqual(['mine'])
  expect(ids.every(({ length }) => length === 1)).toBe(true)
  expect(new Set(ids.flat()).size).toBe(3)
})

test('an absolute target goes on in origin form, and its host is the only Host', async () => {
  const { mesh, upstream } = await orders()
  const caller = mesh.caller().send('GET http://Orders:8080/a?b HTTP/1.1\r\nX: 1\r\nHost: evil\r\nY: 2\r\n\r\n')
  mesh.settle()
  const [request] = upstream.requests
  expect(request!.startLine).toBe('GET /a?b HTTP/1.1')
  expect(request!.all('host')).toEqual(['Orders:8080'])
  expect(request!.names.slice(0, 3)).toEqual(['Host', 'X', 'Y'])
  expect(caller.statuses).toEqual([200])
})

test.each([
  ['OPTIONS * HTTP/1.1\r\nHost: orders\r\n', 'OPTIONS * HTTP/1.1'],
  ['OPTIONS http://orders HTTP/1.1\r\nHost: orders\r\n', 'OPTIONS * HTTP/1.1'],
  ['GET http://orders?x HTTP/1.1\r\nHost: orders\r\n', 'GET /?x HTTP/1.1'],
])('%j goes on as %s', async (head, line) => {
  const { mesh, upstream } = await orders()
  mesh.caller().send(`${head}\r\n`)
  mesh.settle()
  expect(upstream.requests[0]!.startLine).toBe(line)
})

test('heads that fill the room there is: many fields both ways, larger than the shared buffer', async () => {
  const { mesh, upstream } = await orders({ limits: { responseHeadBytes: 131_072 } })
  const big = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: ${'v'.repeat(1000)}\r\n`).join('')
  upstream.answer = respond(`HTTP/1.1 200 OK\r\n${big(100)}Content-Length: 2\r\n\r\nok`)
  const caller = mesh.caller().send(`POST / HTTP/1.1\r\nHost: orders\r\n${big(50)}Content-Length: 2\r\n\r\nhi`)
  mesh.settle()
  expect(caller.last.names).toHaveLength(101)
  expect(caller.last.text).toBe('ok')
  expect(upstream.requests[0]!.text).toBe('hi')
  expect(upstream.requests[0]!.names).toHaveLength(1 + 50 + 1 + 3)
  expectQuiet(mesh)
})

test.each(['CONNECT orders:443 HTTP/1.1\r\nHost: orders\r\n', 'CONNECT a:1 HTTP/1.0\r\n'])(
  'a tunnel that is not allowed is answered 403 and never asked of an endpoint: %j',
  async head => {
    const { mesh, upstream } = await orders()
    const caller = mesh.caller().send(`${head}\r\n`)
    mesh.settle()
    expect(caller.statuses).toEqual([403])
    expect(upstream.connections).toHaveLength(0)
  },
)
