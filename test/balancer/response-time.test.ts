import { describe, expect, test } from 'vitest'
import { responseTime } from '../../proxy/balancer/response-time.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { balancerDeps, bareEndpoints } from '../support/endpoints.ts'
import { traffic } from './traffic.ts'

const ok = { status: 200, headers: new HeaderList([]) }

describe('response_time', () => {
  test('learns weights in inverse proportion to the mean response time', () => {
    const deps = balancerDeps()
    const endpoints = bareEndpoints([1, 1, 2])
    for (const [i, latency] of [10, 20, 40].entries())
      for (let k = 0; k < 1000; k++) responseTime.observe!(endpoints[i]!, 'success', latency, ok, deps)
    while (responseTime.reweigh!(endpoints, deps));
    const [a, b, c] = endpoints.map(({ learntWeight }) => learntWeight)
    expect(Math.abs(a! / b! - 2)).toBeLessThan(0.2)
    expect(Math.abs(a! / c! - 4)).toBeLessThan(0.4)
  })

  test('one half as fast gets half as many requests; configured weights count besides', () => {
    const { shares } = traffic('response_time', {
      weights: [1, 1, 2],
      requestsPerSecond: 500,
      seconds: 120,
      reply: (index, _atMs, chance) => ({ afterMs: (index === 0 ? 40 : 20) * (0.9 + 0.1 * chance()), status: 200 }),
    })
    expect(shares[1]! / shares[0]!).toBeGreaterThan(1.7)
    expect(shares[1]! / shares[0]!).toBeLessThan(2.3)
    expect(shares[2]! / shares[1]!).toBeGreaterThan(1.8)
    expect(shares[2]! / shares[1]!).toBeLessThan(2.2)
  })

  test('failures count as the penalty', () => {
    const deps = balancerDeps()
    const [endpoint] = bareEndpoints([1])
    responseTime.observe!(endpoint!, 'failure', 0.5, null, deps)
    expect(endpoint!.load.latencyMs).toBe(5000)
  })

  test('one that was slow for a while gets its share again', () => {
    const { shares } = traffic('response_time', {
      weights: [1, 1],
      requestsPerSecond: 200,
      seconds: 300,
      reply: (index, atMs) => ({ afterMs: index === 0 && atMs < 30_000 ? 1000 : 10, status: 200 }),
    })
    expect(shares[0]).toBeGreaterThan(0.35)
  })
})
