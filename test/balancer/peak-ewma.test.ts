import { describe, expect, test } from 'vitest'
import { addPeak, peakEwma } from '../../proxy/balancer/peak-ewma.ts'
import { EndpointLoad } from '../../proxy/core/endpoint-load.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { chiSquareScore } from '../support/chi-square.ts'
import { balancerDeps, bareEndpoints, pickContext } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { traffic } from './traffic.ts'

const ok = { status: 200, headers: new HeaderList([]) }

describe('the moving peak', () => {
  test('the first measurement is taken as it is', () => {
    const load = new EndpointLoad()
    addPeak(load, 12, 1000, 10_000)
    expect(load).toMatchObject({ latencyMs: 12, latencyAt: 1000 })
  })

  test('rises at once', () => {
    const load = new EndpointLoad()
    addPeak(load, 12, 1000, 10_000)
    addPeak(load, 500, 1001, 10_000)
    expect(load.latencyMs).toBe(500)
  })

  test('falls as an average over time', () => {
    const load = new EndpointLoad()
    addPeak(load, 500, 1000, 10_000)
    addPeak(load, 10, 11_000, 10_000)
    expect(load.latencyMs).toBeCloseTo(500 / Math.E + 10 * (1 - 1 / Math.E), 9)
    // How many measurements there are does not matter, only how much time.
    for (let i = 0; i < 100; i++) addPeak(load, 10, 11_000, 10_000)
    expect(load.latencyMs).toBeCloseTo(500 / Math.E + 10 * (1 - 1 / Math.E), 9)
  })

  test('what has faded below the new measurement gives way to it', () => {
    const load = new EndpointLoad()
    addPeak(load, 500, 1000, 10_000)
    addPeak(load, 10, 101_000, 10_000)
    expect(load.latencyMs).toBe(10)
  })

  test('a measurement of nothing is one', () => {
    const load = new EndpointLoad()
    addPeak(load, 0, 1000, 10_000)
    expect(load.latencyMs).toBeGreaterThan(0)
  })
})

function measured(latencies: readonly number[], weights = latencies.map(() => 1), loop = new EventLoop()) {
  const deps = balancerDeps(9, {}, loop)
  const endpoints = bareEndpoints(weights)
  endpoints.forEach((endpoint, i) => {
    if (latencies[i]! > 0) peakEwma.observe!(endpoint, 'success', latencies[i]!, ok, deps)
  })
  const picker = peakEwma.create(endpoints, deps)
  return {
    loop,
    deps,
    endpoints,
    picker,
    picks: (count = 300) =>
      new Set(Array.from({ length: count }, () => endpoints.indexOf(picker.pick(pickContext())!))),
  }
}

describe('peak_ewma', () => {
  test('of two the one that answers sooner, by latency x (requests under way + 1)', () => {
    const { endpoints, picks } = measured([10, 35])
    expect(picks()).toEqual(new Set([0]))
    endpoints[0]!.active = 2
    expect(picks()).toEqual(new Set([0]))
    endpoints[0]!.active = 3
    expect(picks()).toEqual(new Set([1]))
  })

  test('the record has the two costs', () => {
    const { endpoints, picker } = measured([10, 35])
    endpoints[0]!.active = 1
    const context = pickContext()
    picker.pick(context)
    expect(context.record).toMatchObject({ other: endpoints[1], load: 20, otherLoad: 35 })
  })

  test('an idle endpoint is forgiven with time: the slow one is tried again', () => {
    const { loop, endpoints, deps, picks } = measured([10, 35])
    for (let i = 0; i < 30; i++) {
      loop.advance(500)
      peakEwma.observe!(endpoints[0]!, 'success', 10, ok, deps)
    }
    // 35 ms fall to 10 in ln(3.5) x 10 s = 12.5 s.
    expect(picks()).toEqual(new Set([1]))
  })

  test('one with requests under way is not forgiven: it may hang', () => {
    const { loop, endpoints, deps, picks } = measured([10, 35])
    endpoints[1]!.active = 1
    for (let i = 0; i < 200; i++) {
      loop.advance(500)
      peakEwma.observe!(endpoints[0]!, 'success', 10, ok, deps)
    }
    expect(picks()).toEqual(new Set([0]))
  })

  test('a new endpoint is tried at once, even among fast ones, but with one request until it has answered', () => {
    const { endpoints, picks } = measured([1, 0])
    expect(picks()).toEqual(new Set([0, 1]))
    endpoints[1]!.active = 1
    // Now it counts as 30 ms.
    expect(picks()).toEqual(new Set([0]))
    endpoints[0]!.active = 59
    expect(picks()).toEqual(new Set([1, 0]))
    endpoints[0]!.active = 70
    expect(picks()).toEqual(new Set([1]))
  })

  test('a heavy endpoint may have more requests', () => {
    const { endpoints, picks } = measured([10, 10], [3, 1])
    // The mean weight is 2: (3 x 2/3 + 1) = 3 against (1 x 2 + 1) = 3.
    endpoints[0]!.active = 3
    endpoints[1]!.active = 1
    expect(picks()).toEqual(new Set([0, 1]))
    endpoints[0]!.active = 2
    expect(picks()).toEqual(new Set([0]))
    endpoints[0]!.active = 40
    expect(picks()).toEqual(new Set([1]))
  })

  test('measurements that differ by chance leave the shares as they are', () => {
    const deps = balancerDeps(9)
    const endpoints = bareEndpoints([1, 9])
    const picker = peakEwma.create(endpoints, deps)
    const counts = [0, 0]
    for (let i = 0; i < 40_000; i++) {
      for (const endpoint of endpoints) endpoint.load.latencyMs = 10 + deps.random() * 0.01
      counts[endpoints.indexOf(picker.pick(pickContext())!)]!++
    }
    expect(chiSquareScore(counts, [1, 9])).toBeLessThan(4)
  })

  test('a failure and a 429 count as the penalty, or as their Retry-After', () => {
    const deps = balancerDeps()
    const [refused, busy, asking, gone] = bareEndpoints([1, 1, 1, 1])
    peakEwma.observe!(refused!, 'failure', 0.2, null, deps)
    peakEwma.observe!(busy!, 'success', 0.2, { status: 429, headers: new HeaderList([]) }, deps)
    peakEwma.observe!(asking!, 'failure', 0.2, { status: 503, headers: new HeaderList(['retry-after', '60']) }, deps)
    peakEwma.observe!(gone!, 'ignorable', 0.2, null, deps)
    expect([refused, busy, asking, gone].map(endpoint => endpoint!.load.latencyMs)).toEqual([5000, 5000, 60_000, 0])
  })

  test('one of ten at a tenth of the speed gets next to nothing', () => {
    const { shares, quantile } = traffic('peak_ewma', {
      weights: Array<number>(10).fill(1),
      requestsPerSecond: 500,
      seconds: 30,
      reply: (index, _atMs, chance) => ({ afterMs: (index === 0 ? 100 : 10) * chance(), status: 200 }),
    })
    expect(shares[0]).toBeLessThan(0.01)
    expect(quantile(0.99)).toBeLessThan(60)
  })
})
