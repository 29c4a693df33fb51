import { describe, expect, test } from 'vitest'
import { failures } from '../../proxy/core/failure.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import type { MemoryWire } from '../support/memory-wire.ts'
import { between, expectQuiet, meet, SIDECAR, twoSidecars } from '../support/two-sidecars.ts'
import { respond, type Upstream } from '../support/upstream.ts'

/** How two sidecars find out about each other, and what happens when one of them is no more. */

const HOP = 'HTTP/2 hop'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

type Sidecars = Awaited<ReturnType<typeof twoSidecars>>

function get({ mesh }: Sidecars, headers = ''): number[] {
  const caller = mesh.caller()
  caller.get('/', headers)
  mesh.advance(50)
  caller.close()
  mesh.settle()
  return caller.statuses
}

/**
 * Takes HTTP/1.1, and says to an HTTP/2 preface what servers say to a request they do not understand; or leaves it to
 * `http2`.
 */
function plainServer(
  upstream: Upstream,
  http2: ((wire: MemoryWire) => void) | null = null,
): { readonly prefaces: number } {
  const seen = { prefaces: 0 }
  const accept = upstream.accept.bind(upstream)
  upstream.accept = (wire: MemoryWire) => {
    wire.handler = {
      bytes(chunk, length) {
        if (!chunk.latin1Slice(0, length).startsWith('PRI * HTTP/2.0')) {
          accept(wire)
          return wire.handler!.bytes(chunk, length)
        }
        seen.prefaces++
        if (http2 !== null) {
          http2(wire)
          return wire.handler!.bytes(chunk, length)
        }
        wire.write(Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'))
        wire.end()
      },
      drained() {},
      ended: () => wire.destroy(),
      closed() {},
    }
  }
  return seen
}

describe('the offer', () => {
  test('is made once a connection, in Connection, and to whoever asks', async () => {
    const { mesh } = await twoSidecars()
    const caller = mesh.caller(20_000)
    caller.get().get()
    mesh.settle()
    expect(caller.received).toBe(`HTTP/1.1 200 OK\r\nconnection: outrigger-h2\r\nContent-Length: 2\r\n\r\nok${OK}`)
  })
  test('is not made to those who would not understand it', async () => {
    const { mesh } = await twoSidecars()
    const old = mesh.caller(20_000)
    old.send('GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n')
    mesh.settle()
    expect(old.received).toBe('HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nContent-Length: 2\r\n\r\nok')
    const closing = mesh.caller(20_000)
    closing.get('/', 'Connection: close\r\n')
    mesh.settle()
    expect(closing.received).toBe('HTTP/1.1 200 OK\r\nconnection: close\r\nContent-Length: 2\r\n\r\nok')
  })
  test('is not made on outbound listeners, and does not reach the application that calls', async () => {
    const { mesh } = await twoSidecars()
    const caller = mesh.caller()
    for (let i = 0; i < 3; i++) {
      caller.get()
      mesh.settle()
    }
    expect(caller.received).toBe(OK.repeat(3))
  })
  test('of an application is not passed on', async () => {
    const { mesh, application } = await twoSidecars({ offers: 0 })
    application.answer = respond('HTTP/1.1 200 OK\r\nConnection: outrigger-h2\r\nContent-Length: 2\r\n\r\nok')
    meet(mesh)
    expect(between(mesh).protocol).toBe('HTTP/1.1')
  })
})

describe('the way', () => {
  test('the first request goes by HTTP/1.1, the second makes the connection, the third uses it', async () => {
    const sidecars = await twoSidecars()
    const { mesh } = sidecars
    const hops = () =>
      mesh
        .flights()
        .filter(({ direction }) => direction === 'outbound')
        .map(({ attempts }) => attempts[0]!.hop)
    get(sidecars)
    expect(between(mesh)).toEqual({ connections: 1, protocol: 'HTTP/1.1' })
    get(sidecars)
    expect(between(mesh)).toEqual({ connections: 2, protocol: HOP })
    get(sidecars)
    expect(hops()).toEqual([true, false, false])
    expectQuiet(mesh)
  })
  test('HTTP/1.1 connections that have no work any more are closed', async () => {
    const { mesh } = await twoSidecars()
    meet(mesh)
    mesh.advance(10_000)
    expect(between(mesh)).toEqual({ connections: 1, protocol: HOP })
  })
  test('many callers, one connection', async () => {
    const sidecars = await twoSidecars()
    const { mesh, application } = sidecars
    meet(mesh)
    mesh.advance(10_000)
    const callers = Array.from({ length: 100 }, () => mesh.caller())
    for (let round = 0; round < 3; round++) {
      for (const caller of callers) caller.get(`/${round}`)
      mesh.settle()
    }
    expect(between(mesh)).toEqual({ connections: 1, protocol: HOP })
    expect(callers.every(({ statuses }) => statuses.join() === '200,200,200')).toBe(true)
    expect(application.requests).toHaveLength(302)
    for (const caller of callers) caller.close()
    mesh.settle()
    expectQuiet(mesh)
  })
  test('a connection for each data thread of the other one, as soon as one is not enough', async () => {
    const { mesh, application } = await twoSidecars({ offers: 3 })
    meet(mesh)
    mesh.advance(10_000)
    expect(between(mesh).connections).toBe(1)
    application.answer = () => {}
    const callers = Array.from({ length: 30 }, () => mesh.caller())
    for (const caller of callers) {
      caller.get()
      mesh.settle()
    }
    expect(between(mesh)).toEqual({ connections: 3, protocol: HOP })
    for (const open of application.open) open.send(OK)
    mesh.settle()
    expect(callers.every(({ statuses }) => statuses.join() === '200')).toBe(true)
  })
  test('a WebSocket has an HTTP/1.1 connection of its own', async () => {
    const { mesh, application } = await twoSidecars()
    meet(mesh)
    application.answer = respond(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    const caller = mesh.caller()
    caller.send('GET /socket HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    mesh.settle()
    expect(application.requests.at(-1)!.header('upgrade')).toBe('websocket')
    expect(between(mesh)).toEqual({ connections: 2, protocol: HOP })
    caller.close()
    mesh.settle()
    expectQuiet(mesh)
  })
  test('an idle connection is closed', async () => {
    const { mesh } = await twoSidecars({ timeouts: { idleMs: 60_000 } })
    meet(mesh)
    mesh.advance(59_000)
    expect(between(mesh).connections).toBe(1)
    mesh.advance(2_000)
    expect(between(mesh)).toEqual({ connections: 0, protocol: 'HTTP/1.1' })
    expectQuiet(mesh)
  })
})

describe('the switches', () => {
  test('of the caller: nothing is different from before', async () => {
    const sidecars = await twoSidecars({ multiplex: false })
    meet(sidecars.mesh)
    expect(get(sidecars)).toEqual([200])
    expect(between(sidecars.mesh)).toEqual({ connections: 1, protocol: 'HTTP/1.1' })
  })
  test('of the other one: the same', async () => {
    const sidecars = await twoSidecars({ offers: 0 })
    meet(sidecars.mesh)
    expect(get(sidecars)).toEqual([200])
    expect(between(sidecars.mesh)).toEqual({ connections: 1, protocol: 'HTTP/1.1' })
  })
  test('of the caller, turned off and on while requests run', async () => {
    const sidecars = await twoSidecars()
    const { mesh, application, apply } = sidecars
    meet(mesh)
    application.answer = () => {}
    const running = mesh.caller()
    running.get('/slow')
    mesh.settle()
    await apply({ multiplex: false })
    application.answer = respond(OK)
    expect(get(sidecars)).toEqual([200])
    expect(between(mesh).protocol).toBe(HOP)
    application.open.find(({ received }) => received.includes('/slow'))!.send(OK)
    mesh.settle()
    expect(running.statuses).toEqual([200])
    expect(between(mesh).protocol).toBe('HTTP/1.1')
    await apply({ multiplex: true })
    get(sidecars)
    expect(between(mesh).protocol).toBe(HOP)
  })
  test('of the other one, turned off: its connections go on, and no new one is made', async () => {
    const sidecars = await twoSidecars()
    const { mesh, apply } = sidecars
    meet(mesh)
    await apply({ offers: 0 })
    expect(get(sidecars)).toEqual([200])
    expect(between(mesh).protocol).toBe(HOP)
    mesh.advance(301_000)
    for (let i = 0; i < 4; i++) {
      expect(get(sidecars)).toEqual([200])
      mesh.advance(2_000)
    }
    expect(between(mesh)).toEqual({ connections: 1, protocol: 'HTTP/1.1' })
    expectQuiet(mesh)
  })
})

describe('a sidecar that is gone', () => {
  test('a plain application in its place: requests go on by HTTP/1.1, and it is not asked again', async () => {
    const sidecars = await twoSidecars()
    const { mesh } = sidecars
    meet(mesh)
    const plain = mesh.replaceLinked(SIDECAR)
    const seen = plainServer(plain)
    for (let i = 0; i < 20; i++) {
      expect(get(sidecars)).toEqual([200])
      mesh.advance(1_000)
    }
    expect(between(mesh)).toEqual({ connections: 1, protocol: 'HTTP/1.1' })
    expect(seen.prefaces).toBe(1)
    expect(plain.requests).toHaveLength(20)
    expectQuiet(mesh)
  })
  test('something that speaks HTTP/2 and is no sidecar gets no request by it', async () => {
    const sidecars = await twoSidecars()
    const { mesh } = sidecars
    meet(mesh)
    const plain = mesh.replaceLinked(SIDECAR)
    const h2 = new Http2Endpoint(mesh, SIDECAR)
    const seen = plainServer(plain, plain.serve)
    plain.serve = null
    for (let i = 0; i < 5; i++) expect(get(sidecars)).toEqual([200])
    expect(seen.prefaces).toBe(1)
    expect(h2.connections).toHaveLength(1)
    expect(h2.served).toHaveLength(0)
    expect(between(mesh).protocol).toBe('HTTP/1.1')
  })
  test('nobody in its place: as without the hop, and then it comes back', async () => {
    const sidecars = await twoSidecars()
    const { mesh } = sidecars
    meet(mesh)
    const plain = mesh.replaceLinked(SIDECAR)
    plain.connect = 'refuse'
    expect(get(sidecars)).toEqual([503])
    mesh.linked.set(SIDECAR, 20_000)
    plain.connect = 'accept'
    mesh.advance(5_000)
    get(sidecars)
    get(sidecars)
    expect(between(mesh).protocol).toBe(HOP)
    expectQuiet(mesh)
  })
  test('one that takes the connection and says nothing is given up, and waited for by nobody', async () => {
    const sidecars = await twoSidecars()
    const { mesh } = sidecars
    get(sidecars)
    mesh.linked.delete(SIDECAR)
    mesh.upstream(SIDECAR).accept = () => {}
    expect(get(sidecars)).toEqual([200])
    expect(between(mesh)).toEqual({ connections: 2, protocol: 'HTTP/1.1' })
    mesh.advance(1_100)
    expect(between(mesh)).toEqual({ connections: 1, protocol: 'HTTP/1.1' })
  })
  test('with requests under way: those that may be sent again are', async () => {
    const sidecars = await twoSidecars()
    const { mesh, application } = sidecars
    meet(mesh)
    mesh.advance(10_000)
    application.answer = () => {}
    const idempotent = Array.from({ length: 5 }, () => mesh.caller())
    for (const caller of idempotent) caller.get('/again')
    const post = mesh.caller()
    post.send('POST /once HTTP/1.1\r\nHost: orders\r\nContent-Length: 1\r\n\r\nx')
    mesh.settle()
    const plain = mesh.replaceLinked(SIDECAR)
    plainServer(plain)
    mesh.advance(100)
    expect(idempotent.map(({ statuses }) => statuses)).toEqual(Array.from({ length: 5 }, () => [200]))
    expect(post.statuses).toEqual([503])
    expect(plain.requests).toHaveLength(5)
  })
  test('that refuses a stream: the request is made again with its body, whatever its method', async () => {
    const sidecars = await twoSidecars()
    const { mesh } = sidecars
    meet(mesh)
    const plain = mesh.replaceLinked(SIDECAR)
    const other = new Http2Endpoint(mesh, SIDECAR, { hopThreads: 1 })
    plainServer(plain, plain.serve)
    plain.serve = null
    get(sidecars)
    other.answer = ({ stream }) => {
      stream.reset(failures.noHealthyUpstream, '')
      other.answer = ({ stream: again }) => reply(again, 200, [], 'ok')
    }
    const caller = mesh.caller()
    caller.send('POST /once HTTP/1.1\r\nHost: orders\r\nContent-Length: 1\r\n\r\nx')
    mesh.advance(50)
    expect(caller.statuses).toEqual([200])
    expect(other.served.map(({ body }) => body)).toEqual(['x', 'x'])
  })
  test('that drains loses nothing', async () => {
    const sidecars = await twoSidecars()
    const { mesh, application } = sidecars
    meet(mesh)
    application.answer = () => {}
    const callers = Array.from({ length: 5 }, () => mesh.caller())
    for (const caller of callers) caller.send('POST /once HTTP/1.1\r\nHost: orders\r\nContent-Length: 1\r\n\r\nx')
    mesh.settle()
    mesh.thread.receive({ kind: 'drain', side: 'all', delayMs: 0, timeoutMs: 10_000 })
    mesh.advance(10)
    for (const open of application.open) open.send(OK)
    mesh.settle()
    expect(callers.map(({ statuses }) => statuses)).toEqual(Array.from({ length: 5 }, () => [200]))
  })
})
