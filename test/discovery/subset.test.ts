import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { randomSubset } from '../../proxy/discovery/subset.ts'
import { chiSquareScore } from '../support/chi-square.ts'
import '../support/seed.ts'
import { endpointSpec } from '../support/specs.ts'

const SEED = 20_261_121

function fleet(count: number, overrides: (i: number) => Partial<EndpointSpec> = () => ({})): EndpointSpec[] {
  return Array.from({ length: count }, (_, i) => endpointSpec(`10.0.${i >> 8}.${i & 255}:80`, overrides(i)))
}

const draw = (endpoints: readonly EndpointSpec[], size: number, seed = SEED) => randomSubset(endpoints, size, seed, {})

test('0 is all, and so is more than there are', () => {
  const all = fleet(5)
  expect(draw(all, 0)).toBe(all)
  expect(draw(all, 5)).toBe(all)
})

test('so many, in the order they came in, and the same each time', () => {
  const all = fleet(1_000)
  const drawn = draw(all, 20)
  expect(drawn).toHaveLength(20)
  expect([...drawn].sort((a, b) => all.indexOf(a) - all.indexOf(b))).toEqual(drawn)
  expect(draw(all, 20)).toEqual(drawn)
  // In whatever order the source has them.
  expect(new Set(draw(all.toReversed(), 20))).toEqual(new Set(drawn))
})

test('where one leaves one takes its place, where one comes at most one makes room', () => {
  const some = fc.uniqueArray(fc.integer({ min: 0, max: 299 }), { minLength: 2, maxLength: 60 })
  fc.assert(
    fc.property(some, fc.integer({ min: 1, max: 20 }), fc.integer(), fc.nat(), (picked, size, seed, which) => {
      const all = picked.map(i => fleet(300)[i]!)
      const gone = all[which % all.length]!
      const before = new Set(draw(all, size, seed))
      const after = draw(
        all.filter(endpoint => endpoint !== gone),
        size,
        seed,
      )
      const news = after.filter(endpoint => !before.has(endpoint))
      expect(news.length).toBeLessThanOrEqual(before.has(gone) ? 1 : 0)
      expect(after).toHaveLength(Math.min(size, all.length - 1))
    }),
  )
})

test('a larger subset holds the smaller one', () => {
  const all = fleet(200)
  const larger = draw(all, 30)
  expect(draw(all, 10).every(endpoint => larger.includes(endpoint))).toBe(true)
})

test('many sidecars together use all endpoints alike', () => {
  const all = fleet(100)
  const counts = new Map(all.map(endpoint => [endpoint, 0]))
  for (let sidecar = 0; sidecar < 4_000; sidecar++)
    for (const endpoint of draw(all, 10, sidecar * 2_654_435_761)) counts.set(endpoint, counts.get(endpoint)! + 1)
  const score = chiSquareScore(
    [...counts.values()],
    all.map(() => 1),
  )
  expect(score).toBeLessThan(4)
})

test('those that are not passing are drawn only where there are too few that are', () => {
  const all = fleet(100, i => (i % 2 === 0 ? {} : { health: 'critical', healthReason: 'as it says' }))
  expect(draw(all, 20).every(({ health }) => health === 'passing')).toBe(true)
  const most = draw(all, 70)
  expect(most.filter(({ health }) => health === 'passing')).toHaveLength(50)
  expect(most).toHaveLength(70)
})

test('one that fails is replaced, and comes back to its place', () => {
  const all = fleet(50)
  const before = draw(all, 10)
  const sick = before[3]!
  const during = draw(
    all.map(endpoint => (endpoint === sick ? { ...endpoint, health: 'critical' as const } : endpoint)),
    10,
  )
  expect(during.filter(endpoint => before.includes(endpoint))).toHaveLength(9)
  expect(draw(all, 10)).toEqual(before)
})

test('each priority level and each subset gets its own draw: failover and canaries must find somebody', () => {
  const all = fleet(1_000, i => ({ priority: i < 5 ? 0 : 1, metadata: { version: i % 250 === 7 ? 'v2' : 'v1' } }))
  const drawn = randomSubset(all, 10, SEED, { v1: { version: 'v1' }, v2: { version: 'v2' } })
  const count = (priority: number, version: string) =>
    drawn.filter(endpoint => endpoint.priority === priority && endpoint.metadata.version === version).length
  expect([count(0, 'v1'), count(0, 'v2'), count(1, 'v1'), count(1, 'v2')]).toEqual([5, 0, 10, 4])
})
