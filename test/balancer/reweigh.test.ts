import { describe, expect, test } from 'vitest'
import { countAttempt } from '../../proxy/balancer/learn.ts'
import { addToMean, evidence, expectedLatencies, learnShares } from '../../proxy/balancer/reweigh.ts'
import { EndpointLoad } from '../../proxy/core/endpoint-load.ts'
import { balancerDeps, bareEndpoints } from '../support/endpoints.ts'

const start = 1_000_000

function measure(load: EndpointLoad, latencies: readonly number[], at = start): void {
  for (const latency of latencies) {
    countAttempt(load, false, at, 10_000)
    addToMean(load, latency, at)
  }
}

describe('the moving mean', () => {
  test('is the mean of what came at one time', () => {
    const load = new EndpointLoad()
    measure(load, [10, 20, 60])
    expect(load.latencyMs).toBeCloseTo(30)
  })

  test('what is old counts less, by e for each decay time', () => {
    const load = new EndpointLoad()
    measure(load, [100, 100])
    measure(load, [10, 10, 10], start + 10_000)
    const left = 2 / Math.E
    expect(load.latencyMs).toBeCloseTo((100 * left + 30) / (left + 3))
    expect(evidence(load, start + 10_000, 10_000)).toBeCloseTo(left + 3)
    expect(evidence(load, start + 20_000, 10_000)).toBeCloseTo((left + 3) / Math.E)
  })

  test('after a change of policy the first measurement stands for itself', () => {
    const load = new EndpointLoad()
    for (let i = 0; i < 100; i++) countAttempt(load, false, start, 10_000)
    addToMean(load, 50, start)
    expect(load.latencyMs).toBe(50)
  })
})

describe('expected latencies', () => {
  const deps = balancerDeps()

  test('of all that are new: the default', () => {
    expect([...expectedLatencies(bareEndpoints([1, 1]), start, deps)]).toEqual([30, 30])
  })

  test('measured ones as measured, the more measurements the nearer; new ones as the typical', () => {
    const endpoints = bareEndpoints([1, 1, 1])
    measure(endpoints[0]!.load, Array<number>(999).fill(10))
    measure(endpoints[1]!.load, [40])
    // The harmonic mean of 10 and 40 is 16.
    const [a, b, c] = expectedLatencies(endpoints, start, deps)
    expect(a).toBeCloseTo((999 * 10 + 16) / 1000)
    expect(b).toBeCloseTo((40 + 16) / 2)
    expect(c).toBeCloseTo(16)
  })

  test('one that hangs does not make the others look fast', () => {
    const endpoints = bareEndpoints([1, 1, 1, 1])
    for (const { load } of endpoints.slice(0, 2)) measure(load, Array<number>(999).fill(10))
    measure(endpoints[2]!.load, Array<number>(999).fill(60_000))
    expect(expectedLatencies(endpoints, start, deps)[3]).toBeCloseTo(15, 1)
  })

  test('what was measured long ago is hardly believed', () => {
    const endpoints = bareEndpoints([1, 1])
    measure(endpoints[0]!.load, Array<number>(100).fill(500))
    measure(endpoints[1]!.load, Array<number>(100).fill(10), start + 100_000)
    const [slow] = expectedLatencies(endpoints, start + 100_000, deps)
    expect(slow).toBeLessThan(25)
  })
})

describe('learnt weights', () => {
  const step = (endpoints: ReturnType<typeof bareEndpoints>, shares: number[]) =>
    learnShares(endpoints, Float64Array.from(shares))
  const learnt = (endpoints: ReturnType<typeof bareEndpoints>) => endpoints.map(({ learntWeight }) => learntWeight)

  test('go half of the way each time, in proportion, and arrive', () => {
    const endpoints = bareEndpoints([1, 1])
    expect(step(endpoints, [1, 4])).toBe(true)
    expect(learnt(endpoints)[0]).toBeCloseTo(Math.sqrt(0.4))
    expect(learnt(endpoints)[1]).toBeCloseTo(Math.sqrt(1.6))
    while (step(endpoints, [1, 4]));
    expect(learnt(endpoints)[1]! / learnt(endpoints)[0]!).toBeGreaterThan(3.6)
    expect(learnt(endpoints)[1]! / learnt(endpoints)[0]!).toBeLessThan(4.4)
  })

  test('shares are of all; learnt is what configured weights lack of them', () => {
    const endpoints = bareEndpoints([1, 3])
    expect(step(endpoints, [10, 30])).toBe(false)
    expect(learnt(endpoints)).toEqual([1, 1])
    while (step(endpoints, [10, 10]));
    expect((learnt(endpoints)[1]! * 3) / learnt(endpoints)[0]!).toBeGreaterThan(0.9)
    expect((learnt(endpoints)[1]! * 3) / learnt(endpoints)[0]!).toBeLessThan(1.15)
  })

  test('small changes are let be, all of them: new pickers cost more', () => {
    const endpoints = bareEndpoints([1, 1, 1])
    expect(step(endpoints, [1, 1.03, 0.98])).toBe(false)
    expect(learnt(endpoints)).toEqual([1, 1, 1])
  })

  test('nobody is left with nothing', () => {
    const endpoints = bareEndpoints([1, 1])
    while (step(endpoints, [1e-30, 1]));
    expect(learnt(endpoints)[0]).toBeGreaterThan(0.0009)
    expect(learnt(endpoints)[0]).toBeLessThan(0.0012)
  })
})
