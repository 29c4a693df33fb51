import { describe, expect, test } from 'vitest'
import { Mesh, nextMicrotasks } from '../support/mesh.ts'
import { A, B, C, expectQuiet } from '../support/orders.ts'
import {
  endpointSpec,
  listenerSpec,
  matchSpec,
  routeSpec,
  type ServiceOverrides,
  serviceSpec,
  snapshotOf,
} from '../support/specs.ts'
import { ok, respond, silent } from '../support/upstream.ts'

const one = (endpoints: readonly (string | ReturnType<typeof endpointSpec>)[], overrides: ServiceOverrides = {}) =>
  snapshotOf([serviceSpec('orders', endpoints, overrides)], [listenerSpec({ service: 'orders' })])

describe('a reload', () => {
  test('keeps connections, warm ones to endpoints that stay and the caller’s own', async () => {
    const mesh = await Mesh.start(one([A]))
    const caller = mesh.caller().get()
    mesh.settle()
    expect(await mesh.apply(one([A, B]))).toEqual([])
    for (let i = 0; i < 4; i++) {
      caller.get()
      mesh.settle()
    }
    expect(caller.statuses).toEqual(Array(5).fill(200))
    expect(mesh.upstream(A).connections).toHaveLength(1)
    expect(mesh.upstream(B).connections).toHaveLength(1)
    expectQuiet(mesh)
  })

  test('keeps what was learnt of an endpoint: ejection, counts, requests under way', async () => {
    const mesh = await Mesh.start(one([A, B]))
    mesh.upstream(A).answer = respond('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
    const caller = mesh.caller()
    for (let i = 0; i < 12; i++) {
      caller.get()
      mesh.settle()
    }
    mesh.upstream(B).answer = silent
    const running = mesh.caller().get()
    mesh.settle()
    const before = mesh.endpoints()[0]!.endpoints
    expect(before[0]!.state).toBe('ejected')
    expect(before[1]!.active).toBe(1)
    await mesh.apply(
      one([B, endpointSpec(A, { weight: 5 }), C], { balancer: 'least_request', timeouts: { requestMs: 100 } }),
    )
    const after = mesh.endpoints()[0]!.endpoints
    expect(after.map(({ address }) => address)).toEqual([A, B, C])
    expect(after[0]).toMatchObject({ state: 'ejected', failures: 5, requests: before[0]!.requests, weight: 5 })
    expect(after[1]).toMatchObject({ active: 1, requests: before[1]!.requests })
    mesh.advance(5000)
    // It runs on with the policy it began with.
    expect(running.responses).toHaveLength(0)
    mesh.upstream(B).last.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    mesh.settle()
    expect(running.statuses).toEqual([200])
    expectQuiet(mesh)
  })

  test('lets requests finish at an endpoint that is gone, then closes its connections', async () => {
    const mesh = await Mesh.start(one([A]))
    mesh.upstream(A).answer = (request, connection) => void mesh.loop.after(1000, () => ok(request, connection))
    const callers = [mesh.caller().get(), mesh.caller().get()]
    mesh.advance(1010)
    callers[0]!.get()
    mesh.settle()
    await mesh.apply(one([B]))
    // The idle one goes at once, the busy one when it is done.
    mesh.settle()
    expect(mesh.upstream(A).open).toHaveLength(1)
    mesh.advance(1010)
    expect(callers[0]!.statuses).toEqual([200, 200])
    expect(mesh.upstream(A).open).toHaveLength(0)
    callers[1]!.get()
    mesh.settle()
    expect(mesh.upstream(B).requests).toHaveLength(1)
    expectQuiet(mesh)
    expect(mesh.stat('outrigger_upstream_connections', { endpoint: A })).toBe(0)
  })

  test('statistics of what is gone are not counted to what came after', async () => {
    const port = (n: number) => listenerSpec({ service: 'orders', listen: { address: '127.0.0.1', port: n } })
    const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A])], [port(8000), port(8001)]))
    mesh.upstream(A).answer = (request, connection) => void mesh.loop.after(1000, () => ok(request, connection))
    for (let i = 0; i < 3; i++) mesh.caller(8001).get()
    mesh.advance(10)
    // Two reloads: what the first gives back, the second may give out again.
    for (const endpoints of [[B], [B, C]])
      await mesh.apply(
        snapshotOf([serviceSpec('orders', endpoints)], [port(8000), ...(endpoints.length === 2 ? [port(8002)] : [])]),
      )
    mesh.advance(5000)
    for (const name of ['requests_active', 'requests_total', 'failures_total', 'connections', 'connect_failures_total'])
      for (const endpoint of [B, C])
        expect(mesh.stat(`outrigger_upstream_${name}`, { endpoint }), `${name} of ${endpoint}`).toBe(0)
    for (const name of ['connections_active', 'connections_total', 'connections_overflow_total'])
      expect(mesh.stat(`outrigger_downstream_${name}`, { listener: 'outbound 127.0.0.1:8002' }), name).toBe(0)
    expectQuiet(mesh)
  })

  test('of a service that is gone: what runs finishes, what comes is not found', async () => {
    const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A])]))
    mesh.upstream(A).answer = (request, connection) => void mesh.loop.after(100, () => ok(request, connection))
    const caller = mesh.caller().get()
    mesh.settle()
    await mesh.apply(snapshotOf([serviceSpec('stock', [B])]))
    mesh.advance(200)
    caller.get()
    mesh.advance(200)
    expect(caller.statuses).toEqual([200, 404])
    expectQuiet(mesh)
  })

  test('an endpoint that goes and comes back starts anew', async () => {
    const mesh = await Mesh.start(one([A, B]))
    mesh.upstream(A).answer = respond('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
    for (let i = 0; i < 12; i++) {
      mesh.caller().get()
      mesh.settle()
    }
    await mesh.apply(one([B]))
    await mesh.apply(one([A, B]))
    expect(mesh.endpoints()[0]!.endpoints[1]).toMatchObject({
      address: A,
      state: 'admitting',
      failures: 0,
      requests: 0,
    })
  })

  test('new limits and timeouts of a listener hold for connections that come after', async () => {
    const mesh = await Mesh.start(one([A]))
    const old = mesh.caller()
    await mesh.apply(
      snapshotOf([serviceSpec('orders', [A])], [listenerSpec({ service: 'orders', limits: { headers: 2 } })]),
    )
    const fresh = mesh.caller()
    for (const caller of [old, fresh]) caller.get('/', 'A: 1\r\nB: 2\r\n')
    mesh.settle()
    expect([old.statuses, fresh.statuses]).toEqual([[200], [431]])
  })

  test('a port that turns to TCP ends its HTTP connections, each with its last answer: nobody gets a 404 on what was left', async () => {
    const mesh = await Mesh.start(one([A]))
    const idle = mesh.caller().get()
    const unread = mesh.caller()
    const multiplexed = mesh.http2Caller()
    multiplexed.ask()
    mesh.settle()
    mesh.upstream(A).answer = (request, connection) => void mesh.loop.after(100, () => ok(request, connection))
    const busy = mesh.caller().get()
    mesh.settle()
    await mesh.apply(
      snapshotOf(
        [serviceSpec('orders', [A], { protocol: 'tcp' })],
        [listenerSpec({ service: 'orders', protocol: 'tcp' })],
      ),
    )
    mesh.settle()
    expect([idle.gotEnd, unread.gotEnd, busy.gotEnd]).toEqual([true, true, false])
    mesh.advance(2000)
    expect(busy.statuses).toEqual([200])
    expect(busy.last.header('connection')).toBe('close')
    expect([busy.over, multiplexed.over]).toEqual([true, true])
    mesh.plainCaller()
    mesh.settle()
    expect(mesh.stat('outrigger_tcp_connections_active', { service: 'orders' })).toBe(1)
  })

  test('routes change between two requests of one connection, never inside one', async () => {
    const mesh = await Mesh.start(one([A]))
    mesh.upstream(A).connectMs = 50
    const caller = mesh.caller().get('/x')
    mesh.settle()
    await mesh.apply(
      one([A], { routes: [routeSpec({ name: '/y', match: matchSpec({ path: { kind: 'exact', value: '/y' } }) })] }),
    )
    mesh.advance(60)
    caller.get('/x')
    mesh.settle()
    expect(caller.statuses).toEqual([200, 404])
  })

  test('a thousand reloads leave nothing behind', async () => {
    const mesh = await Mesh.start(one([A, B]))
    mesh.caller().get()
    mesh.settle()
    const { series } = mesh
    for (let i = 0; i < 1000; i++)
      await mesh.apply(one(i % 2 === 0 ? [A, C] : [A, B], { subsets: { [`s${i}`]: { v: '1' } } }))
    expect(mesh.series).toBeLessThanOrEqual(series + 6)
    expect(mesh.messages.filter(({ kind }) => kind === 'page').length).toBeLessThanOrEqual(2)
    mesh.caller().get()
    mesh.settle()
    expectQuiet(mesh)
  })
})

describe('a snapshot that cannot be applied', () => {
  const listener = (port: number, service: string | null = 'orders') =>
    listenerSpec({ service, listen: { address: '127.0.0.1', port } })

  test('because of a port: NACK, and everything runs on as it was', async () => {
    const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A])], [listener(8000)]))
    const caller = mesh.caller().get()
    mesh.settle()
    mesh.takenPorts.add(9000)
    const { series } = mesh
    const bad = snapshotOf(
      [
        serviceSpec('orders', [B], {
          routes: [routeSpec({ name: '/new', match: matchSpec({ path: { kind: 'exact', value: '/new' } }) })],
        }),
        serviceSpec('stock', [C]),
      ],
      [listener(8500), listener(9000)],
    )
    expect(await mesh.apply(bad)).toEqual([expect.stringContaining('EADDRINUSE')])
    expect(mesh.listens(8500)).toBe(false)
    caller.get('/old')
    mesh.settle()
    expect(caller.statuses).toEqual([200, 200])
    expect(mesh.upstream(A).requests).toHaveLength(2)
    expect(mesh.upstream(A).connections).toHaveLength(1)
    expect(mesh.endpoints().map(({ name }) => name)).toEqual(['orders'])
    for (let i = 0; i < 50; i++) await mesh.apply(bad)
    expect(mesh.series, 'statistics of what never ran').toBe(series)
    expect(await mesh.apply(snapshotOf([serviceSpec('orders', [B])], [listener(8000)]))).toEqual([])
    caller.get()
    mesh.settle()
    expect(mesh.upstream(B).requests).toHaveLength(1)
    expectQuiet(mesh)
  })

  test('because of one port: what the others took meanwhile was served, and is closed', async () => {
    const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A])], [listener(8000)]))
    const gate = Promise.withResolvers<void>()
    mesh.slowPorts.set(9000, gate.promise)
    const applied = mesh.apply(
      snapshotOf(
        [serviceSpec('orders', [A]), serviceSpec('stock', [B])],
        [listener(8000), listener(8500, 'stock'), listener(9000)],
      ),
    )
    await nextMicrotasks()
    const early = mesh.caller(8500).get()
    mesh.settle()
    expect(early.statuses).toEqual([200])
    mesh.takenPorts.add(9000)
    gate.resolve()
    expect(await applied).toHaveLength(1)
    mesh.advance(2000)
    expect(early.over).toBe(true)
    expect(mesh.listens(8500)).toBe(false)
    expect(mesh.upstream(B).open).toHaveLength(0)
    expectQuiet(mesh)
  })

  test('because a listener names a service that is not there', async () => {
    const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A])], [listener(8000)]))
    expect(await mesh.apply(snapshotOf([serviceSpec('stock', [A])], [listener(8000)]))).toEqual([
      expect.stringContaining('orders'),
    ])
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
  })

  test('because of a pattern that does not compile', async () => {
    const mesh = await Mesh.start(one([A]))
    const bad = one([B], { routes: [routeSpec({ match: matchSpec({ path: { kind: 'regex', value: '(' } }) })] })
    expect((await mesh.apply(bad)).length).toBe(1)
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(mesh.upstream(A).requests).toHaveLength(1)
  })

  test('snapshots that come quickly are applied one after the other, the last one stays', async () => {
    const mesh = await Mesh.start(one([A]))
    const applied = await Promise.all([mesh.apply(one([B])), mesh.apply(one([C])), mesh.apply(one([A, B]))])
    expect(applied).toEqual([[], [], []])
    expect(mesh.endpoints()[0]!.endpoints.map(({ address }) => address)).toEqual([A, B])
  })
})

test('a listener that is no longer wanted takes no more, and finishes what runs', async () => {
  const port = (n: number) => listenerSpec({ service: 'orders', listen: { address: '127.0.0.1', port: n } })
  const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A])], [port(8000), port(8001)]))
  mesh.upstream(A).answer = (request, connection) => void mesh.loop.after(100, () => ok(request, connection))
  const busy = mesh.caller(8001).get()
  const idle = mesh.caller(8001)
  mesh.settle()
  await mesh.apply(snapshotOf([serviceSpec('orders', [A])], [port(8000)]))
  expect(mesh.listens(8001)).toBe(false)
  mesh.settle()
  expect(idle.gotEnd).toBe(true)
  mesh.advance(2000)
  expect(busy.statuses).toEqual([200])
  expect(busy.last.header('connection')).toBe('close')
  expect(busy.over).toBe(true)
  expect(mesh.stat('outrigger_downstream_connections_active')).toBe(0)
})
