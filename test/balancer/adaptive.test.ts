import { describe, expect, test } from 'vitest'
import { adaptive, performances } from '../../proxy/balancer/adaptive.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { chiSquareScore } from '../support/chi-square.ts'
import { balancerDeps, bareEndpoints, pickContext } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { traffic } from './traffic.ts'

const ok = { status: 200, headers: new HeaderList([]) }

function learnt(latencies: readonly number[], failures: readonly number[] = [], settings = {}) {
  const deps = balancerDeps(3, settings)
  const endpoints = bareEndpoints(latencies.map(() => 1))
  endpoints.forEach((endpoint, i) => {
    for (let k = 0; k < 10_000; k++) {
      const fails = k < (failures[i] ?? 0) * 10_000
      adaptive.observe!(endpoint, fails ? 'failure' : 'success', latencies[i]!, fails ? null : ok, deps)
    }
  })
  return { deps, endpoints }
}

describe('performance', () => {
  const relative = (values: Float64Array) => Array.from(values, value => value / values[0]!)

  test('falls with the square of the latency', () => {
    const { deps, endpoints } = learnt([10, 20, 100])
    const [, half, tenth] = relative(performances(endpoints, Float64Array.of(1, 1, 1), deps))
    expect(half).toBeCloseTo(1 / 4, 2)
    expect(tenth).toBeCloseTo(1 / 100, 2)
  })

  test('falls with the square of the success rate', () => {
    const { deps, endpoints } = learnt([10, 10], [0, 0.25], { failurePenaltyMs: 0 })
    expect(relative(performances(endpoints, Float64Array.of(1, 1), deps))[1]).toBeCloseTo(0.75 ** 2, 2)
  })

  test('falls with more requests under way than its capacity should have', () => {
    const { deps, endpoints } = learnt([10, 10])
    endpoints[0]!.active = 10
    endpoints[1]!.active = 50
    // By capacity 30 each: only the one above that is pulled down.
    expect(relative(performances(endpoints, Float64Array.of(1, 1), deps))[1]).toBeCloseTo(31 / 51, 6)
    // Where it is five times as large, that is its due.
    expect(relative(performances(endpoints, Float64Array.of(1, 5), deps))[1]).toBeCloseTo(1, 6)
  })
})

describe('adaptive', () => {
  test('W = C P / sum: the learnt weights follow capacity and performance', () => {
    const { deps, endpoints } = learnt([10, 20])
    while (adaptive.reweigh!(endpoints, deps));
    const ratio = endpoints[0]!.learntWeight / endpoints[1]!.learntWeight
    expect(ratio).toBeGreaterThan(3.6)
    expect(ratio).toBeLessThan(4.4)
  })

  test('endpoints are drawn by W, and the least loaded for its W is taken', () => {
    const deps = balancerDeps(5)
    const endpoints = bareEndpoints([1, 1])
    endpoints[1]!.weight = 0.2
    const picker = adaptive.create(endpoints, deps)
    const counts = [0, 0]
    for (let i = 0; i < 20_000; i++) counts[endpoints.indexOf(picker.pick(pickContext())!)]!++
    expect(chiSquareScore(counts, [5, 1])).toBeLessThan(4)
    endpoints[0]!.active = 10
    for (let i = 0; i < 100; i++) expect(picker.pick(pickContext())).toBe(endpoints[1])
  })

  test('reports count: one of two equally fast that has more room gets more', () => {
    const report = (utilization: number) => [
      'endpoint-load-metrics',
      `TEXT cpu_utilization=${utilization}, rps_fractional=100`,
    ]
    const { shares } = traffic('adaptive', {
      weights: [1, 1],
      requestsPerSecond: 300,
      seconds: 100,
      reply: (index, _atMs, chance) => ({
        afterMs: 10 * (0.9 + 0.1 * chance()),
        status: 200,
        headers: report(index === 0 ? 0.3 : 0.9),
      }),
    })
    // Three to one once the reports count, after ten seconds; even before that.
    expect(shares[0]).toBeGreaterThan(0.68)
    expect(shares[0]).toBeLessThan(0.78)
  })

  test('a malformed report changes nothing', () => {
    const loop = new EventLoop()
    const deps = balancerDeps(1, {}, loop)
    const [endpoint] = bareEndpoints([1])
    for (let i = 0; i < 30; i++) {
      adaptive.observe!(
        endpoint!,
        'success',
        10,
        { status: 200, headers: new HeaderList(['endpoint-load-metrics', 'JSON {"cpu_utilization":0.5']) },
        deps,
      )
      loop.advance(1000)
    }
    expect(endpoint!.load).toMatchObject({ reportedQps: -1, reportedUtilization: -1, reportedSince: -1 })
  })

  test('one of ten at a tenth of the speed stays out of the 99th percentile', () => {
    const { shares, quantile } = traffic('adaptive', {
      weights: Array<number>(10).fill(1),
      requestsPerSecond: 500,
      seconds: 30,
      reply: (index, _atMs, chance) => ({ afterMs: (index === 0 ? 100 : 10) * chance(), status: 200 }),
    })
    expect(shares[0]).toBeLessThan(0.02)
    expect(quantile(0.99)).toBeLessThan(60)
  })

  test('weights settle: nobody swings', () => {
    const { endpoints, shares } = traffic('adaptive', {
      weights: [1, 2, 4],
      requestsPerSecond: 700,
      seconds: 60,
      reply: (_index, _atMs, chance) => ({ afterMs: 10 * chance(), status: 200 }),
    })
    for (const { learntWeight } of endpoints) {
      expect(learntWeight).toBeGreaterThan(0.7)
      expect(learntWeight).toBeLessThan(1.4)
    }
    shares.forEach((share, i) => {
      expect(share / ([1, 2, 4][i]! / 7)).toBeGreaterThan(0.75)
      expect(share / ([1, 2, 4][i]! / 7)).toBeLessThan(1.25)
    })
  })

  test.each([
    ['utilisation 1e-9', 'TEXT cpu_utilization=1e-9, rps_fractional=100'],
    ['1e12 requests a second', 'JSON {"cpu_utilization": 0.5, "rps_fractional": 1e12}'],
    ['both, and no number to divide by', 'TEXT cpu_utilization=5e-324, rps_fractional=1e12'],
  ])('an endpoint that reports %s gets a bounded multiple of its share', (_name, lie) => {
    for (const count of [2, 3, 10]) {
      const { shares } = traffic('adaptive', {
        weights: Array<number>(count).fill(1),
        requestsPerSecond: 300,
        seconds: 60,
        reply: (index, _atMs, chance) => ({
          afterMs: 10 * (0.9 + 0.1 * chance()),
          status: 200,
          headers: ['endpoint-load-metrics', index === 0 ? lie : 'TEXT cpu_utilization=0.5, rps_fractional=100'],
        }),
      })
      expect(shares[0], `of ${count}`).toBeLessThan((4 / (count + 3)) * 1.05)
      expect(Math.min(...shares.slice(1))).toBeGreaterThan((1 / (count + 3)) * 0.7)
    }
  })
})
