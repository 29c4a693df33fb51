import { describe, expect, test } from 'vitest'
import type { BalancerSpec, EndpointHealth } from '../../mesh-config/snapshot.ts'
import { loadLevels } from '../../proxy/cluster/load.ts'
import { priorityPicker } from '../../proxy/cluster/priority.ts'
import type { LoadBalancer } from '../../proxy/core/balancer.ts'
import type { Endpoint } from '../../proxy/core/endpoint.ts'
import { bareEndpoint, pickContext } from '../support/endpoints.ts'
import { seeded } from '../support/random.ts'
import { balancerSpec, endpointSpec, serviceSpec } from '../support/specs.ts'
import { clusterOf, reachable, shares } from './cluster-of.ts'

/** So many endpoints of a priority, of which so many pass; the rest is of another health. */
function level(priority: number, count: number, passing: number, rest: EndpointHealth = 'failing'): Endpoint[] {
  return Array.from({ length: count }, (_, i) =>
    bareEndpoint({ priority, health: i < passing ? 'passing' : rest }, `10.${priority}.0.${i}:80`),
  )
}

function levels(healthy: readonly number[], overrides: Partial<BalancerSpec> = {}) {
  return loadLevels(
    healthy.flatMap((percent, priority) => level(priority, 100, percent)),
    balancerSpec(overrides),
  )
}

/** The documentation rounds to whole percents; it does not speak of panic here. */
function expectLoads(healthy: readonly number[], documented: readonly number[]): void {
  const loads = levels(healthy, { panic: { health: 0, ejected: 0 } }).map(({ load }) => load)
  loads.forEach((load, i) => {
    expect(Math.abs(load - documented[i]!), `priority ${i}: ${load}`).toBeLessThan(1)
  })
}

/** The tables of Envoy's documentation (arch_overview/upstream/load_balancing/priority), overprovisioning 1.4. */
describe('the load of priorities', () => {
  test.each([
    [100, 100, 0],
    [72, 100, 0],
    [71, 99, 1],
    [50, 70, 30],
    [25, 35, 65],
    [0, 0, 100],
  ])('%d %% of the first are healthy, all of the second: %d, %d', (healthy, ...documented) => {
    expectLoads([healthy, 100], documented)
  })

  test.each([
    [100, 100, 100, 0],
    [72, 72, 100, 0],
    [71, 71, 99, 1],
    [50, 50, 70, 30],
    [25, 100, 35, 65],
    [25, 25, 50, 50],
  ])('%d %% and %d %% are healthy: %d, %d', (a, b, ...documented) => {
    expectLoads([a, b], documented)
  })

  test.each([
    [100, 100, 100, 100, 0, 0],
    [72, 72, 100, 100, 0, 0],
    [71, 71, 100, 99, 1, 0],
    [50, 50, 100, 70, 30, 0],
    [25, 100, 100, 35, 65, 0],
    [25, 25, 100, 35, 35, 30],
    [25, 25, 20, 36, 36, 28],
  ])('%d %%, %d %% and %d %% are healthy: %d, %d, %d', (a, b, c, ...documented) => {
    expectLoads([a, b, c], documented)
  })

  test('always makes 100, also with factors that do not divide well', () => {
    for (let a = 0; a <= 100; a += 3)
      for (let b = 0; b <= 100; b += 7) {
        const total = levels([a, b, 1], { overprovisioning: 1.3 }).reduce((sum, { load }) => sum + load, 0)
        expect(total).toBeCloseTo(100, 9)
      }
  })

  test('without overprovisioning each failure moves its share', () => {
    expect(levels([90, 100], { overprovisioning: 1 }).map(({ load }) => load)).toEqual([90, 10])
  })

  test('ejected endpoints are missing as failing ones are', () => {
    const first = level(0, 10, 10)
    for (const endpoint of first.slice(0, 5)) endpoint.state = 'ejected'
    expect(loadLevels([...first, ...level(1, 10, 10)], balancerSpec()).map(({ load }) => Math.round(load))).toEqual([
      70, 30,
    ])
  })

  test('critical ones are missing; those in maintenance or draining are not, but all of them gone leaves nothing', () => {
    const of = (rest: EndpointHealth, passing: number) =>
      loadLevels([...level(0, 10, passing, rest), ...level(1, 10, 10)], balancerSpec()).map(({ load }) =>
        Math.round(load),
      )
    expect(of('critical', 5)).toEqual([70, 30])
    for (const rest of ['maintenance', 'draining'] as const) {
      expect(of(rest, 5)).toEqual([100, 0])
      expect(of(rest, 0)).toEqual([0, 100])
    }
  })
})

/**
 * The tables of Envoy's documentation (.../panic_threshold), threshold 50 %. Loads and totals are recomputed where its
 * rows contradict its own formula.
 */
describe('panic and priorities', () => {
  test.each([
    [72, 100, false, false],
    [25, 100, false, false],
    [0, 100, false, false],
    [72, 72, false, false],
    [71, 71, false, false],
    [50, 60, false, false],
    [25, 25, true, true],
    [5, 65, true, false],
  ])('%d %% and %d %% are healthy: in panic %s, %s', (a, b, first, second) => {
    expect(levels([a, b]).map(({ panic }) => panic.health)).toEqual([first, second])
  })

  test('5 % and 65 %: 7 and 93, and the first goes to all of its endpoints', () => {
    const [first, second] = levels([5, 65])
    expect([first!, second!].map(({ load }) => Math.round(load))).toEqual([7, 93])
    expect([first!, second!].map(({ rotation }) => rotation.length)).toEqual([100, 65])
  })

  test('where all are in panic, each endpoint gets the same, whatever its priority', () => {
    const panicking = loadLevels([...level(0, 30, 3), ...level(1, 10, 0)], balancerSpec())
    expect(panicking.map(({ load }) => load)).toEqual([75, 25])
  })

  test('where nobody passes and panic is off, nobody is asked', () => {
    const off = levels([0, 0], { panic: { health: 0, ejected: 0 } })
    expect(off.map(({ rotation }) => rotation.length)).toEqual([0, 0])
  })

  test('a priority that panics alone gets everything when nobody is healthy', () => {
    const ejected = level(1, 4, 4)
    for (const endpoint of ejected) endpoint.state = 'ejected'
    const [first, second] = loadLevels([...level(0, 4, 0), ...ejected], balancerSpec())
    expect([first!.load, second!.load]).toEqual([100, 0])
    expect([first!.rotation.length, second!.rotation.length]).toEqual([4, 0])
  })
})

describe('a cluster with priorities', () => {
  const spec = (health: readonly EndpointHealth[]) =>
    serviceSpec('orders', [
      ...health.map((each, i) => endpointSpec(`10.0.0.${i}:80`, { health: each })),
      ...[0, 1, 2, 3].map(i => endpointSpec(`10.1.0.${i}:80`, { priority: 1 })),
    ])

  test('asks the first alone while it can carry all', () => {
    const { cluster } = clusterOf(spec(['passing', 'passing', 'passing', 'failing']))
    expect(reachable(cluster.whole)).toEqual(['10.0.0.0:80', '10.0.0.1:80', '10.0.0.2:80'])
  })

  test('shares out by load, and the record says which priority it was', () => {
    const { cluster } = clusterOf(spec(['passing', 'passing', 'failing', 'failing']))
    const found = shares(cluster.whole.balancer, 50_000, ({ spec }) => String(spec.priority))
    expect(found['0']).toBeGreaterThan(69)
    expect(found['0']).toBeLessThan(71)
    const context = pickContext()
    const endpoint = cluster.whole.balancer.pick(context)!
    expect(context.record.priority).toBe(endpoint.spec.priority)
  })

  test('fails over whole when the first is gone, and comes back', () => {
    const { cluster } = clusterOf(spec(['passing', 'passing']))
    const all = cluster.spec.endpoints
    cluster.update(all.map(each => (each.priority === 0 ? { ...each, health: 'critical' } : each)))
    expect(reachable(cluster.whole)).toEqual(['10.1.0.0:80', '10.1.0.1:80', '10.1.0.2:80', '10.1.0.3:80'])
    cluster.update(all)
    expect(reachable(cluster.whole)).toEqual(['10.0.0.0:80', '10.0.0.1:80'])
  })

  test('a retry goes on to the next priority when the first has no other endpoint', () => {
    const { cluster } = clusterOf(spec(['passing', 'passing']))
    const [a, b] = cluster.endpoints
    const context = pickContext([a!, b!])
    const endpoint = cluster.whole.balancer.pick(context)!
    expect(endpoint.spec.priority).toBe(1)
    expect(context.record.priority).toBe(1)
    // And back to the first when everybody was tried.
    const tired = pickContext(cluster.endpoints)
    expect(cluster.whole.balancer.pick(tired)!.spec.priority).toBe(0)
    expect(tired.record.priority).toBe(0)
  })

  test('with one priority there is none to draw', () => {
    const { cluster } = clusterOf(serviceSpec('orders', ['a:1', 'b:1']))
    const context = pickContext()
    cluster.whole.balancer.pick(context)
    expect(context.record.priority).toBe(-1)
  })
})

describe('the draw of a priority', () => {
  const one = (name: string): LoadBalancer => {
    const endpoint = bareEndpoint({}, name)
    return { pick: () => endpoint }
  }
  const pickers = [one('a:1'), one('b:1'), one('c:1')]

  test('by hash stays where it is, and gives each its load', () => {
    const picker = priorityPicker(pickers, [70, 30, 0], true, seeded(1))
    const counts = new Map<string, number>()
    const random = seeded(3)
    for (let i = 0; i < 20_000; i++) {
      const context = { ...pickContext(), hash: Math.floor(random() * 2 ** 32) }
      const { name } = picker.pick(context)!
      expect(picker.pick(context)!.name).toBe(name)
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    expect(counts.get('a:1')! / 20_000).toBeCloseTo(0.7, 1)
    expect(counts.get('b:1')! / 20_000).toBeCloseTo(0.3, 1)
    expect(counts.get('c:1')).toBeUndefined()
  })

  test('a retry tries the first priorities first', () => {
    const tried = pickers[1]!.pick(pickContext())!
    const picker = priorityPicker(pickers, [0, 100, 0], false, seeded(1))
    expect(picker.pick(pickContext())).toBe(tried)
    expect(picker.pick(pickContext([tried]))!.name).toBe('a:1')
  })

  test('at the very ends of chance stays inside', () => {
    for (const [loads, low, high] of [
      [[70, 30, 0], 'a:1', 'b:1'],
      [[0, 0, 100], 'c:1', 'c:1'],
      // Shares that do not quite add up.
      [[33.3, 33.3, 33.3], 'a:1', 'c:1'],
    ] as const) {
      expect(priorityPicker(pickers, loads, false, () => 0).pick(pickContext())!.name).toBe(low)
      expect(priorityPicker(pickers, loads, false, () => 1 - 2 ** -53).pick(pickContext())!.name).toBe(high)
    }
  })
})
