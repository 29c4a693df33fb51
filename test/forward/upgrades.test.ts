import { describe, expect, test } from 'vitest'
import * as frames from '../codec/h2/support/frames.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import type { MemoryWire } from '../support/memory-wire.ts'
import { A, B, expectQuiet, orders } from '../support/orders.ts'
import {
  ACCEPT,
  acceptFor,
  downstreams,
  http1Caller,
  http1End,
  KEY,
  upgradeRequest,
  upstreams,
} from '../support/tunnels.ts'
import { respond } from '../support/upstream.ts'

const switching = (fields: string) => `HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n`

describe('an endpoint that answers otherwise', () => {
  test.each([401, 426, 200])(
    'with %d: the answer passes as any other, and ends the connection of the caller, who may have sent more',
    async status => {
      const { mesh, upstream } = await orders()
      upstream.answer = respond(`HTTP/1.1 ${status} Else\r\nX-Own: 1\r\nContent-Length: 4\r\n\r\nelse`)
      const caller = mesh.caller().send(upgradeRequest())
      mesh.settle()
      expect([
        caller.last.status,
        caller.last.text,
        caller.last.header('x-own'),
        caller.last.header('connection'),
      ]).toEqual([status, 'else', '1', 'close'])
      caller.sendMore('GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n')
      mesh.settle()
      expect([caller.statuses, caller.gotEnd]).toEqual([[status], true])
      // The one to the endpoint goes on: nothing was sent on it but the request.
      mesh.caller().get()
      mesh.settle()
      expect(upstream.connections).toHaveLength(1)
      expect(upstream.requests.map(({ target }) => target)).toEqual(['/chat', '/'])
      expect(mesh.stat('outrigger_tunnels_active')).toBe(0)
      expectQuiet(mesh)
    },
  )

  test('what came behind the request is neither a tunnel nor a request', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n')
    const caller = mesh
      .caller()
      .send(upgradeRequest(), 'GET')
      .sendMore('GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n')
    expect(caller).toBe(true)
    mesh.advance(2000)
    expect(mesh.callers[0]!.statuses).toEqual([426])
    expect([mesh.callers[0]!.last.header('connection'), mesh.callers[0]!.over]).toEqual(['close', true])
    expect(upstream.received).not.toContain('smuggled')
    expectQuiet(mesh)
  })

  test('to a caller on HTTP/2 an error passes, and a page is no grant', async () => {
    for (const [status, expected, failure] of [
      [426, 426, ''],
      [200, 502, 'upgrade-ignored'],
      [204, 502, 'upgrade-ignored'],
    ] as const) {
      const { mesh, upstream } = await orders()
      upstream.answer = respond(
        `HTTP/1.1 ${status} Else\r\n${status === 204 ? '' : 'Content-Length: 4\r\n'}\r\n${status === 204 ? '' : 'else'}`,
      )
      const caller = downstreams['HTTP/2'](mesh)
      mesh.settle()
      caller.send('not for a page')
      mesh.settle()
      expect([caller.status, mesh.flight.failure]).toEqual([expected, failure])
      expect(upstream.received).not.toContain('not for a page')
      expectQuiet(mesh)
    }
  })

  test('an interim head before the 101 passes too', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(
      `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${switching(`Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`)}hello`,
    )
    const caller = http1Caller(mesh.caller(), upgradeRequest())
    mesh.settle()
    expect(caller.caller.received).toMatch(/^HTTP\/1\.1 103 [\s\S]*HTTP\/1\.1 101 [\s\S]*hello$/)
  })
})

describe('a 101 that is not as it should be', () => {
  test.each([
    ['to another protocol', 'Upgrade: irc\r\nConnection: Upgrade\r\n'],
    ['to two', 'Upgrade: websocket, irc\r\nConnection: Upgrade\r\n'],
    ['to two in two fields', 'Upgrade: websocket\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'],
    ['to none', 'Connection: Upgrade\r\n'],
    ['without Connection', 'Upgrade: websocket\r\n'],
  ])('%s', async (_name, fields) => {
    const { mesh, upstream } = await orders({ retries: { attempts: 1 } })
    upstream.answer = respond(switching(fields))
    const caller = mesh.caller().send(upgradeRequest())
    mesh.settle()
    expect(caller.statuses).toEqual([502])
    expect(mesh.flight).toMatchObject({ failure: 'upstream-protocol-error', flag: 'UPE' })
    expect(upstream.open).toHaveLength(0)
    expectQuiet(mesh)
  })

  test('that nobody asked for', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(switching('Upgrade: websocket\r\nConnection: Upgrade\r\n'))
    const caller = mesh.caller().get('/', 'Upgrade: websocket\r\n')
    mesh.settle()
    expect(caller.statuses).toEqual([502])
  })

  test('from HTTP/1.0', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(switching('Upgrade: websocket\r\nConnection: Upgrade\r\n').replace('1.1', '1.0'))
    const caller = mesh.caller().send(upgradeRequest())
    mesh.settle()
    expect(caller.statuses).toEqual([502])
  })

  test('with another accept than the key has that the proxy made', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(
      switching(`Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`),
    )
    const caller = downstreams['HTTP/2'](mesh)
    mesh.settle()
    expect([caller.status, mesh.flight.failure]).toEqual([502, 'upstream-protocol-error'])
    expect(mesh.flight.detail).toContain('Sec-WebSocket-Accept')
  })

  test('with a Content-Length, which means nothing there', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = respond(
      `${switching('Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3\r\n')}more than three`,
    )
    const caller = http1Caller(mesh.caller(), upgradeRequest())
    mesh.settle()
    expect([caller.status, caller.received]).toEqual([101, 'more than three'])
    expect(caller.head).not.toMatch(/content-length/i)
  })
})

describe('the handshake of a WebSocket', () => {
  test('passes between HTTP/1.1 and HTTP/1.1 as it is', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = (_request, connection) => {
      http1End(connection)
      connection.send(
        switching(
          `upgrade: WebSocket\r\nconnection: upgrade\r\nSec-WebSocket-Accept: whatever\r\nSec-WebSocket-Protocol: chat\r\n`,
        ),
      )
    }
    const caller = http1Caller(mesh.caller(), upgradeRequest('WebSocket', 'Sec-WebSocket-Protocol: chat, mqtt\r\n'))
    mesh.settle()
    const [request] = upstream.requests
    expect(request!.header('upgrade')).toBe('WebSocket')
    expect(request!.header('connection')).toBe('Upgrade')
    expect([request!.header('sec-websocket-key'), request!.header('sec-websocket-protocol')]).toEqual([
      KEY,
      'chat, mqtt',
    ])
    expect(caller.head).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/)
    for (const line of [
      'Sec-WebSocket-Accept: whatever',
      'Sec-WebSocket-Protocol: chat',
      'connection: Upgrade',
      'upgrade: websocket',
    ])
      expect(caller.head).toContain(line)
  })

  test('has a key made for HTTP/1.1, another one each time', async () => {
    const { mesh, upstream } = await orders()
    const ends = upstreams['HTTP/1.1'](mesh, A)
    for (let i = 0; i < 2; i++) downstreams['HTTP/2'](mesh)
    mesh.settle()
    expect(ends).toHaveLength(2)
    const keys = upstream.requests.map(request => request.header('sec-websocket-key')!)
    expect(new Set(keys).size).toBe(2)
    for (const key of keys) expect(Buffer.from(key, 'base64')).toHaveLength(16)
    expect(upstream.requests[0]).toMatchObject({ method: 'GET', target: '/chat' })
  })

  test('has its answer made for HTTP/1.1', async () => {
    const { mesh } = await orders({ protocol: 'http2' })
    const endpoint = new Http2Endpoint(mesh, A)
    endpoint.onHead = ({ stream }) =>
      reply(stream, 101, ['sec-websocket-protocol', 'chat', 'sec-websocket-accept', 'of its own'], '', null, false)
    const caller = http1Caller(mesh.caller(), upgradeRequest())
    mesh.settle()
    expect(caller.head.match(/sec-websocket-accept: .*/gi)).toEqual([`sec-websocket-accept: ${acceptFor(KEY)}`])
    expect(caller.head).toContain('sec-websocket-protocol: chat')
    const [served] = endpoint.served
    expect([served!.upgrade, served!.method, served!.path]).toEqual(['websocket', 'GET', '/chat'])
    // For an HTTP/1.1 server behind the endpoint, as behind Envoy.
    expect(served!.fields.get('sec-websocket-key')).toBe(KEY)
    expect(served!.fields.get('sec-websocket-version')).toBe('13')
  })

  test('is an extended CONNECT in HTTP/2, granted with 200', async () => {
    const { mesh } = await orders()
    upstreams['HTTP/1.1'](mesh, A)
    const raw = mesh.caller()
    raw.reader.push = () => {}
    const ask = frames.headers(
      1,
      false,
      ':method',
      'CONNECT',
      ':protocol',
      'websocket',
      ':scheme',
      'http',
      ':path',
      '/chat',
      ':authority',
      'orders',
    )
    raw.sendMore(Buffer.concat([frames.hello, ask, frames.data(1, 'early')]))
    mesh.settle()
    const lines = frames.linesOf(Buffer.from(raw.received, 'latin1'))
    expect(lines.slice(0, 2)).toEqual(['HEADERS 1', '  :status: 200'])
    expect(lines.join()).not.toMatch(/sec-websocket-accept|upgrade|connection:/)
    expect(mesh.upstream(A).received).toMatch(/early$/)
    expect(mesh.flight === undefined).toBe(true)
  })
})

describe('an endpoint that speaks HTTP/2', () => {
  test('and takes no extended CONNECT: a clear failure, and nothing against the endpoint', async () => {
    const { mesh } = await orders({ protocol: 'http2', endpoints: [A, B] })
    const endpoints = [A, B].map(name => new Http2Endpoint(mesh, name, { extendedConnect: false }))
    const callers = [mesh.caller().send(upgradeRequest())]
    mesh.settle()
    expect(callers[0]!.statuses).toEqual([502])
    expect(JSON.parse(callers[0]!.last.text)).toMatchObject({ failure: 'upgrade-unsupported', flag: 'UPE' })
    // On the connection that is known by now it is known at once; an ordinary request goes on.
    callers.push(mesh.caller().send(upgradeRequest()))
    mesh.settle()
    callers.push(mesh.caller().get())
    mesh.settle()
    expect(callers.map(({ statuses }) => statuses)).toEqual([[502], [502], [200]])
    expect(endpoints.flatMap(({ served }) => served)).toHaveLength(1)
    expect(mesh.stat('outrigger_upstream_failures_total')).toBe(0)
    mesh.settle()
    expectQuiet(mesh)
  })

  test('is asked only once it has said so, and then in the order of stream ids', async () => {
    const { mesh } = await orders({ protocol: 'http2', mesh: { upstream: { latencyMs: 50 } } })
    const endpoint = new Http2Endpoint(mesh, A)
    endpoint.onHead = served => {
      if (served.upgrade !== '') reply(served.stream, 101, [], '', null, false)
    }
    const first = http1Caller(mesh.caller(), upgradeRequest())
    const second = mesh.caller().get('/second')
    mesh.advance(1000)
    expect([first.status, second.statuses]).toEqual([101, [200]])
    expect(endpoint.served.map(({ path }) => path)).toEqual(['/second', '/chat'])
    expect(endpoint.connections).toHaveLength(1)
  })

  test('cannot be asked with another method than GET', async () => {
    const { mesh } = await orders({ protocol: 'http2', upgrades: ['tcp'] })
    const endpoint = new Http2Endpoint(mesh, A)
    const caller = mesh
      .caller()
      .send('POST /attach HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
    mesh.settle()
    expect(caller.statuses).toEqual([502])
    expect(mesh.flight).toMatchObject({ failure: 'upgrade-unsupported' })
    expect(endpoint.served).toHaveLength(0)
  })
})

test('an endpoint that ends its direction and drops ours (RST_STREAM NO_ERROR, as node:http2 does) cuts nobody', async () => {
  const { mesh, upstream } = await orders({ protocol: 'http2' })
  let far: MemoryWire | null = null
  upstream.serve = wire => {
    far = wire
    wire.handler = { bytes() {}, drained() {}, ended() {}, closed() {} }
  }
  const caller = http1Caller(mesh.caller(), upgradeRequest())
  mesh.settle()
  const say = (...bytes: Buffer[]) => {
    far!.write(Buffer.concat(bytes))
    mesh.settle()
  }
  say(frames.settings(8, 1), frames.settingsAck)
  // The stream that was opened before the settings came was passed over.
  say(frames.headers(3, false, ':status', '200'), frames.data(3, 'bye', true), frames.reset(3, 0))
  expect([caller.status, caller.received, caller.gotEnd, caller.wasCut]).toEqual([101, 'bye', true, false])
  caller.send('nobody hears it')
  mesh.settle()
  caller.send('', true)
  mesh.settle()
  expect([caller.wasCut, mesh.flight.flag, mesh.flight.bytesIn]).toEqual([false, '-', 15])
  expect(mesh.stat('outrigger_upstream_requests_active')).toBe(0)
  // The connection serves others.
  mesh.caller().get('/after')
  mesh.settle()
  expect(upstream.dials).toBe(1)
})

test('a POST keeps its method between HTTP/1.1 and HTTP/1.1', async () => {
  const { mesh, upstream } = await orders({ upgrades: ['tcp'] })
  const ends = upstreams['HTTP/1.1'](mesh, A)
  const caller = http1Caller(
    mesh.caller(),
    'POST /attach HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n',
  )
  mesh.settle()
  caller.send('hello')
  mesh.settle()
  expect([caller.status, upstream.requests[0]!.method, ends[0]!.received]).toEqual([101, 'POST', 'hello'])
})

test('before the 101 an attempt is tried again as that of any GET', async () => {
  const { mesh } = await orders({ endpoints: [A, B] })
  mesh.upstream(B).answer = (_request, connection) => connection.reset()
  const ends = upstreams['HTTP/1.1'](mesh, A)
  const caller = http1Caller(mesh.caller(), upgradeRequest())
  mesh.advance(500)
  expect([caller.status, ends.length]).toEqual([101, 1])
  caller.send('', true)
  ends[0]!.send('', true)
  mesh.settle()
  expect(mesh.flight.attempts.map(({ status, failure }) => [status, failure])).toEqual([
    [0, 'reset-before-response'],
    [101, ''],
  ])
  expectQuiet(mesh)
})

test('`timeouts.request` runs to the 101', async () => {
  const { mesh, upstream } = await orders({ timeouts: { requestMs: 1000 } })
  upstream.answer = () => {}
  const caller = mesh.caller().send(upgradeRequest())
  mesh.advance(1100)
  expect(caller.statuses).toEqual([504])
})

test('a tunnel is one of `limits.requests`, and its connection never carries anything else', async () => {
  const { mesh, upstream } = await orders({ limits: { requests: 1 } })
  const [end] = [upstreams['HTTP/1.1'](mesh, A)]
  const tunnel = http1Caller(mesh.caller(), upgradeRequest())
  mesh.settle()
  const caller = mesh.caller().get()
  mesh.settle()
  expect(caller.statuses).toEqual([503])
  tunnel.send('', true)
  end[0]!.send('', true)
  mesh.settle()
  tunnel.close()
  caller.get()
  mesh.settle()
  expect(caller.statuses).toEqual([503, 200])
  expect(upstream.connections).toHaveLength(2)
  expectQuiet(mesh)
})

test('a protocol is asked of an endpoint only where `upgrades` names it', async () => {
  const { mesh, upstream } = await orders({ upgrades: [] })
  const [one, two] = [mesh.caller().send(upgradeRequest()), downstreams['HTTP/2'](mesh)]
  mesh.settle()
  expect([one.statuses, two.status]).toEqual([[403], 403])
  expect(mesh.flight).toMatchObject({
    failure: 'tunnel-refused',
    detail: 'websocket is not among the upgrades of orders',
  })
  expect(upstream.connections).toHaveLength(0)
})

test('a request with a body cannot be upgraded at an endpoint that speaks HTTP/2', async () => {
  const { mesh } = await orders({ protocol: 'http2', upgrades: ['tcp'] })
  const endpoint = new Http2Endpoint(mesh, A)
  const caller = mesh
    .caller()
    .send('GET /exec HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}')
  mesh.settle()
  expect(caller.statuses).toEqual([502])
  expect(mesh.flight).toMatchObject({ failure: 'upgrade-unsupported' })
  expect(endpoint.served).toHaveLength(0)
  expectQuiet(mesh)
})
