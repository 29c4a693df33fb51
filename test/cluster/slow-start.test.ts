import { describe, expect, test } from 'vitest'
import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import { slowStartFactor } from '../../proxy/cluster/slow-start.ts'
import { answered } from '../support/endpoints.ts'
import { endpointSpec, serviceSpec } from '../support/specs.ts'
import { clusterOf, shares } from './cluster-of.ts'

const slowStart = { windowMs: 10_000, aggression: 1, minWeightPercent: 10 }

function warm(names: readonly string[], balancer: Partial<BalancerSpec> = {}) {
  return clusterOf(
    serviceSpec('orders', names, {
      balancer: { type: 'random', slowStart, ...balancer },
      outliers: { consecutiveGatewayFailures: 1, baseEjectionMs: 1000 },
    }),
  )
}

describe('the curve', () => {
  test.each([
    // aggression, minimum, and the factor at 0, 1, 25, 50, 75, 100 % of the window
    [1, 10, [0.1, 0.1, 0.25, 0.5, 0.75, 1]],
    [2, 10, [0.1, 0.1, 0.5, Math.SQRT1_2, Math.sqrt(0.75), 1]],
    [0.5, 10, [0.1, 0.1, 0.1, 0.25, 0.5625, 1]],
    [1, 50, [0.5, 0.5, 0.5, 0.5, 0.75, 1]],
    [4, 1, [0.01, 0.01 ** 0.25, Math.SQRT1_2, 0.5 ** 0.25, 0.75 ** 0.25, 1]],
  ])('aggression %d from %d %%', (aggression, minWeightPercent, expected) => {
    const factors = [0, 100, 2500, 5000, 7500, 10_000].map(elapsed =>
      slowStartFactor(elapsed, { windowMs: 10_000, aggression, minWeightPercent }),
    )
    factors.forEach((factor, i) => {
      expect(factor).toBeCloseTo(expected[i]!, 12)
    })
  })

  test('never falls, and ends at one', () => {
    let last = 0
    for (let elapsed = 0; elapsed <= 12_000; elapsed += 10) {
      const factor = slowStartFactor(elapsed, { ...slowStart, aggression: 1.7 })
      expect(factor).toBeGreaterThanOrEqual(last)
      last = factor
    }
    expect(last).toBe(1)
  })
})

describe('an endpoint', () => {
  test('that comes to others gets its share little by little', () => {
    const { cluster, loop, endpoint } = warm(['a:1', 'b:1'])
    cluster.change({ put: [endpointSpec('c:1', { weight: 2 })], drop: [] })
    const c = endpoint('c:1')
    expect(c.weight).toBeCloseTo(0.2)
    const expectShare = (percent: number) => {
      const share = shares(cluster.whole.balancer, 20_000, ({ name }) => name)['c:1']!
      expect(Math.abs(share - percent), `${share} %`).toBeLessThan(1.5)
    }
    expectShare(100 * (0.2 / 2.2))
    loop.advance(5000)
    expect(c.weight).toBeCloseTo(1, 1)
    expectShare(100 / 3)
    loop.advance(5200)
    expect(c.weight).toBe(2)
    expectShare(50)
    expect(c.warmingSince).toBe(-1)
  })

  test('that is there from the start is not spared: all are equally cold', () => {
    const { cluster } = warm(['a:1', 'b:1'])
    expect(cluster.endpoints.map(({ weight }) => weight)).toEqual([1, 1])
    cluster.update([])
    cluster.update([endpointSpec('c:1'), endpointSpec('d:1')])
    expect(cluster.endpoints.map(({ weight }) => weight)).toEqual([1, 1])
  })

  test('that passes again begins anew; one that is known otherwise only does not', () => {
    const { cluster, loop, endpoint } = warm(['a:1', 'b:1'])
    cluster.change({ put: [endpointSpec('a:1', { health: 'critical' }), endpointSpec('b:1', { zone: 'x' })], drop: [] })
    expect(cluster.endpoints.map(({ warmingSince }) => warmingSince)).toEqual([-1, -1])
    loop.advance(1000)
    cluster.update([endpointSpec('a:1'), endpointSpec('b:1', { zone: 'x' })])
    expect(endpoint('a:1').warmingSince).toBe(loop.now)
    expect(cluster.endpoints.map(({ weight }) => weight)).toEqual([0.1, 1])
  })

  test('that comes unhealthy begins when it passes', () => {
    const { cluster, loop, endpoint } = warm(['a:1'])
    cluster.change({ put: [endpointSpec('b:1', { health: 'failing' })], drop: [] })
    loop.advance(8000)
    cluster.change({ put: [endpointSpec('b:1')], drop: [] })
    expect(endpoint('b:1').weight).toBeCloseTo(0.1)
    loop.advance(5000)
    expect(endpoint('b:1').weight).toBeCloseTo(0.5, 1)
  })

  test('that is re-admitted after an ejection begins anew', () => {
    const { cluster, loop, endpoint } = warm(['a:1', 'b:1'])
    cluster.report(answered(endpoint('a:1'), 503, 0), 'failure', null, '')
    expect(endpoint('a:1').state).toBe('ejected')
    loop.advance(1010)
    expect(endpoint('a:1').state).toBe('probing')
    expect(endpoint('a:1').weight).toBeCloseTo(0.1)
    loop.advance(10_200)
    expect(endpoint('a:1').weight).toBe(1)
  })
})

describe('pickers are made anew', () => {
  test('about fifty times in the window, and not after it', () => {
    const { cluster, loop, built } = warm(['a:1', 'b:1'])
    cluster.change({ put: [endpointSpec('c:1')], drop: [] })
    built.length = 0
    loop.advance(10_300)
    expect(built.length).toBeGreaterThanOrEqual(45)
    expect(built.length).toBeLessThanOrEqual(51)
    built.length = 0
    loop.advance(60_000)
    expect(built).toEqual([])
  })

  test('not more often than every 100 ms', () => {
    const { cluster, loop, built } = warm(['a:1'], { slowStart: { ...slowStart, windowMs: 1000 } })
    cluster.change({ put: [endpointSpec('b:1')], drop: [] })
    built.length = 0
    loop.advance(5000)
    expect(built.length).toBeGreaterThanOrEqual(9)
    expect(built.length).toBeLessThanOrEqual(10)
  })

  test('never where it is off, nor where keys are hashed', () => {
    for (const balancer of [
      { slowStart: { ...slowStart, windowMs: 0 } },
      { type: 'maglev', tableSize: 101 },
    ] as const) {
      const { cluster, loop, built, endpoint } = warm(['a:1', 'b:1'], balancer)
      cluster.change({ put: [endpointSpec('c:1')], drop: [] })
      expect(endpoint('c:1').weight).toBe(1)
      expect(endpoint('c:1').warmingSince).toBe(-1)
      built.length = 0
      loop.advance(20_000)
      expect(built).toEqual([])
    }
  })

  test('no more when slow start is turned off meanwhile, nor when the service goes', () => {
    const { cluster, loop, built, endpoint } = warm(['a:1', 'b:1'])
    cluster.change({ put: [endpointSpec('c:1')], drop: [] })
    cluster.configure({
      ...cluster.spec,
      endpoints: cluster.endpoints.map(({ spec }) => spec),
      balancer: { ...cluster.spec.balancer, slowStart: { ...slowStart, windowMs: 0 } },
    })
    expect(endpoint('c:1').weight).toBe(1)
    built.length = 0
    loop.advance(20_000)
    expect(built).toEqual([])
    const other = warm(['a:1', 'b:1'])
    other.cluster.change({ put: [endpointSpec('c:1')], drop: [] })
    other.cluster.retire()
    other.built.length = 0
    other.loop.advance(20_000)
    expect(other.built).toEqual([])
  })
})
