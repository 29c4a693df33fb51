import { describe, expect, test } from 'vitest'
import type { BalancerType } from '../../mesh-config/snapshot.ts'
import { policies } from '../../proxy/balancer/policies.ts'
import { type Reply, traffic } from './traffic.ts'

/**
 * An endpoint that fails fast looks idle and quick. No policy may send it more than its share for that, and those that
 * look at endpoints send it next to nothing.
 */

const ten = Array<number>(10).fill(1)
const blind: readonly string[] = ['round_robin', 'random', 'ip_hash', 'ring_hash', 'maglev']
const types = Object.keys(policies) as BalancerType[]
const looking = types.filter(type => !blind.includes(type))

/**
 * Of ten endpoints the first fails in half a millisecond, whenever `fails` says so; an answer takes 10 ms on average.
 */
function sharesOfTen(
  type: BalancerType,
  requestsPerSecond: number,
  fails: (atMs: number) => boolean,
  failure: Partial<Reply> = {},
  weights = ten,
): readonly number[] {
  return traffic(type, {
    weights,
    requestsPerSecond,
    seconds: requestsPerSecond < 100 ? 120 : 20,
    keys: true,
    reply: (index, atMs, chance) =>
      index === 0 && fails(atMs) ? { afterMs: 0.5, ...failure } : { afterMs: 10 * chance(), status: 200 },
  }).shares
}

describe.each(types)('%s', type => {
  // What chance, and the arcs of a ring, make of a tenth.
  const share = type === 'ring_hash' ? 0.125 : 0.11

  test.each([20, 300, 3000])('at %i requests a second, connections refused', requestsPerSecond => {
    expect(sharesOfTen(type, requestsPerSecond, () => true)[0]).toBeLessThan(share)
  })

  test('it begins to fail when all are busy', () => {
    expect(sharesOfTen(type, 3000, atMs => atMs > 5000)[0]).toBeLessThan(share)
  })

  test('every other request fails', () => {
    let count = 0
    expect(sharesOfTen(type, 300, () => count++ % 2 === 0, { status: 503 })[0]).toBeLessThan(share)
  })

  test('of two endpoints, one', () => {
    const shares = sharesOfTen(type, 300, () => true, { status: 503 }, [1, 1])
    expect(shares[0]).toBeLessThan(type === 'ring_hash' ? 0.6 : 0.52)
  })
})

describe.each(looking)('%s looks', type => {
  test.each([20, 300, 3000])('at %i requests a second it gets less than a sixth of its share', requestsPerSecond => {
    expect(sharesOfTen(type, requestsPerSecond, () => true)[0]).toBeLessThan(0.1 / 6)
  })

  test.each([429, 500, 501])('one that answers %i is no better', status => {
    expect(sharesOfTen(type, 300, () => true, { status })[0]).toBeLessThan(0.1 / 6)
  })

  test('it gets its share again when it is well', () => {
    // Ten seconds of failures, then half a minute to recover, and the rest.
    const during = traffic(type, { weights: ten, requestsPerSecond: 300, seconds: 10, reply: failsUntil(10_000) })
    const whole = traffic(type, { weights: ten, requestsPerSecond: 300, seconds: 120, reply: failsUntil(10_000) })
    expect(during.shares[0]).toBeLessThan(0.1 / 6)
    // A tenth of the last 50 seconds alone would be 0.042 of all.
    expect(whole.shares[0]).toBeGreaterThan(0.042)
  })

  test('one failure in a thousand, everywhere, leaves the shares as they are', () => {
    let count = 0
    const { shares } = traffic(type, {
      weights: ten,
      requestsPerSecond: 1000,
      seconds: 20,
      reply: (_index, _atMs, chance) =>
        ++count % 997 === 0 ? { afterMs: 0.5 } : { afterMs: 10 * chance(), status: 200 },
    })
    expect(Math.min(...shares)).toBeGreaterThan(0.07)
    expect(Math.max(...shares)).toBeLessThan(0.13)
  })

  test('`failurePenalty: off`: a failure counts as long as it took', () => {
    const options = { weights: ten, requestsPerSecond: 3000, seconds: 5, settings: { failurePenaltyMs: 0 } }
    const { shares } = traffic(type, {
      ...options,
      reply: (index, _atMs, chance) => (index === 0 ? { afterMs: 0.5 } : { afterMs: 10 * chance(), status: 200 }),
    })
    expect(shares[0]).toBeGreaterThan(type === 'adaptive' ? 0 : 0.12)
  })
})

function failsUntil(untilMs: number) {
  return (index: number, atMs: number, chance: () => number): Reply =>
    index === 0 && atMs < untilMs ? { afterMs: 0.5, status: 503 } : { afterMs: 10 * chance(), status: 200 }
}

/** What the others cannot take goes to those that are not full: one that fails fast never is. */
test.each(['ip_hash', 'ring_hash', 'maglev'] as const)('%s with a bound on load', type => {
  const { shares } = traffic(type, {
    weights: ten,
    requestsPerSecond: 5000,
    seconds: 10,
    keys: true,
    settings: { hashBalanceFactor: 110 },
    reply: (index, _atMs, chance) => (index === 0 ? { afterMs: 0.5 } : { afterMs: 20 * chance(), status: 200 }),
  })
  expect(shares[0]).toBeLessThan(0.1)
})
