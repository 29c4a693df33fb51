import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AliasTable } from '../../proxy/balancer/alias.ts'
import { chiSquareScore } from '../support/chi-square.ts'
import { seeded } from '../support/random.ts'
import '../support/seed.ts'

test('draws by weight, exactly: each index has its share of the numbers in [0, 1)', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.01, max: 1000, noNaN: true }), { minLength: 1, maxLength: 30 }),
      weights => {
        const table = new AliasTable(Float64Array.from(weights))
        const steps = 20_000
        const counts = Array<number>(weights.length).fill(0)
        for (let i = 0; i < steps; i++) counts[table.draw(() => (i + 0.5) / steps)]!++
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        weights.forEach((weight, i) => {
          // Each slot of the table is cut at one place: two steps a slot may fall on the wrong side.
          expect(Math.abs(counts[i]! - (steps * weight) / total)).toBeLessThanOrEqual(2 * weights.length)
        })
      },
    ),
    { numRuns: 50 },
  )
})

test('a thousand weights over six orders of magnitude', () => {
  const random = seeded(9)
  const weights = Array.from({ length: 40 }, (_, i) => Math.ceil(10 ** ((i % 7) / 2)))
  const table = new AliasTable(Float64Array.from(weights))
  const counts = Array<number>(weights.length).fill(0)
  for (let i = 0; i < 400_000; i++) counts[table.draw(random)]!++
  expect(chiSquareScore(counts, weights)).toBeLessThan(4)
})

test('knows whether there is anything to weigh', () => {
  expect(new AliasTable(Float64Array.of(2, 2, 2)).even).toBe(true)
  expect(new AliasTable(Float64Array.of(2, 2, 2.5)).even).toBe(false)
})
