import { describe, expect, test } from 'vitest'
import { Mesh, nextMicrotasks } from '../support/mesh.ts'
import { A, B, C, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'
import { endpointSpec, listenerSpec, routeSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

/** With this chance a round begins at A. */
const FIRST_A = { seed: 2 }

/** A service that speaks TCP, behind a port of its own. */
function tcp({ listener = {}, ...options }: OrdersOptions = {}) {
  return orders({ protocol: 'tcp', ...options, listener: { protocol: 'tcp', ...listener } })
}

describe('a tunnel', () => {
  test('passes bytes on both ways, and each end when it comes', async () => {
    const { mesh } = await tcp()
    const ends = mesh.plainUpstream(A)
    const caller = mesh.plainCaller()
    caller.send('ping')
    mesh.settle()
    const [end] = ends
    expect(end!.text).toBe('ping')
    end!.send('pong')
    mesh.settle()
    expect(caller.text).toBe('pong')
    caller.wire.end()
    mesh.settle()
    expect([end!.gotEnd, caller.gotEnd]).toEqual([true, false])
    end!.send(' and more')
    mesh.settle()
    expect(caller.text).toBe('pong and more')
    expect(mesh.stat('outrigger_tcp_connections_active', { service: 'orders' })).toBe(1)
    end!.wire.end()
    mesh.settle()
    expect([caller.gotEnd, caller.over, end!.over, caller.error, end!.error]).toEqual([true, true, true, null, null])
    expect(mesh.flight).toMatchObject({
      protocol: 'tcp',
      by: 'port',
      service: 'orders',
      flag: '-',
      status: 0,
      bytesIn: 4,
      bytesOut: 13,
      attempts: [{ endpoint: A, failure: '', policy: 'round_robin' }],
    })
    expect(mesh.stat('outrigger_tcp_connections_opened_total')).toBe(1)
    expect(
      mesh.stat('outrigger_tcp_connections_closed_total', { direction: 'outbound', service: 'orders', flags: '-' }),
    ).toBe(1)
    expect(mesh.stat('outrigger_upstream_tcp_sent_bytes_total', { endpoint: A })).toBe(4)
    expect(mesh.stat('outrigger_upstream_tcp_received_bytes_total', { endpoint: A })).toBe(13)
    expect(mesh.stat('http_requests_total')).toBe(0)
    expectQuiet(mesh)
  })

  test('the endpoint may end first, and speak first', async () => {
    const { mesh } = await tcp()
    const ends = mesh.plainUpstream(A)
    const caller = mesh.plainCaller()
    mesh.settle()
    ends[0]!.send('220 ready\r\n')
    ends[0]!.wire.end()
    mesh.settle()
    expect([caller.text, caller.gotEnd, caller.over]).toEqual(['220 ready\r\n', true, false])
    caller.send('QUIT')
    mesh.settle()
    expect(ends[0]!.text).toBe('QUIT')
    caller.wire.end()
    mesh.settle()
    expect([caller.over, ends[0]!.over]).toEqual([true, true])
    expect(mesh.flight.flag).toBe('-')
    expectQuiet(mesh)
  })

  test.each([
    ['the caller resets', 'down', 'DC', 'downstream-gone'],
    ['the endpoint resets', 'up', 'UC', 'reset-after-response'],
  ] as const)('%s: the other side is reset too', async (_what, side, flag, failure) => {
    const { mesh } = await tcp()
    const ends = mesh.plainUpstream(A)
    const caller = mesh.plainCaller()
    caller.send('a')
    mesh.settle()
    ends[0]!.send('b')
    mesh.settle()
    const [one, other] = side === 'down' ? [caller, ends[0]!] : [ends[0]!, caller]
    one.wire.reset()
    mesh.settle()
    expect(other.error).toMatchObject({ code: 'ECONNRESET' })
    expect(mesh.flight).toMatchObject({ flag, failure, detail: 'ECONNRESET', bytesIn: 1, bytesOut: 1 })
    expect(mesh.stat('outrigger_upstream_failures_total')).toBe(0)
    expectQuiet(mesh)
  })

  test('nothing moves for too long: both are closed', async () => {
    const { mesh } = await tcp({ timeouts: { tunnelMs: 60_000 } })
    const ends = mesh.plainUpstream(A)
    const caller = mesh.plainCaller()
    caller.send('a')
    mesh.settle()
    for (const end of [caller, ends[0]!]) {
      mesh.advance(50_000)
      end.send('still here')
    }
    mesh.advance(50_000)
    expect(caller.over).toBe(false)
    mesh.advance(10_100)
    expect([caller.gotEnd, ends[0]!.gotEnd]).toEqual([true, true])
    expect(mesh.flight).toMatchObject({ flag: 'SI', failure: 'tunnel-idle' })
    expect(mesh.stat('outrigger_tcp_connections_closed_total', { flags: 'SI' })).toBe(1)
    expect(mesh.stat('outrigger_upstream_failures_total')).toBe(0)
  })

  test('goes on through a drain until its time is over, and counts as cut', async () => {
    const { mesh } = await tcp()
    const ends = mesh.plainUpstream(A)
    const [kept, ending] = [mesh.plainCaller(), mesh.plainCaller()]
    kept.send('a')
    ending.send('b')
    mesh.settle()
    mesh.thread.receive({ kind: 'drain', side: 'all', delayMs: 0, timeoutMs: 5000 })
    mesh.advance(4000)
    kept.send('c')
    ending.wire.end()
    ends[1]!.wire.end()
    mesh.settle()
    expect([ends[0]!.text, ending.over, kept.over]).toEqual(['ac', true, false])
    mesh.advance(1100)
    await nextMicrotasks()
    mesh.settle()
    await nextMicrotasks()
    expect([kept.gotEnd, ends[0]!.gotEnd, kept.error]).toEqual([true, true, null])
    expect(mesh.messages.at(-1)).toMatchObject({ kind: 'drained', cut: 1 })
    expect(mesh.flight).toMatchObject({ failure: 'drained', flag: 'LR' })
  })
})

describe('where a tunnel goes', () => {
  test('a refused endpoint costs nothing but the time: the bytes that wait go to another', async () => {
    const { mesh } = await tcp({ endpoints: [A, B], mesh: FIRST_A })
    mesh.upstream(A).connect = 'refuse'
    const ends = mesh.plainUpstream(B)
    const caller = mesh.plainCaller()
    caller.send('hello')
    mesh.settle()
    expect(ends.map(({ text }) => text)).toEqual(['hello'])
    caller.wire.end()
    ends[0]!.wire.end()
    mesh.settle()
    expect(mesh.flight).toMatchObject({
      flag: '-',
      attempts: [
        { endpoint: A, flag: 'UF', failure: 'connect-refused', retry: 'yes: connect-failure' },
        { endpoint: B, failure: '' },
      ],
    })
    expectQuiet(mesh)
  })

  test('an endpoint that does not answer is given up after timeouts.connect', async () => {
    const { mesh } = await tcp({ endpoints: [A, B], timeouts: { connectMs: 300 }, mesh: FIRST_A })
    mesh.upstream(A).connect = 'ignore'
    const ends = mesh.plainUpstream(B)
    const caller = mesh.plainCaller()
    caller.send('hello')
    mesh.advance(290)
    expect(ends).toEqual([])
    mesh.advance(50)
    expect(ends[0]!.text).toBe('hello')
    expect(mesh.stat('outrigger_upstream_connect_failures_total', { endpoint: A })).toBe(1)
  })

  test.each([
    [{ attempts: 1 }, 1, 'no: that was attempt 1 of 1'],
    [{ attempts: 3 }, 3, 'no: that was attempt 3 of 3'],
    [{ attempts: 3, on: ['reset-before-response'] }, 1, 'no: connect-failure is not in retries.on'],
    [{ attempts: 3, budget: { percent: 0, minPerSecond: 0 } }, 1, 'no: the retry budget is spent'],
  ] as const)('retries %j: %i attempts, and the caller is reset', async (retries, made, why) => {
    const { mesh } = await tcp({ endpoints: [A, B], retries })
    for (const name of [A, B]) mesh.upstream(name).connect = 'refuse'
    const caller = mesh.plainCaller()
    mesh.advance(1000)
    expect(caller.error).toMatchObject({ code: 'ECONNRESET' })
    expect(mesh.flight).toMatchObject({ flag: 'UF', status: 0 })
    expect(mesh.flight.attempts).toHaveLength(made)
    expect(mesh.flight.attempts.at(-1)!.retry).toBe(why)
    expect(mesh.stat('outrigger_tcp_connections_closed_total', { flags: 'UF' })).toBe(1)
    expectQuiet(mesh)
  })

  test('endpoints that refuse are ejected, and so are those that reset before they say a word', async () => {
    for (const kind of ['refuse', 'reset'] as const) {
      const { mesh } = await tcp({ endpoints: [A, B], outliers: { consecutiveGatewayFailures: 3 } })
      if (kind === 'refuse') mesh.upstream(A).connect = 'refuse'
      // As a sidecar does whose application is gone: it accepts, and finds out then.
      else mesh.upstream(A).serve = wire => void mesh.loop.after(900, () => wire.reset())
      const ends = mesh.plainUpstream(B)
      for (let i = 0; i < 10; i++) {
        mesh.plainCaller().send('x')
        mesh.advance(1000)
        for (const end of ends) end.send('y')
        mesh.settle()
      }
      const [a] = mesh.endpoints()[0]!.endpoints
      expect(a, kind).toMatchObject({ state: 'ejected', failures: 3 })
      expect(a!.reason).toContain(kind === 'refuse' ? 'connect-refused' : 'reset-before-response')
    }
  })

  test('a late reset without a word is no failure: it has served', async () => {
    const { mesh } = await tcp({ endpoints: [A, B], outliers: { consecutiveGatewayFailures: 1 }, mesh: FIRST_A })
    mesh.upstream(A).serve = wire => void mesh.loop.after(30_000, () => wire.reset())
    mesh.plainUpstream(B)
    mesh.plainCaller()
    mesh.advance(31_000)
    expect(mesh.flight).toMatchObject({ flag: 'UC' })
    expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ state: 'admitting', failures: 0 })
  })

  test('least_request counts tunnels, the idle ones too', async () => {
    const { mesh } = await tcp({ endpoints: [A, B, C], balancer: { type: 'least_request', fullScan: 10 } })
    const ends = [A, B, C].map(name => mesh.plainUpstream(name))
    for (let i = 0; i < 9; i++) {
      mesh.plainCaller()
      mesh.settle()
    }
    expect(ends.map(({ length }) => length)).toEqual([3, 3, 3])
    expect(mesh.endpoints()[0]!.endpoints.map(({ active, connections }) => [active, connections])).toEqual(
      [3, 3, 3].map(n => [n, n]),
    )
  })

  test('a split between subsets, and the address of the caller as a key', async () => {
    const endpoints = [endpointSpec(A, { metadata: { v: '1' } }), endpointSpec(B, { metadata: { v: '2' } })]
    const to = [
      { service: 'orders', subset: 'v1', weight: 0 },
      { service: 'orders', subset: 'v2', weight: 1 },
    ]
    const { mesh } = await tcp({
      endpoints,
      subsets: { v1: { v: '1' }, v2: { v: '2' } },
      routes: [routeSpec({ name: 'split', to })],
      balancer: { type: 'maglev', hashOn: [{ kind: 'sourceIp', terminal: true }] },
    })
    const [a, b] = [mesh.plainUpstream(A), mesh.plainUpstream(B)]
    for (let i = 0; i < 5; i++) mesh.plainCaller()
    mesh.settle()
    expect([a.length, b.length]).toEqual([0, 5])
    mesh.plainCallers[0]!.wire.reset()
    mesh.settle()
    expect(mesh.flight).toMatchObject({ route: 'split', destination: 'orders/v2' })
  })

  test('no endpoint at all', async () => {
    const { mesh } = await tcp({ endpoints: [endpointSpec(A, { health: 'draining' })] })
    const caller = mesh.plainCaller()
    mesh.settle()
    expect(caller.error).not.toBeNull()
    expect(mesh.flight).toMatchObject({ flag: 'UH', failure: 'no-healthy-upstream' })
    expectQuiet(mesh)
  })

  test('a request finds no route to a service that speaks TCP', async () => {
    const { mesh } = await orders({ protocol: 'tcp', listener: { protocol: 'http' } })
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([404])
    expectQuiet(mesh)
  })

  test('an inbound application', async () => {
    const listener = listenerSpec({ direction: 'inbound', service: 'local_app:6379', protocol: 'tcp' })
    const mesh = await Mesh.start(snapshotOf([serviceSpec('local_app:6379', [A], { protocol: 'tcp' })], [listener]))
    const ends = mesh.plainUpstream(A)
    mesh.plainCaller().send('x')
    mesh.settle()
    expect(ends[0]!.text).toBe('x')
    mesh.plainCallers[0]!.wire.reset()
    mesh.settle()
    expect(mesh.flight).toMatchObject({ direction: 'inbound', service: 'local_app:6379' })
  })
})

describe('limits', () => {
  test('limits.requests is so many tunnels', async () => {
    const { mesh } = await tcp({ limits: { requests: 1 } })
    mesh.plainUpstream(A)
    const [one, two] = [mesh.plainCaller(), mesh.plainCaller()]
    mesh.settle()
    expect([one.over, two.over]).toEqual([false, true])
    expect(mesh.flight).toMatchObject({ flag: 'UO' })
    one.wire.reset()
    mesh.settle()
    expectQuiet(mesh)
  })

  test('above limits.connections they wait for a permit, in turn, and no longer than for a connection', async () => {
    const { mesh } = await tcp({ limits: { connections: 1, pending: 2 }, timeouts: { connectMs: 500 } })
    const ends = mesh.plainUpstream(A)
    const callers = [1, 2, 3, 4].map(() => {
      const caller = mesh.plainCaller()
      mesh.settle()
      return caller
    })
    expect(ends).toHaveLength(1)
    expect(callers.map(({ over }) => over)).toEqual([false, false, false, true])
    expect(mesh.flight).toMatchObject({ flag: 'UO', failure: 'pool-overflow' })
    callers[0]!.wire.reset()
    mesh.settle()
    expect(ends).toHaveLength(2)
    mesh.advance(600)
    expect(callers.map(({ over }) => over)).toEqual([true, false, true, true])
    expect(mesh.flight).toMatchObject({ flag: 'UO', failure: 'pending-timeout' })
    callers[1]!.wire.reset()
    mesh.settle()
    expectQuiet(mesh)
  })

  test('tunnels and requests to one service share its permits, and leave them to each other', async () => {
    const listeners = [
      listenerSpec({ service: 'orders' }),
      listenerSpec({ listen: { address: '127.0.0.1', port: 8001 }, service: 'orders', protocol: 'tcp' }),
    ]
    for (const protocol of ['http', 'http2'] as const) {
      const mesh = await Mesh.start(
        snapshotOf([serviceSpec('orders', [A], { protocol, limits: { connections: 1 } })], listeners),
      )
      const ends = mesh.plainUpstream(A)
      const caller = mesh.caller().get()
      mesh.settle()
      const tunnel = mesh.plainCaller(8001)
      mesh.settle()
      expect(ends).toHaveLength(1)
      caller.close()
      ends[0]!.wire.reset()
      mesh.settle()
      expect(ends).toHaveLength(2)
      mesh.caller().get()
      mesh.settle()
      expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ connections: 1, pending: 1 })
      tunnel.wire.reset()
      mesh.settle()
      expect(ends).toHaveLength(3)
      expect(ends[2]!.text).toContain(protocol === 'http' ? 'GET / HTTP/1.1' : 'PRI * HTTP/2.0')
    }
  })

  test('who leaves while it waits leaves nothing behind', async () => {
    const { mesh } = await tcp({ timeouts: { connectMs: 500 } })
    mesh.upstream(A).connect = 'ignore'
    mesh.plainCaller()
    mesh.settle()
    mesh.thread.receive({ kind: 'drain', side: 'all', delayMs: 0, timeoutMs: 100 })
    mesh.advance(20)
    await nextMicrotasks()
    mesh.advance(200)
    await nextMicrotasks()
    expect(mesh.flight).toMatchObject({ failure: 'drained', attempts: [{ endpoint: A, failure: 'drained' }] })
    mesh.advance(1000)
    expectQuiet(mesh)
  })
})

describe('reload', () => {
  test('a service that changes to TCP takes its port with it; tunnels outlive their service', async () => {
    const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A])], [listenerSpec({ service: 'orders' })]))
    const request = mesh.caller().get()
    mesh.settle()
    expect(request.statuses).toEqual([200])
    request.close()
    mesh.settle()
    await mesh.apply(
      snapshotOf(
        [serviceSpec('orders', [A], { protocol: 'tcp' })],
        [listenerSpec({ service: 'orders', protocol: 'tcp' })],
      ),
    )
    const ends = mesh.plainUpstream(A)
    const caller = mesh.plainCaller()
    caller.send('raw')
    mesh.settle()
    expect(ends[0]!.text).toBe('raw')
    const series = mesh.series
    await mesh.apply(snapshotOf([serviceSpec('orders', [B])], [listenerSpec({ service: 'orders' })]))
    caller.send(' and on')
    mesh.settle()
    expect(ends[0]!.text).toBe('raw and on')
    caller.wire.reset()
    mesh.settle()
    expect(mesh.flight).toMatchObject({ protocol: 'tcp', flag: 'DC', bytesIn: 10 })
    expect(mesh.stat('outrigger_tcp_connections_active')).toBe(0)
    expect(mesh.series).toBeLessThan(series)
  })
})
