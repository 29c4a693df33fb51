import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CELL_MEMORY_BYTES, ownCells } from '../../proxy/core/cells.ts'
import { limited, SharedCounts } from '../../proxy/core/shared-counts.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import { EventLoop } from '../support/event-loop.ts'
import { Mesh } from '../support/mesh.ts'
import { A, B, C, expectQuiet, orders } from '../support/orders.ts'
import type { ServiceOverrides } from '../support/specs.ts'
import { listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'
import { ok, silent } from '../support/upstream.ts'

const snapshot = (endpoints: readonly string[], service: ServiceOverrides) =>
  snapshotOf([serviceSpec('orders', endpoints, service)], [listenerSpec({ service: 'orders' })])

/** Data threads of one proxy, on one clock. */
async function threads(count: number, endpoints: readonly string[], service: ServiceOverrides) {
  const memory = new SharedArrayBuffer(CELL_MEMORY_BYTES)
  const loop = new EventLoop()
  const start = (thread: number, spec = service) =>
    Mesh.start(snapshot(endpoints, spec), { cells: sharedCells(memory, thread, count), loop, seed: thread + 1 })
  const meshes = await Promise.all(Array.from({ length: count }, (_, thread) => start(thread)))
  return { meshes, loop, start }
}

const usesOf = (mesh: Mesh) => Object.fromEntries(mesh.endpoints()[0]!.limits.map(({ limit, used }) => [limit, used]))

describe('limits of a service', () => {
  test('name themselves where they refuse', async () => {
    const { mesh, upstream } = await orders({ limits: { requests: 1 } })
    upstream.answer = silent
    mesh.caller().get()
    mesh.settle()
    const refused = mesh.caller().get()
    mesh.settle()
    expect(refused.statuses).toEqual([503])
    expect(mesh.flight).toMatchObject({ flag: 'UO', failure: 'pool-overflow', detail: '`limits.requests`' })
    expect(mesh.endpoints()[0]!.notes).toEqual(['limits: 1 of 1 requests in use'])
  })

  test('name the one for waiting', async () => {
    const { mesh, upstream } = await orders({ limits: { connections: 1, pending: 0 } })
    upstream.answer = silent
    mesh.caller().get()
    mesh.settle()
    const refused = mesh.caller().get()
    mesh.settle()
    expect(refused.statuses).toEqual([503])
    expect(mesh.flight).toMatchObject({ flag: 'UO', detail: '`limits.pending`' })
  })

  test('bound retries under way, and the retry that is not made says so', async () => {
    const { mesh, upstream } = await orders({
      endpoints: [A, B],
      limits: { retries: 1 },
      outliers: { consecutiveGatewayFailures: 0 },
    })
    upstream.connect = 'refuse'
    mesh.upstream(B).answer = silent
    for (let i = 0; i < 4; i++) {
      mesh.caller().get()
      mesh.settle()
    }
    // Two began at A. The first waits at B as a retry, the second may not.
    expect(mesh.callers.flatMap(({ statuses }) => statuses)).toEqual([503])
    const failed = mesh.flights(true)[0]!
    expect(failed.attempts[0]!.retry).toBe('no: as many retries as `limits.retries` allows are under way')
    expect(usesOf(mesh)).toMatchObject({ requests: 3, retries: 1 })
    for (const connection of mesh.upstream(B).open) ok(mesh.upstream(B).requests[0]!, connection)
    mesh.settle()
    expect(usesOf(mesh)).toMatchObject({ requests: 0, retries: 0 })
    expectQuiet(mesh)
  })

  test('show what is left as gauges', async () => {
    const { mesh, upstream } = await orders({ limits: { requests: 4, pending: 2, connections: 3 } })
    expect(mesh.stat('outrigger_limit_remaining')).toBe(0)
    upstream.answer = silent
    mesh.caller().get()
    mesh.advance(1000)
    const left = (limit: string) => mesh.stat('outrigger_limit_remaining', { service: 'orders', limit })
    expect([left('requests'), left('pending'), left('connections')]).toEqual([3, 2, 2])
  })

  test('are for the application behind an inbound listener as well', async () => {
    const local = serviceSpec('local', [A], { kind: 'local', limits: { requests: 1 } })
    const mesh = await Mesh.start(snapshotOf([local], [listenerSpec({ service: 'local', direction: 'inbound' })]))
    mesh.upstream(A).answer = silent
    mesh.caller().get()
    const refused = mesh.caller().get()
    mesh.settle()
    expect(refused.statuses).toEqual([503])
    expect(mesh.flight).toMatchObject({ direction: 'inbound', flag: 'UO', detail: '`limits.requests`' })
  })
})

describe('limits of each endpoint', () => {
  test('have a full endpoint passed over while another has room', async () => {
    for (const balancer of ['round_robin', 'random', 'least_request', 'maglev', 'ring_hash', 'peak_ewma'] as const) {
      const { mesh } = await orders({
        endpoints: [A, B, C],
        balancer: { type: balancer, tableSize: 1009 },
        limits: { perEndpoint: { requests: 2 } },
      })
      for (const name of [A, B, C]) mesh.upstream(name).answer = silent
      for (let i = 0; i < 6; i++) mesh.caller().get()
      mesh.settle()
      expect(
        [A, B, C].map(name => mesh.upstream(name).requests.length),
        balancer,
      ).toEqual([2, 2, 2])
      const refused = mesh.caller().get()
      mesh.settle()
      expect(refused.statuses).toEqual([503])
      expect(mesh.flight).toMatchObject({ flag: 'UO', detail: '`limits.perEndpoint` of every endpoint' })
      expect(mesh.endpoints()[0]!.endpoints[0]!.limits).toEqual([{ limit: 'requests', used: 2, most: 2 }])
    }
  })

  test('leave one slow endpoint its share, and the others serve on', async () => {
    const { mesh } = await orders({ endpoints: [A, B], limits: { perEndpoint: { requests: 3 } } })
    mesh.upstream(A).answer = silent
    for (let i = 0; i < 40; i++) {
      mesh.caller().get()
      mesh.settle()
    }
    expect(mesh.upstream(A).requests).toHaveLength(3)
    expect(mesh.upstream(B).requests).toHaveLength(37)
    expect(mesh.callers.flatMap(({ statuses }) => statuses)).toEqual(Array(37).fill(200))
    expect(mesh.flight.attempts[0]!.way).toEqual(['past endpoints at their limit'])
  })

  test('bound its connections and those that wait for one', async () => {
    const { mesh, upstream } = await orders({ limits: { perEndpoint: { connections: 2, pending: 1 } } })
    upstream.answer = silent
    for (let i = 0; i < 3; i++) {
      mesh.caller().get()
      mesh.settle()
    }
    expect(upstream.open).toHaveLength(2)
    const refused = mesh.caller().get()
    mesh.settle()
    expect(refused.statuses).toEqual([503])
    expect(mesh.flight).toMatchObject({ flag: 'UO', detail: '`limits.perEndpoint.pending`' })
    ok(upstream.requests[0]!, upstream.open[0]!)
    mesh.settle()
    expect(upstream.open).toHaveLength(2)
    expect(upstream.requests).toHaveLength(3)
  })

  test('come and go with the policy while requests run', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = silent
    mesh.caller().get()
    mesh.settle()
    await mesh.apply(snapshot([A], { limits: { perEndpoint: { requests: 2, connections: 5 } } }))
    expect(mesh.endpoints()[0]!.endpoints[0]!.limits).toEqual([
      { limit: 'connections', used: 1, most: 5 },
      { limit: 'requests', used: 1, most: 2 },
    ])
    mesh.caller().get()
    const refused = mesh.caller().get()
    mesh.settle()
    expect(refused.statuses).toEqual([503])
    for (const connection of upstream.open) ok(upstream.requests[0]!, connection)
    mesh.settle()
    expect(mesh.endpoints()[0]!.endpoints[0]!.limits!.map(({ used }) => used)).toEqual([2, 0])
    await mesh.apply(snapshot([A], {}))
    expect(mesh.endpoints()[0]!.endpoints[0]!.limits).toBeUndefined()
    expectQuiet(mesh)
  })
})

describe('over two data threads', () => {
  test('a limit is one', async () => {
    const { meshes, loop } = await threads(2, [A], { limits: { requests: 3 } })
    for (const mesh of meshes) mesh.upstream(A).answer = silent
    for (let i = 0; i < 3; i++) for (const mesh of meshes) mesh.caller().get()
    loop.settle()
    expect(meshes.map(mesh => mesh.upstream(A).requests.length)).toEqual([2, 1])
    expect(meshes.map(mesh => mesh.callers.flatMap(({ statuses }) => statuses))).toEqual([[503], [503, 503]])
    expect(meshes.map(usesOf)).toEqual(Array(2).fill(expect.objectContaining({ requests: 3 })))
  })

  test('a thread that holds all connections idle gives one to a thread that waits', async () => {
    const { meshes, loop } = await threads(2, [A], { limits: { connections: 2 } })
    const [first, second] = meshes as [Mesh, Mesh]
    for (let i = 0; i < 2; i++) first.caller().get()
    loop.settle()
    expect(first.endpoints()[0]!.endpoints[0]!.idle).toBe(2)
    const waits = second.caller().get()
    loop.settle()
    expect(waits.statuses).toEqual([])
    loop.advance(300)
    expect(waits.statuses).toEqual([200])
    expect(usesOf(second)).toMatchObject({ connections: 2, pending: 0 })
  })

  test('a thread that keeps all connections busy gives one to a thread that has none', async () => {
    const { meshes, loop } = await threads(2, [A], { limits: { connections: 1 } })
    const [busy, starving] = meshes as [Mesh, Mesh]
    busy.upstream(A).answer = (request, connection) => void loop.after(10, () => ok(request, connection))
    const callers = Array.from({ length: 4 }, () => busy.caller().get())
    loop.settle()
    const waits = starving.caller().get()
    loop.advance(100)
    expect(waits.statuses).toEqual([200])
    loop.advance(900)
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual(Array(4).fill(200))
  })

  test('a thread that crashed leaves no permit behind', async () => {
    const { meshes, loop, start } = await threads(2, [A], { limits: { requests: 2, connections: 2 } })
    for (const mesh of meshes) mesh.upstream(A).answer = silent
    for (let i = 0; i < 2; i++) meshes[1]!.caller().get()
    loop.settle()
    const refused = meshes[0]!.caller().get()
    loop.settle()
    expect(refused.statuses).toEqual([503])
    await start(1)
    const served = meshes[0]!.caller().get()
    loop.settle()
    expect(served.statuses).toEqual([])
    expect(usesOf(meshes[0]!)).toMatchObject({ requests: 1, connections: 1 })
  })

  test('limits are never exceeded, and counts return to zero, whatever happens', async () => {
    const most = { connections: 3, pending: 2, requests: 6, retries: 2 }
    const perEndpoint = { connections: 2, requests: 3 }
    const step = fc.record({
      what: fc.constantFrom('ask', 'ask', 'ask', 'answer', 'reset', 'cancel', 'wait', 'refuse', 'accept'),
      thread: fc.nat(1),
      at: fc.constantFrom(A, B),
      which: fc.nat(9),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
        const { meshes, loop } = await threads(2, [A, B], {
          limits: { ...most, perEndpoint },
          outliers: { consecutiveGatewayFailures: 0 },
        })
        for (const mesh of meshes) for (const name of [A, B]) mesh.upstream(name).answer = silent
        for (const { what, thread, at, which } of steps) {
          const mesh = meshes[thread]!
          const upstream = mesh.upstream(at)
          const connection = upstream.open[which % Math.max(1, upstream.open.length)]
          if (what === 'ask') mesh.caller().get()
          else if (what === 'wait') loop.advance(30 * which)
          else if (what === 'refuse') upstream.connect = 'refuse'
          else if (what === 'accept') upstream.connect = 'accept'
          else if (what === 'cancel') mesh.callers[which % Math.max(1, mesh.callers.length)]?.close()
          else if (connection !== undefined && what === 'reset') connection.wire.destroy()
          else if (connection !== undefined && connection.reader.messages.length > 0)
            ok(upstream.requests[0]!, connection)
          loop.settle()
          const [service] = meshes[0]!.endpoints()
          for (const { limit, used, most } of service!.limits) {
            expect(used, limit).toBeGreaterThanOrEqual(0)
            // Requests for which a connection is being made wait whatever the limit.
            if (limit !== 'pending') expect(used, limit).toBeLessThanOrEqual(most)
          }
          const open = meshes.flatMap(mesh => mesh.upstreams.flatMap(({ open }) => open)).length
          expect(open).toBeLessThanOrEqual(most.connections)
          for (const { limits } of service!.endpoints)
            for (const { used, most } of limits!) expect(used).toBeLessThanOrEqual(most)
        }
        for (const mesh of meshes) for (const caller of mesh.callers) caller.close()
        loop.advance(20_000)
        for (const mesh of meshes) {
          expectQuiet(mesh)
          const [service] = mesh.endpoints()
          for (const { limit, used } of service!.limits) if (limit !== 'connections') expect(used, limit).toBe(0)
          for (const { limits } of service!.endpoints)
            expect(limits!.find(({ limit }) => limit === 'requests')!.used).toBe(0)
        }
      }),
      { numRuns: 60 },
    )
  })
})

test('a count that was closed no longer touches the memory it had', () => {
  const memory = new SharedArrayBuffer(CELL_MEMORY_BYTES)
  const cells = sharedCells(memory, 0, 2)
  const gone = new SharedCounts('limits a', cells)
  gone.add(limited.requests)
  gone.close()
  const next = new SharedCounts('limits b', cells)
  gone.give(limited.requests)
  expect([gone.own(limited.requests), next.total(limited.requests)]).toEqual([0, 0])
  expect(new SharedCounts('limits a', ownCells).total(limited.requests)).toBe(0)
})
