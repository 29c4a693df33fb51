import { expect, test } from 'vitest'
import { Mesh } from '../support/mesh.ts'
import { expectQuiet, orders } from '../support/orders.ts'
import { listenerSpec, matchSpec, routeSpec, serviceSpec, snapshotOf } from '../support/specs.ts'
import type { Answer } from '../support/upstream.ts'

/** Answers with what was asked. */
const echo: Answer = (request, connection) => {
  const body = `${request.method} ${request.target} ${request.text}`
  connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
}

test('a thousand requests in one write are answered in order, one at a time', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = echo
  const caller = mesh.caller()
  const count = 1000
  caller.send(
    Array.from({ length: count }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: orders\r\n\r\n`).join(''),
    ...Array<string>(count).fill('GET'),
  )
  mesh.settle()
  expect(caller.responses.map(({ text }) => text)).toEqual(Array.from({ length: count }, (_, i) => `GET /${i} `))
  expect(upstream.connections).toHaveLength(1)
  expectQuiet(mesh)
})

test('a thousand requests that the proxy answers itself need no stack of a thousand', async () => {
  const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [])]))
  const caller = mesh.caller()
  const count = 1000
  caller.send(
    Array.from({ length: count }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: nobody\r\n\r\n`).join(''),
    ...Array<string>(count).fill('GET'),
  )
  mesh.settle()
  expect(caller.statuses).toEqual(Array(count).fill(404))
  expectQuiet(mesh)
})

test('local replies, forwarded answers and bodies of both framings keep their order', async () => {
  const routes = [
    routeSpec({
      name: '/no',
      match: matchSpec({ path: { kind: 'exact', value: '/no' } }),
      to: [{ service: 'gone', subset: null, weight: 1 }],
    }),
    routeSpec({}),
  ]
  const mesh = await Mesh.start(
    snapshotOf([serviceSpec('orders', ['10.0.0.1:80'], { routes })], [listenerSpec({ service: 'orders' })]),
  )
  mesh.upstream('10.0.0.1:80').answer = (request, connection) =>
    void mesh.loop.after(7, () => echo(request, connection))
  const kinds = [
    'GET /a HTTP/1.1\r\nHost: o\r\n\r\n',
    'GET /no HTTP/1.1\r\nHost: o\r\n\r\n',
    'POST /b HTTP/1.1\r\nHost: o\r\nContent-Length: 3\r\n\r\nxyz',
    'PUT /c HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nuv\r\n1\r\nw\r\n0\r\n\r\n',
    'HEAD /d HTTP/1.1\r\nHost: o\r\n\r\n',
    'PUT /e HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n\r\n',
  ]
  // A HEAD is answered without a body here.
  mesh.upstream('10.0.0.1:80').onHead = () => {}
  const original = mesh.upstream('10.0.0.1:80').answer
  mesh.upstream('10.0.0.1:80').answer = (request, connection) =>
    request.method === 'HEAD'
      ? void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n')
      : original(request, connection)
  const order = Array.from({ length: 300 }, (_, i) => kinds[(i * 7 + ((i * i) % 5)) % kinds.length]!)
  const caller = mesh.caller()
  caller.send(order.join(''), ...order.map(request => request.slice(0, request.indexOf(' '))))
  mesh.advance(3000)
  expect(caller.responses.map(({ status, text }) => (status === 503 ? 'no' : text))).toEqual(
    order.map(request => {
      const [method, path] = request.split(' ')
      if (path === '/no') return 'no'
      return method === 'HEAD' ? '' : `${method} ${path} ${{ '/b': 'xyz', '/c': 'uvw' }[path!] ?? ''}`
    }),
  )
  expectQuiet(mesh)
})

test('requests behind one that is slow wait in the caller, not in memory', async () => {
  const { mesh, upstream } = await orders()
  let answerFirst = () => {}
  upstream.answer = (request, connection) => {
    if (request.target === '/slow') answerFirst = () => echo(request, connection)
    else echo(request, connection)
  }
  const caller = mesh.caller()
  caller.get('/slow')
  mesh.settle()
  const one = `GET /${'x'.repeat(200)} HTTP/1.1\r\nHost: orders\r\n\r\n`
  const count = 4000
  caller.send(one.repeat(count), ...Array<string>(count).fill('GET'))
  mesh.settle()
  // 64 KiB in the proxy at most, 64 KiB in the kernel of the simulated wire.
  expect(caller.wire.unsent).toBeGreaterThan(one.length * count - 4 * 65_536)
  answerFirst()
  mesh.settle()
  expect(caller.responses).toHaveLength(count + 1)
  expect(caller.wire.unsent).toBe(0)
  expectQuiet(mesh)
})

test('a bad request behind good ones: those are answered first, then it is refused', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = (request, connection) => void mesh.loop.after(10, () => echo(request, connection))
  const caller = mesh.caller()
  caller.send(
    'GET /1 HTTP/1.1\r\nHost: o\r\n\r\nGET /2 HTTP/1.1\r\nHost: o\r\n\r\nGET /3 HTTP/1.1\r\nHost : o\r\n\r\nGET /4 HTTP/1.1\r\nHost: o\r\n\r\n',
    'GET',
    'GET',
    'GET',
  )
  mesh.advance(3000)
  expect(caller.statuses).toEqual([200, 200, 400])
  expect(upstream.requests).toHaveLength(2)
  expect(caller.over).toBe(true)
  expect(caller.wasReset).toBe(false)
  expectQuiet(mesh)
})

test('a request that asks to close is the last, whatever came with it', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = echo
  const caller = mesh.caller()
  caller.send('GET /1 HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: o\r\n\r\n', 'GET')
  mesh.advance(3000)
  expect(caller.responses.map(({ text }) => text)).toEqual(['GET /1 '])
  expect(upstream.requests).toHaveLength(1)
})

test('the head of the next request that comes in pieces while one runs', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = (request, connection) => void mesh.loop.after(10, () => echo(request, connection))
  const caller = mesh.caller()
  caller.send('GET /1 HTTP/1.1\r\nHost: o\r\n\r\nGET /2 HT', 'GET', 'GET')
  mesh.advance(5)
  caller.sendMore('TP/1.1\r\nHo')
  mesh.advance(15)
  expect(caller.responses).toHaveLength(1)
  caller.sendMore('st: o\r\n\r\n')
  mesh.advance(20)
  expect(caller.responses.map(({ text }) => text)).toEqual(['GET /1 ', 'GET /2 '])
  expectQuiet(mesh)
})
