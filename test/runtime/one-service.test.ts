import { describe, expect, test } from 'vitest'
import type { ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { http2 } from '../../proxy/codec/h2/codec.ts'
import { ownCells } from '../../proxy/core/cells.ts'
import type { SeriesSpec, ToControl } from '../../proxy/core/channel.ts'
import { DecisionRecord } from '../../proxy/core/decision.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { Route } from '../../proxy/core/route.ts'
import { Tracing } from '../../proxy/core/tracing.ts'
import { type Applier, applier } from '../../proxy/runtime/apply.ts'
import { peerNames } from '../../proxy/telemetry/peer-names.ts'
import { statsWriter } from '../../proxy/telemetry/stats.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { Mesh } from '../support/mesh.ts'
import { seeded } from '../support/random.ts'
import { endpointSpec, listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'
import { testTurns } from '../support/turns.ts'

/** A change of one service costs that service only: what belongs to the others stays the very same objects. */

const COUNT = 500
const names = Array.from({ length: COUNT }, (_, index) => `service-${index}`)
const CHANGED = 'service-7'

function service(name: string, retries = 2): ServiceSpec {
  const path = { kind: 'prefix', value: '/api/' } as const
  const match = { path, methods: ['GET'], headers: [], query: [] }
  const to = [{ service: name, subset: null, weight: 1 }]
  return serviceSpec(name, [`10.0.0.1:80`, '10.0.0.2:80'], {
    retries: { attempts: retries },
    routes: [{ name: '/api/*', match, to, timeouts: null, retries: null }],
  })
}

const listeners = [
  listenerSpec({ protocol: 'detect' }),
  listenerSpec({ listen: { address: '127.0.0.1', port: 8001 }, protocol: 'http' }),
]

/** As it comes through the channel: nothing in it is an object of the one before. */
function snapshot(version: string, ...changed: readonly ServiceSpec[]): Snapshot {
  const services = names.map(name => changed.find(spec => spec.name === name) ?? service(name))
  return structuredClone({ ...snapshotOf(services, listeners), version })
}

function start() {
  const clock = manualClock(new EventLoop())
  const sent: ToControl[] = []
  const wires = http2(clock, {})
  const stats = statsWriter(message => sent.push(message))
  const own = applier({
    clock,
    random: seeded(1),
    turns: testTurns,
    cells: ownCells,
    stats,
    requests: { stats, peers: peerNames(), exemplars: { offer() {} } },
    event() {},
    tellEjections() {},
    tracing: new Tracing(),
    dial: () => () => {},
    tls: { load: async () => {}, dial: () => () => () => {}, server: () => () => () => {} },
    ownListeners: () => [],
    http2: wires,
    hop: wires,
  })
  return { applier: own, sent }
}

const noRegex = () => () => false

function apply(own: Applier, next: Snapshot): void {
  own.prepare(next, noRegex).commit()
}

interface Seen {
  readonly cluster: object
  readonly picker: object
  readonly route: Route
  readonly tcp: Route
}

function seen(own: Applier): Map<string, Seen> {
  const [listener] = [...own.inForce()!.listeners.values()]
  const clusters = new Map(own.clusters().map(cluster => [cluster.name, cluster]))
  return new Map(
    names.map(name => {
      const head = {
        method: 'GET',
        scheme: 'http' as const,
        authority: name,
        path: '/api/x',
        upgrade: '',
        headers: new HeaderList(),
      }
      const cluster = clusters.get(name)!
      return [
        name,
        {
          cluster,
          picker: cluster.whole.balancer,
          route: listener!.router(head, new DecisionRecord())!,
          tcp: listener!.tcpRouter(name, new DecisionRecord())!,
        },
      ]
    }),
  )
}

function others(map: ReadonlyMap<string, Seen>): Seen[] {
  return names.filter(name => name !== CHANGED).map(name => map.get(name)!)
}

function expectSame(before: ReadonlyMap<string, Seen>, after: ReadonlyMap<string, Seen>): void {
  const later = others(after)
  for (const [index, one] of others(before).entries()) {
    const other = later[index]!
    for (const part of ['cluster', 'picker', 'route', 'tcp'] as const) expect(other[part]).toBe(one[part])
    expect(other.route.stats).toBe(one.route.stats)
  }
}

const series = (sent: readonly ToControl[]): SeriesSpec[] =>
  sent.flatMap(message => (message.kind === 'series' ? [message.series] : []))

describe('with 500 services', () => {
  test('another policy of one builds anew what is its own', () => {
    const { applier: own, sent } = start()
    apply(own, snapshot('1'))
    const before = seen(own)
    sent.length = 0
    apply(own, snapshot('2', service(CHANGED, 5)))
    const after = seen(own)
    expectSame(before, after)
    expect(after.get(CHANGED)!.route).not.toBe(before.get(CHANGED)!.route)
    expect(after.get(CHANGED)!.route.retry.attempts).toBe(5)
    expect(after.get(CHANGED)!.route.stats).toBe(before.get(CHANGED)!.route.stats)
    expect(sent).toEqual([])
  })

  test('other endpoints of one make a new picker of that one, and no new routes', () => {
    const { applier: own } = start()
    apply(own, snapshot('1'))
    const before = seen(own)
    apply(own, snapshot('2', { ...service(CHANGED), endpoints: [endpointSpec('10.0.0.3:80')] }))
    const after = seen(own)
    expectSame(before, after)
    expect(after.get(CHANGED)!.route).toBe(before.get(CHANGED)!.route)
    expect(after.get(CHANGED)!.picker).not.toBe(before.get(CHANGED)!.picker)
    const changed = own.clusters().find(({ name }) => name === CHANGED)!
    expect(changed.endpoints.map(({ name }) => name)).toEqual(['10.0.0.3:80'])
  })

  test('a snapshot that is abandoned leaves all as it was', () => {
    const { applier: own, sent } = start()
    apply(own, snapshot('1'))
    const before = seen(own)
    sent.length = 0
    own.prepare(snapshot('2', service(CHANGED, 5)), noRegex).abandon()
    expect(own.inForce()!.version).toBe('1')
    expect(seen(own)).toEqual(before)
    expectSame(before, seen(own))
    expect(sent).toEqual([])
    apply(own, snapshot('3', service(CHANGED, 5)))
    expectSame(before, seen(own))
    expect(seen(own).get(CHANGED)!.route.retry.attempts).toBe(5)
  })

  test('routes that lead to a service follow it when it goes and comes again', () => {
    const { applier: own, sent } = start()
    const canary = { ...service('service-1').routes[0]!, to: [{ service: CHANGED, subset: null, weight: 1 }] }
    const leading = { ...service('service-1'), routes: [canary] }
    const find = () => {
      const record = new DecisionRecord()
      return seen(own).get('service-1')!.route.destination(seeded(1), record)
    }
    const cluster = () => own.clusters().find(({ name }) => name === CHANGED)
    const without = snapshot('2', leading)
    apply(own, snapshot('1', leading))
    expect(find()).toBe(cluster()!.whole)
    apply(own, {
      ...without,
      services: Object.fromEntries(Object.entries(without.services).filter(([name]) => name !== CHANGED)),
    })
    expect(cluster()).toBeUndefined()
    sent.length = 0
    apply(own, snapshot('3', leading))
    expect(find()).toBe(cluster()!.whole)
    // Its own route and endpoints are counted anew; those of no other service are.
    expect(new Set(series(sent).map(({ labels }) => labels.service))).toEqual(new Set([CHANGED]))
  })
})

describe('a snapshot that leaves out what is as in the one in force', () => {
  const [orders, users] = [serviceSpec('orders', ['10.0.0.1:80']), serviceSpec('users', ['10.0.0.2:80'])]

  test('keeps the endpoints that a data thread was told of meanwhile', async () => {
    const mesh = await Mesh.start(snapshotOf([orders, users]))
    const moved = [endpointSpec('10.0.0.9:80')]
    mesh.thread.receive({ kind: 'endpoints', service: 'users', delta: { put: moved, drop: ['10.0.0.2:80'] } })
    const changed = { ...snapshotOf([serviceSpec('orders', ['10.0.0.3:80'])]), version: '2' }
    mesh.thread.receive({
      kind: 'snapshot',
      snapshot: { ...changed, services: { ...changed.services, users: { ...users, endpoints: moved } } },
      services: ['orders', 'users'],
    })
    mesh.thread.receive({ kind: 'snapshot', snapshot: { ...changed, version: '3' }, services: ['orders', 'users'] })
    await expect.poll(() => mesh.messages.findLast(({ kind }) => kind === 'ack')).toMatchObject({ version: '3' })
    expect(endpoints(mesh)).toEqual({ orders: ['10.0.0.3:80'], users: ['10.0.0.9:80'] })
  })

  test('is refused where that one does not have it', async () => {
    const mesh = await Mesh.start(snapshotOf([orders]))
    mesh.thread.receive({ kind: 'snapshot', snapshot: { ...snapshotOf([]), version: '2' }, services: ['users'] })
    await expect
      .poll(() => mesh.messages.findLast(({ kind }) => kind === 'nack'))
      .toMatchObject({ reasons: ['the snapshot leaves out the service users, which is not in force'] })
    expect(endpoints(mesh)).toEqual({ orders: ['10.0.0.1:80'] })
  })
})

function endpoints(mesh: Mesh) {
  const services = mesh.endpoints()
  return Object.fromEntries(services.map(({ name, endpoints }) => [name, endpoints.map(({ address }) => address)]))
}
