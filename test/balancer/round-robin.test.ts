import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { roundRobin } from '../../proxy/balancer/round-robin.ts'
import { balancerDeps, bareEndpoints, pickContext } from '../support/endpoints.ts'
import '../support/seed.ts'

function sequence(weights: readonly number[], count: number, seed = 1): number[] {
  const endpoints = bareEndpoints(weights)
  const indices = new Map(endpoints.map((endpoint, i) => [endpoint, i]))
  const picker = roundRobin.create(endpoints, balancerDeps(seed))
  const context = pickContext()
  return Array.from({ length: count }, () => indices.get(picker.pick(context)!)!)
}

test('one after the other', () => {
  const picks = sequence([1, 1, 1], 9)
  expect(picks.slice(3)).toEqual(picks.slice(0, 6))
  expect(new Set(picks.slice(0, 3)).size).toBe(3)
})

test('over each round exactly as the weights say', () => {
  for (const weights of [
    [5, 1, 1],
    [3, 2],
    [10, 20, 30],
    [7, 11, 13],
    [1, 1, 2, 2, 2, 5],
  ]) {
    const divisor = weights[0] === 10 ? 10 : 1
    const round = weights.reduce((sum, weight) => sum + weight, 0) / divisor
    for (let start = 0; start < 3; start++) {
      const picks = sequence(weights, round * 40, start)
      for (let from = 0; from < picks.length; from += round) {
        const turn = picks.slice(from, from + round)
        for (const [i, weight] of weights.entries())
          expect(turn.filter(index => index === i)).toHaveLength(weight / divisor)
      }
    }
  }
})

test('weights with fractions too: nobody is ever more than a few turns from its share', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.05, max: 20, noNaN: true }), { minLength: 2, maxLength: 12 }),
      fc.nat(),
      (weights, seed) => {
        const whole = weights.reduce((sum, weight) => sum + weight, 0)
        const counts = weights.map(() => 0)
        const picks = sequence(weights, 2000, seed)
        picks.forEach((index, i) => {
          counts[index]!++
          if (i % 100 === 0)
            for (const [k, count] of counts.entries())
              expect(Math.abs(count - ((i + 1) * weights[k]!) / whole)).toBeLessThan(3)
        })
      },
    ),
    { numRuns: 40 },
  )
})

describe('smoothly', () => {
  test('a heavy one never comes in a burst that its weight does not ask for', () => {
    expect(longestRun(sequence([5, 1, 1], 70))).toBeLessThanOrEqual(3)
    // Half of the round is its own: every other turn, not the half at a stretch.
    expect(longestRun(sequence([100, ...Array<number>(100).fill(1)], 2000))).toBe(1)
  })

  test('nor where all the light ones differ a little', () => {
    expect(
      longestRun(sequence([100, ...Array.from({ length: 100 }, (_, i) => 1 + i / 1e4)], 2000)),
    ).toBeLessThanOrEqual(3)
  })
})

function longestRun(picks: readonly number[]): number {
  let run = 0
  let longest = 0
  for (const index of picks) {
    run = index === 0 ? run + 1 : 0
    longest = Math.max(longest, run)
  }
  return longest
}

test('data threads begin at different places', () => {
  expect(new Set(Array.from({ length: 40 }, (_, seed) => sequence([1, 1, 1, 1], 1, seed)[0])).size).toBe(4)
  expect(new Set(Array.from({ length: 80 }, (_, seed) => sequence([1, 2, 3, 4], 1, seed)[0])).size).toBe(4)
})

test('huge weights keep their proportion', () => {
  const counts = [0, 0]
  for (const index of sequence([1_000_000, 333_333], 8192)) counts[index]!++
  expect(counts[0]! / counts[1]!).toBeCloseTo(3, 2)
})

test('a light one among heavy ones is not forgotten', () => {
  const picks = sequence([100_000, 1], 100_001)
  expect(picks.filter(index => index === 1)).toHaveLength(1)
})

test('ten thousand endpoints each have their turn', () => {
  const count = 10_000
  expect(new Set(sequence(Array<number>(count).fill(1), count)).size).toBe(count)
  const weights = Array.from({ length: count }, (_, i) => 1 + (i % 3))
  const counts = new Uint32Array(count)
  for (const index of sequence(weights, 19_999)) counts[index]!++
  expect([...counts]).toEqual(weights)
})
