import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BalancerSpec, EndpointSpec } from '../../mesh-config/snapshot.ts'
import { type Locality, zonePicker } from '../../proxy/cluster/zone.ts'
import { zoneShares } from '../../proxy/cluster/zone-shares.ts'
import { chiSquareScore } from '../support/chi-square.ts'
import { bareEndpoints, pickContext } from '../support/endpoints.ts'
import { balancerSpec, endpointSpec, serviceSpec } from '../support/specs.ts'
import { type ClusterOptions, clusterOf, reachable, tally } from './cluster-of.ts'
import '../support/seed.ts'

type Counts = Readonly<Record<string, number>>

const inZone = (zone: string, count: number, overrides: Partial<EndpointSpec> = {}): EndpointSpec[] =>
  Array.from({ length: count }, (_, i) => endpointSpec(`${zone || 'none'}-${i}:80`, { zone, ...overrides }))

function zoned(
  upstream: Counts,
  locality: Locality,
  balancer: Partial<BalancerSpec> = {},
  options: ClusterOptions = {},
) {
  const endpoints = Object.entries(upstream).flatMap(([zone, count]) => inZone(zone, count))
  return clusterOf(serviceSpec('orders', endpoints, { balancer: { type: 'random', ...balancer } }), {
    ...options,
    locality,
  })
}

/**
 * Ten sizes: endpoints by zone, callers by zone (none: not known), and what percentage of the requests of a sidecar in
 * `a` goes where.
 */
const sizes: { upstream: Counts; origins: Counts; local: number; spill: Counts }[] = [
  // A third here, a third of the callers: all stay.
  { upstream: { a: 2, b: 2, c: 2 }, origins: {}, local: 100, spill: {} },
  // A sixth here: half of our third fits. Only b has more than its third.
  { upstream: { a: 1, b: 3, c: 2 }, origins: {}, local: 50, spill: { b: 50 } },
  { upstream: { a: 1, b: 4, c: 7 }, origins: {}, local: 25, spill: { c: 75 } },
  // Nobody here: b has a third to spare, c nothing.
  { upstream: { b: 6, c: 3 }, origins: { a: 3, b: 3, c: 3 }, local: 0, spill: { b: 100 } },
  // The example in Envoy's source: callers 40, 40, 20 %; endpoints 25, 50, 25 %. To spare: 10 and 5.
  { upstream: { a: 5, b: 10, c: 5 }, origins: { a: 4, b: 4, c: 2 }, local: 62.5, spill: { b: 25, c: 12.5 } },
  {
    upstream: { a: 10, b: 45, c: 45 },
    origins: { a: 30, b: 35, c: 35 },
    local: 100 / 3,
    spill: { b: 100 / 3, c: 100 / 3 },
  },
  // Half of the endpoints, a quarter of the callers.
  { upstream: { a: 50, b: 50 }, origins: { a: 10, b: 30 }, local: 100, spill: {} },
  { upstream: { a: 300, b: 300, c: 400 }, origins: { a: 50, b: 25, c: 25 }, local: 60, spill: { b: 10, c: 30 } },
  // Four zones, one without callers, and callers in a zone without endpoints.
  {
    upstream: { a: 200, b: 600, c: 600, d: 600 },
    origins: { a: 20, b: 30, c: 20, x: 30 },
    local: 50,
    spill: { c: 12.5, d: 37.5 },
  },
  { upstream: { a: 1000, b: 4000, c: 5000 }, origins: {}, local: 30, spill: { b: 20, c: 50 } },
]

describe('a sidecar in zone a', () => {
  test.each(sizes)(
    'endpoints $upstream, callers $origins: $local % stay, $spill go',
    ({ upstream, origins, local, spill }) => {
      const { cluster } = zoned(upstream, { zone: 'a', origins })
      const plan = cluster.whole.balance.zones
      if (typeof plan === 'string') throw new Error(plan)
      expect(plan.local * 100).toBeCloseTo(local, 9)
      const residual = plan.zones.reduce((sum, zone) => sum + zone.residual, 0)
      const planned = plan.zones
        .filter(zone => zone.residual > 0)
        .map(zone => [zone.zone, ((100 - local) * zone.residual) / residual] as const)
      expect(planned.map(([zone]) => zone)).toEqual(Object.keys(spill))
      for (const [zone, percent] of planned) expect(percent).toBeCloseTo(spill[zone]!, 9)
      // And so it is picked.
      const expected = [['a', local] as const, ...Object.entries(spill)].filter(([, percent]) => percent > 0)
      const counts = tally(cluster.whole.balancer, 40_000, ({ spec }) => spec.zone)
      expect([...counts.keys()].sort()).toEqual(expected.map(([zone]) => zone))
      if (expected.length > 1)
        expect(
          chiSquareScore(
            expected.map(([zone]) => counts.get(zone)!),
            expected.map(([, percent]) => percent),
          ),
        ).toBeLessThan(4)
      // Within a zone all get the same.
      const mine = tally(cluster.whole.balancer, 40_000, ({ spec, name }) =>
        spec.zone === expected[0]![0] ? name : '',
      )
      mine.delete('')
      if (mine.size > 1 && mine.size < 500)
        expect(
          chiSquareScore(
            [...mine.values()],
            [...mine.values()].map(() => 1),
          ),
        ).toBeLessThan(4)
    },
  )

  test('says in the record whether it stayed', () => {
    const { cluster } = zoned({ a: 1, b: 5 }, { zone: 'a', origins: {} })
    const seen = new Set<string>()
    for (let i = 0; i < 200; i++) {
      const context = pickContext()
      const endpoint = cluster.whole.balancer.pick(context)!
      expect(context.record.zone).toBe(endpoint.spec.zone === 'a' ? 'local' : 'spill')
      seen.add(context.record.zone)
    }
    expect([...seen].sort()).toEqual(['local', 'spill'])
  })
})

/** What the algorithm is for: nobody gets more than others, wherever the callers stand. */
test('over all zones together each endpoint gets the same', () => {
  const counts = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.integer({ min: 1, max: 40 }), {
    minKeys: 1,
  })
  fc.assert(
    fc.property(counts, counts, (upstream, origins) => {
      const capacity = new Map(Object.entries(upstream))
      const callers = new Map(Object.entries(origins))
      const endpoints = Object.values(upstream).reduce((a, b) => a + b)
      const total = Object.values(origins).reduce((a, b) => a + b)
      const got = new Map<string, number>()
      for (const [zone, count] of callers) {
        const { local, residual } = zoneShares(zone, capacity, callers)
        const left = [...residual.values()].reduce((a, b) => a + b, 0)
        got.set(zone, (got.get(zone) ?? 0) + (count / total) * local)
        for (const [other, part] of residual)
          if (part > 0) got.set(other, (got.get(other) ?? 0) + ((count / total) * (1 - local) * part) / left)
      }
      for (const [zone, count] of capacity) expect(got.get(zone) ?? 0).toBeCloseTo(count / endpoints, 9)
    }),
  )
})

describe('zones are not looked at', () => {
  const why = (made: ReturnType<typeof zoned>) => {
    const { zones } = made.cluster.whole.balance
    const context = pickContext()
    made.cluster.whole.balancer.pick(context)
    expect(context.record.zone).toBe('')
    return zones
  }
  const here: Locality = { zone: 'a', origins: {} }

  test.each([
    ['where that is off', { a: 3, b: 3 }, here, { zoneAware: { on: false, minEndpoints: 1 } }, 'off'],
    ['where this sidecar has no zone', { a: 3, b: 3 }, { zone: '', origins: {} }, {}, 'this sidecar names no zone'],
    ['with too few endpoints', { a: 2, b: 3 }, here, {}, 'fewer than 6 endpoints'],
    ['where all endpoints are in one zone', { a: 6 }, here, {}, 'all endpoints are in one zone'],
    [
      'where all callers are in one zone',
      { a: 3, b: 3 },
      { zone: 'a', origins: { a: 9, b: 0 } },
      {},
      'all callers are in one zone',
    ],
    [
      'where keys are hashed',
      { a: 3, b: 3 },
      here,
      { type: 'maglev' as const, tableSize: 101 },
      'the policy goes by hash',
    ],
    ['where there is nobody', {}, here, {}, 'there are no endpoints in the first priority'],
  ])('%s', (_what, upstream, locality, balancer, expected) => {
    expect(why(zoned(upstream as Counts, locality, balancer))).toBe(expected)
  })

  test('in panic', () => {
    const made = zoned({ a: 3, b: 3 }, here)
    made.cluster.update([...inZone('a', 3, { health: 'failing' }), ...inZone('b', 3, { health: 'failing' })])
    expect(why(made)).toBe('panic')
    expect(reachable(made.cluster.whole)).toHaveLength(6)
  })

  test('beyond the first priority', () => {
    const made = clusterOf(
      serviceSpec('orders', [
        ...inZone('a', 3, { priority: 1 }),
        ...inZone('b', 3, { priority: 1 }),
        ...inZone('c', 1, { health: 'critical' }),
      ]),
      {
        locality: here,
      },
    )
    expect(reachable(made.cluster.whole)).toHaveLength(6)
  })
})

describe('zone-aware routing', () => {
  test('a zone that is down spills to the others, and its callers are still counted', () => {
    // c is down. Its callers go where there is more than a third: so a sidecar in b must not send its own away.
    const made = clusterOf(
      serviceSpec('orders', [...inZone('a', 4), ...inZone('b', 2), ...inZone('c', 3, { health: 'critical' })], {
        balancer: 'random',
      }),
      {
        locality: { zone: 'b', origins: {} },
      },
    )
    expect(made.cluster.whole.balance.zones).toMatchObject({ local: 1 })
    const other = clusterOf(made.cluster.spec, { locality: { zone: 'c', origins: {} } })
    expect(reachable(other.cluster.whole).every(name => name.startsWith('a-'))).toBe(true)
  })

  test('a zone that fills up again gets its own back, and our own instances that move count', () => {
    const { cluster } = zoned({ a: 1, b: 5 }, { zone: 'a', origins: {} })
    expect(cluster.whole.balance.zones).toMatchObject({ local: 1 / 3 })
    cluster.change({ put: inZone('a', 5), drop: [] })
    expect(cluster.whole.balance.zones).toMatchObject({ local: 1 })
    cluster.setOrigins({ a: 3, b: 1 })
    expect(cluster.whole.balance.zones).toMatchObject({ local: 2 / 3 })
    cluster.configure(cluster.spec, 'b')
    expect(cluster.whole.balance.zones).toMatchObject({ local: 1 })
  })

  test('we are one of the callers, registered or not', () => {
    const { cluster } = zoned({ a: 2, b: 8 }, { zone: 'a', origins: { b: 4 } })
    expect(cluster.whole.balance.zones).toMatchObject({ local: 1 })
    // Us and nine others: a tenth of the callers, a twentieth of the endpoints.
    const other = zoned({ a: 1, b: 19 }, { zone: 'a', origins: { b: 9 } })
    expect(other.cluster.whole.balance.zones).toMatchObject({ local: 0.5 })
  })

  test('an endpoint that moves to another zone counts there', () => {
    const { cluster } = zoned({ a: 2, b: 4 }, { zone: 'a', origins: {} })
    cluster.change({ put: [{ ...cluster.endpoints[5]!.spec, zone: 'a' }], drop: [] })
    expect(cluster.whole.balance.zones).toMatchObject({ local: 1 })
    expect(reachable(cluster.whole)).toEqual(['a-0:80', 'a-1:80', 'b-3:80'])
  })

  test('a retry that leaves the priority leaves the zones too', () => {
    const endpoints = [...inZone('a', 3), ...inZone('b', 3), endpointSpec('far:80', { zone: 'a', priority: 1 })]
    const { cluster } = clusterOf(serviceSpec('orders', endpoints), { locality: { zone: 'a', origins: {} } })
    const first = pickContext()
    cluster.whole.balancer.pick(first)
    expect(first.record).toMatchObject({ zone: 'local', priority: 0 })
    const context = pickContext(cluster.endpoints.slice(0, 6))
    expect(cluster.whole.balancer.pick(context)!.name).toBe('far:80')
    expect(context.record).toMatchObject({ zone: '', priority: 1 })
  })

  test('where rounding leaves nothing to any zone, all stay', () => {
    const endpoints = bareEndpoints([1, 1])
    const zones = ['a', 'b'].map((zone, i) => ({ zone, endpoints: [endpoints[i]!], residual: 0 }))
    const picker = zonePicker(
      { local: 1 - 2 ** -52, zones },
      endpoints.map(endpoint => ({ pick: () => endpoint })),
      'a',
      () => 1 - 2 ** -53,
    )
    expect(picker.pick(pickContext())).toBe(endpoints[0])
  })

  test('a zone is worth the weights of its endpoints', () => {
    const { cluster } = clusterOf(
      serviceSpec('orders', [...inZone('a', 3, { weight: 1 }), ...inZone('b', 3, { weight: 3 })], {
        balancer: 'random',
      }),
      {
        locality: { zone: 'a', origins: {} },
      },
    )
    expect(cluster.whole.balance.zones).toMatchObject({ local: 0.5 })
  })

  test('a retry goes to another zone when its own has nobody new, to the own one when another has not', () => {
    const { cluster } = zoned({ a: 2, b: 4 }, { zone: 'a', origins: { a: 1, b: 9 } })
    const mine = cluster.endpoints.filter(({ spec }) => spec.zone === 'a')
    expect(cluster.whole.balance.zones).toMatchObject({ local: 1 })
    for (let i = 0; i < 50; i++) {
      const context = pickContext(mine)
      expect(cluster.whole.balancer.pick(context)!.spec.zone).toBe('b')
      expect(context.record.zone).toBe('spill')
    }
    const others = cluster.endpoints.filter(({ spec }) => spec.zone === 'b')
    expect(cluster.whole.balancer.pick(pickContext([...others, mine[0]!]))).toBe(mine[1])
    expect(cluster.whole.balancer.pick(pickContext(cluster.endpoints))!.spec.zone).toBe('a')
  })

  test('draws at the very ends of chance stay inside', () => {
    for (const draw of [0, 0.5, 1 - 2 ** -53]) {
      const { cluster } = zoned({ a: 1, b: 4, c: 1 }, { zone: 'a', origins: {} }, {}, { random: () => draw })
      expect(cluster.endpoints).toContain(cluster.whole.balancer.pick(pickContext()))
      expect(cluster.endpoints).toContain(cluster.whole.balancer.pick(pickContext([cluster.endpoints[0]!])))
    }
  })

  test('the default is on, from six endpoints', () => {
    expect(balancerSpec().zoneAware).toEqual({ on: true, minEndpoints: 6 })
  })
})
