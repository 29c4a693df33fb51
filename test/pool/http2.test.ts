import { describe, expect, test } from 'vitest'
import type { Http2Options } from '../../proxy/codec/h2/options.ts'
import { failures } from '../../proxy/core/failure.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { goaway } from '../codec/h2/support/frames.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { A, B, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'
import { listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'
import { turn } from '../support/turns.ts'

/** Endpoints that speak HTTP/2: the pool, and what goes over its connections. */

async function start(
  options: OrdersOptions = {},
  http2: Partial<Http2Options> & { readonly maxStreams?: number } = {},
) {
  const { mesh } = await orders({ protocol: 'http2', ...options })
  return { mesh, a: new Http2Endpoint(mesh, A, http2), b: new Http2Endpoint(mesh, B, http2) }
}

/** Answers after so many milliseconds. */
const slowly =
  (mesh: Awaited<ReturnType<typeof start>>['mesh'], ms: number) =>
  (request: { readonly stream: Parameters<typeof reply>[0] }) =>
    void mesh.loop.after(ms, () => reply(request.stream, 200, [], 'ok'))

describe('a request', () => {
  test('of HTTP/1.1 becomes one of HTTP/2, and its answer one of HTTP/1.1', async () => {
    const { mesh, a } = await start()
    a.answer = ({ stream }) =>
      reply(stream, 200, ['content-type', 'text/plain', 'set-cookie', 'a', 'set-cookie', 'b'], 'hello', ['x-sum', '1'])
    const caller = mesh.caller()
    caller.send(
      'POST /a?b HTTP/1.1\r\nHost: orders:80\r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\nTE: gzip\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 2\r\n\r\n',
    )
    mesh.settle()
    expect(a.served[0]).toMatchObject({ method: 'POST', path: '/a?b', authority: 'orders:80', body: 'abc' })
    const names = a.served[0]!.fields.pairs.filter((_, i) => i % 2 === 0)
    expect(names).toEqual(['x-one', 'x-request-id', 'x-forwarded-for', 'x-forwarded-proto'])
    expect(a.served[0]!.trailers?.get('x-t')).toBe('2')
    expect(caller.last.text).toBe('hello')
    expect(caller.last.all('set-cookie')).toEqual(['a', 'b'])
    expect(caller.last.header('transfer-encoding')).toBe('chunked')
    expect(caller.last.trailers).toEqual([['x-sum', '1']])
    expectQuiet(mesh)
  })

  test.each([
    'GET / HTTP/1.0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost:\r\n\r\n',
    'POST / HTTP/1.1\r\nHost:\r\nContent-Length: 5\r\n\r\nhello',
  ])('without a host is refused, and no endpoint is blamed for it: %j', async text => {
    const { mesh, a } = await start()
    mesh.caller().get('/warm')
    mesh.settle()
    const caller = mesh.caller()
    caller.send(text)
    mesh.settle()
    expect(caller.statuses).toEqual([400])
    expect(a.served.map(({ path }) => path)).toEqual(['/warm'])
    expect(a.connections.filter(({ over }) => !over)).toHaveLength(1)
    expect(mesh.flight.attempts).toHaveLength(1)
    expect(mesh.endpoints()[0]!.endpoints[0]!.failures).toBe(0)
    mesh.advance(2000)
    expectQuiet(mesh)
  })

  test.each([
    ['HEAD', 200, ['content-length', '100'], '100'],
    ['GET', 204, [], undefined],
    ['GET', 304, ['content-length', '7'], '7'],
    ['GET', 200, ['content-length', '0'], '0'],
    ['GET', 200, [], '0'],
  ])('%s is answered with %i and no body', async (method, status, fields, length) => {
    const { mesh, a } = await start()
    a.answer = ({ stream }) => reply(stream, status, fields)
    const caller = mesh.caller()
    caller.send(`${method} / HTTP/1.1\r\nHost: orders\r\n\r\n`)
    mesh.settle()
    caller.send(`${method} / HTTP/1.1\r\nHost: orders\r\n\r\n`)
    mesh.settle()
    expect(caller.statuses).toEqual([status, status])
    expect(caller.last.header('content-length')).toBe(length)
    expectQuiet(mesh)
  })

  test('of HTTP/2 goes through with what is its own: cookies in pieces, te, trailers', async () => {
    const { mesh, a } = await start()
    a.answer = ({ stream }) => reply(stream, 200, [], 'x', ['grpc-status', '0'])
    const got = mesh.http2Caller().ask({
      method: 'POST',
      fields: ['te', 'trailers', 'cookie', 'a=1', 'cookie', 'b=2'],
      body: 'abc',
      trailers: ['x-t', '1'],
    })
    mesh.settle()
    expect(a.served[0]!.fields.get('te')).toBe('trailers')
    expect(a.served[0]!.trailers?.get('x-t')).toBe('1')
    expect(got.trailing?.get('grpc-status')).toBe('0')
    expectQuiet(mesh)
  })

  test('that its caller gives up is reset at the endpoint, whose connection stays', async () => {
    const { mesh, a } = await start()
    a.answer = () => {}
    const caller = mesh.caller().get()
    mesh.settle()
    caller.close()
    mesh.settle()
    expect(a.served[0]!.failure).toBe(failures.downstreamGone)
    expect(a.open).toHaveLength(1)
    expectQuiet(mesh)
  })

  test('whose endpoint stops reading stops its caller', async () => {
    const { mesh, a } = await start()
    a.accept = false
    const caller = mesh.http2Caller()
    const got = caller.ask({ method: 'POST', body: null })
    let sent = 0
    for (; sent < 400 && got.mayWrite; sent++) {
      got.send(Buffer.alloc(65_536))
      mesh.settle()
    }
    expect(sent).toBeLessThan(60)
    a.accept = true
    turn(() => a.served[0]!.stream.resume())
    mesh.settle()
    got.send('', true)
    mesh.settle()
    expect(got.status).toBe(200)
    expect(a.served[0]!.bytes).toBe(sent * 65_536)
    expectQuiet(mesh)
  })
})

describe('connections', () => {
  test('carry many requests at once; another is made when one is full', async () => {
    const { mesh, a } = await start({}, { maxStreams: 100 })
    a.answer = slowly(mesh, 100)
    const callers = Array.from({ length: 250 }, () => mesh.caller().get())
    mesh.advance(10)
    expect(a.open).toHaveLength(3)
    expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ connections: 3, active: 250, idle: 0, pending: 0 })
    mesh.advance(200)
    expect(callers.every(({ statuses }) => statuses[0] === 200)).toBe(true)
    for (let i = 0; i < 50; i++) callers[i]!.get()
    mesh.advance(200)
    expect(a.connections).toHaveLength(3)
    expect(a.served.slice(250).every(({ connection }) => connection === a.served[250]!.connection)).toBe(true)
    expectQuiet(mesh)
  })

  test('are at most as many as the limit: more requests wait for a stream, and no longer than for a connection', async () => {
    const { mesh, a } = await start({ limits: { connections: 1 }, timeouts: { connectMs: 1000 } }, { maxStreams: 2 })
    a.answer = slowly(mesh, 400)
    mesh.caller().get()
    mesh.advance(500)
    const callers = Array.from({ length: 10 }, () => mesh.caller().get())
    mesh.advance(390)
    expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ connections: 1, active: 10, pending: 8 })
    mesh.advance(3000)
    expect(callers.map(({ statuses }) => statuses[0]).sort()).toEqual([
      200, 200, 200, 200, 200, 200, 503, 503, 503, 503,
    ])
    expect(mesh.flights(true)[0]!.failure).toBe('pending-timeout')
    expectQuiet(mesh)
  })

  test('beyond `limits.pending` there is no waiting', async () => {
    const { mesh, a } = await start({ limits: { connections: 1, pending: 1 } }, { maxStreams: 1 })
    a.answer = slowly(mesh, 100)
    mesh.caller().get()
    mesh.advance(200)
    const callers = Array.from({ length: 3 }, () => mesh.caller().get())
    mesh.advance(300)
    expect(callers.map(({ statuses }) => statuses[0])).toEqual([200, 200, 503])
    expect(mesh.flights(true)[0]!.failure).toBe('pool-overflow')
    expectQuiet(mesh)
  })

  test('one that another endpoint needs more gives its place, idle or busy', async () => {
    const { mesh, a, b } = await start({ endpoints: [A, B], limits: { connections: 1 } })
    const caller = mesh.caller()
    for (let i = 0; i < 4; i++) {
      caller.get()
      mesh.advance(5)
    }
    expect(caller.statuses).toEqual([200, 200, 200, 200])
    expect([a.served.length, b.served.length]).toEqual([2, 2])
    a.answer = slowly(mesh, 50)
    b.answer = slowly(mesh, 50)
    const callers = Array.from({ length: 6 }, () => mesh.caller().get())
    mesh.advance(1000)
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual(Array(6).fill(200))
    expect(a.open.length + b.open.length).toBe(1)
    expectQuiet(mesh)
  })

  test('that are idle for too long are closed', async () => {
    const { mesh, a } = await start({ timeouts: { idleMs: 10_000 } })
    const caller = mesh.caller()
    for (let i = 0; i < 3; i++) {
      caller.get()
      mesh.advance(8000)
    }
    expect(a.open).toHaveLength(1)
    mesh.advance(3000)
    expect([a.open.length, a.connections.length]).toEqual([0, 1])
    expect(mesh.stat('outrigger_upstream_connections')).toBe(0)
    expectQuiet(mesh)
  })

  test('that cannot be made fail all who wait for one, with one dial each', async () => {
    const { mesh, a } = await start({ retries: { on: [] } })
    a.upstream.connect = 'refuse'
    const callers = Array.from({ length: 20 }, () => mesh.caller().get())
    mesh.settle()
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual(Array(20).fill(503))
    expect(a.upstream.dials).toBeLessThanOrEqual(20)
    a.upstream.connect = 'ignore'
    const late = mesh.caller().get()
    mesh.advance(1100)
    expect(late.statuses).toEqual([503])
    expect(mesh.flight.failure).toBe('connect-timeout')
    expectQuiet(mesh)
  })

  test('an endpoint that goes away finishes what it has, and gets nothing new', async () => {
    const { mesh, a } = await start()
    a.answer = slowly(mesh, 500)
    const caller = mesh.caller().get()
    mesh.advance(10)
    turn(() => a.connections[0]!.connection.drain())
    mesh.advance(10)
    const next = mesh.caller().get()
    mesh.advance(1000)
    expect([...caller.statuses, ...next.statuses]).toEqual([200, 200])
    expect(a.served.map(({ connection }) => connection)).toEqual([0, 1])
    expect(a.connections.map(({ over }) => over)).toEqual([true, false])
    expectQuiet(mesh)
  })

  test('that are old get no more requests, and finish those they have', async () => {
    const { mesh, a } = await start({ connections: { ageMs: 60_000 }, timeouts: { requestMs: 0 } })
    mesh.caller().get()
    mesh.advance(53_000)
    a.answer = slowly(mesh, 30_000)
    const running = mesh.caller().get()
    mesh.advance(15_000)
    a.answer = ({ stream }) => reply(stream, 200, [], 'ok')
    const next = mesh.caller().get()
    mesh.settle()
    expect(next.statuses).toEqual([200])
    expect(a.served.map(({ connection }) => connection)).toEqual([0, 0, 1])
    expect(a.open).toHaveLength(2)
    mesh.advance(20_000)
    expect(running.statuses).toEqual([200])
    expect(a.open).toHaveLength(1)
    expectQuiet(mesh)
  })

  test('that are old and idle are not used again', async () => {
    const { mesh, a } = await start({ connections: { ageMs: 60_000 } })
    for (let i = 0; i < 3; i++) {
      mesh.caller().get()
      mesh.advance(67_000)
    }
    expect(a.served.map(({ connection }) => connection)).toEqual([0, 1, 2])
    expect(a.open.length).toBeLessThanOrEqual(1)
    expectQuiet(mesh)
  })

  test('are asked with a PING where the policy says so: an endpoint that does not answer is given up', async () => {
    const { mesh, a } = await start({
      connections: { keepAliveMs: 10_000 },
      timeouts: { requestMs: 0 },
      retries: { attempts: 1 },
    })
    a.answer = () => {}
    mesh.caller().get()
    mesh.advance(5000)
    // As a machine that lost its power.
    a.connections[0]!.wire.handler = { bytes() {}, drained() {}, ended() {}, closed() {} }
    mesh.advance(41_000)
    expect(mesh.stat('outrigger_http2_guard_trips_total', { side: 'upstream', guard: 'keep-alive' })).toBe(1)
    expect(mesh.flight).toMatchObject({
      failure: 'reset-before-response',
      flag: 'UC',
      detail: 'no answer to a PING within 20000 ms',
    })
    expect(
      mesh.messages.some(
        message =>
          message.kind === 'event' && message.event.kind === 'http2-guard' && message.event.side === 'upstream',
      ),
    ).toBe(true)
  })

  test('whose slow readers hold much serve the others as ever', async () => {
    const { mesh, a } = await start()
    a.answer = ({ stream, path }) => {
      if (path === '/') return reply(stream, 200, [], 'ok')
      stream.head({ status: 200, headers: new HeaderList() }, false)
      stream.data(Buffer.alloc(1024 * 1024), true)
    }
    const slow = [1, 2, 3].map(() => {
      const caller = mesh.http2Caller()
      const got = caller.ask({ path: '/large' })
      got.accept = false
      return got
    })
    mesh.settle()
    const quick = mesh.http2Caller().ask()
    mesh.settle()
    expect(quick).toMatchObject({ status: 200, body: 'ok' })
    expect(a.connections).toHaveLength(1)
    for (const got of slow) got.resume()
    mesh.settle()
    expect(slow.map(({ bytes }) => bytes)).toEqual(Array(3).fill(1024 * 1024))
    expectQuiet(mesh)
  })

  test('what was not looked at before a GOAWAY goes elsewhere, and says nothing against the endpoint', async () => {
    const { mesh, a, b } = await start({ endpoints: [A, B], retries: { budget: { percent: 100, minPerSecond: 1000 } } })
    a.onHead = ({ connection }) => void turn(() => a.connections[connection]!.wire.write(goaway(0, 0)))
    a.answer = () => {}
    const callers = Array.from({ length: 30 }, () =>
      mesh.caller().send('POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n'),
    )
    mesh.advance(1000)
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual(Array(30).fill(200))
    expect(b.served.length).toBe(30)
    expect(mesh.flights().some(({ attempts }) => attempts[0]!.failure === 'goaway-unprocessed')).toBe(true)
    expect(mesh.stat('outrigger_upstream_failures_total')).toBe(0)
    expect(mesh.stat('outrigger_upstream_ejections_total')).toBe(0)
    expectQuiet(mesh)
  })

  test('what is refused goes elsewhere', async () => {
    const { mesh, a, b } = await start({ endpoints: [A, B] })
    a.onHead = ({ stream }) => turn(() => stream.reset(failures.refusedStream, ''))
    const caller = mesh.caller()
    caller.send('POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n')
    mesh.advance(100)
    caller.send('POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n')
    mesh.advance(100)
    expect(caller.statuses).toEqual([200, 200])
    expect(b.served.length).toBe(2)
    expectQuiet(mesh)
  })

  test.each([
    ['before its answer', false, 503, 'stream-reset'],
    ['inside its answer', true, 200, 'stream-reset-after-response'],
  ])('a stream that the endpoint resets %s is no lost connection', async (_when, begun, status, failure) => {
    const { mesh, a } = await start({ retries: { on: [] } })
    a.answer = ({ stream }) => {
      if (begun) stream.head({ status: 200, headers: new HeaderList() }, false)
      stream.reset(failures.upstreamTimeout, '')
    }
    const got = mesh.http2Caller().ask()
    mesh.settle()
    expect([got.status, got.failure !== null]).toEqual([status, begun])
    expect(mesh.flight).toMatchObject({ status, flag: 'UR', failure, detail: 'RST_STREAM INTERNAL_ERROR' })
    expect(a.open).toHaveLength(1)
    expectQuiet(mesh)
  })

  test('one that is lost fails what was on it; the next request has a new one', async () => {
    const { mesh, a } = await start({ retries: { on: [] } })
    a.answer = () => {}
    const callers = [mesh.caller().get(), mesh.caller().get()]
    mesh.settle()
    a.connections[0]!.wire.destroy()
    mesh.settle()
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual([503, 503])
    a.answer = ({ stream }) => reply(stream, 200, [], 'ok')
    callers[0]!.get()
    mesh.settle()
    expect(callers[0]!.statuses).toEqual([503, 200])
    expectQuiet(mesh)
  })
})

test('a reload changes the protocol: new connections speak the new one, what runs is finished on the old', async () => {
  const { mesh, a } = await start()
  a.answer = slowly(mesh, 300)
  const caller = mesh.caller().get()
  mesh.advance(10)
  a.upstream.serve = null
  expect(
    await mesh.apply(
      snapshotOf([serviceSpec('orders', [A], { protocol: 'http' })], [listenerSpec({ service: 'orders' })]),
    ),
  ).toEqual([])
  const next = mesh.caller().get()
  mesh.advance(10)
  expect([...caller.statuses, ...next.statuses]).toEqual([200])
  expect(a.upstream.requests).toHaveLength(1)
  mesh.advance(1000)
  expect(caller.statuses).toEqual([200])
  expect(a.open).toHaveLength(0)
  expect(mesh.endpoints()[0]!.endpoints).toHaveLength(1)
  expect(mesh.stat('outrigger_upstream_connections')).toBe(1)
})

test('how many streams the endpoint allows is learnt: a burst is not refused', async () => {
  const { mesh, a } = await start({ mesh: { upstream: { latencyMs: 5 } } }, { maxStreams: 20 })
  a.answer = slowly(mesh, 50)
  for (let round = 0; round < 2; round++) {
    const callers = Array.from({ length: 90 }, () =>
      mesh.caller().send('POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n'),
    )
    mesh.advance(1000)
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual(Array(90).fill(200))
    expect(a.connections.length).toBeLessThanOrEqual(6)
  }
  expectQuiet(mesh)
})
