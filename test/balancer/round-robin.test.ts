import { expect, test } from 'vitest'
import { roundRobin } from '../../proxy/balancer/round-robin.ts'
import { bareEndpoints, pickContext } from '../support/endpoints.ts'
import { seeded } from '../support/random.ts'

function sequence(weights: readonly number[], count: number, seed = 1): number[] {
  const endpoints = bareEndpoints(weights)
  const picker = roundRobin(endpoints, seeded(seed))
  return Array.from({ length: count }, () => endpoints.indexOf(picker.pick(pickContext())!))
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
  ]) {
    const divisor = weights[0] === 10 ? 10 : 1
    const round = weights.reduce((sum, weight) => sum + weight, 0) / divisor
    for (let start = 0; start < 3; start++) {
      const picks = sequence(weights, round * 2, start)
      for (const [i, weight] of weights.entries()) expect(picks.filter(index => index === i)).toHaveLength((2 * weight) / divisor)
    }
  }
})

test('smoothly: a heavy one never comes in a burst that its weight does not ask for', () => {
  expect(longestRun(sequence([5, 1, 1], 70))).toBeLessThanOrEqual(3)
  // Half of the round is its own: every other turn, not the half at a stretch.
  expect(longestRun(sequence([100, ...Array<number>(100).fill(1)], 2000))).toBeLessThanOrEqual(2)
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
})

test('huge weights keep their proportion in a schedule of bounded length', () => {
  const counts = [0, 0]
  for (const index of sequence([1_000_000, 333_333], 8192)) counts[index]!++
  expect(counts[0]! / counts[1]!).toBeCloseTo(3, 1)
})

test('a light one among heavy ones is not forgotten', () => {
  const picks = sequence([1_000_000, 1], 10_000)
  expect(picks).toContain(1)
})

test('ten thousand endpoints of equal weight each have their turn', () => {
  const count = 10_000
  expect(new Set(sequence(Array<number>(count).fill(1), count)).size).toBe(count)
})
