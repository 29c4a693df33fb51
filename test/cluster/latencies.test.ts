import fc from 'fast-check'
import { expect, test } from 'vitest'
import { latencies } from '../../proxy/cluster/latencies.ts'
import '../support/seed.ts'

test('a percentile is that of the answers, and at most 6 % more', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.1, max: 60_000, noNaN: true }), { minLength: 20, maxLength: 300 }),
      fc.integer({ min: 50, max: 99 }),
      (waits, percent) => {
        const known = latencies()
        for (const wait of waits) known.record(wait, 5)
        const exact = waits.toSorted((a, b) => a - b)[Math.ceil((waits.length * percent) / 100) - 1]!
        const found = known.percentile(percent, 20, 5)
        expect(found).toBeGreaterThanOrEqual(exact * 0.999)
        expect(found).toBeLessThanOrEqual(exact * 1.06)
      },
    ),
  )
})

test('with too few answers there is none, and those of more than a minute ago do not count', () => {
  const known = latencies()
  for (let i = 0; i < 20; i++) known.record(10, 29_000)
  expect(known.percentile(95, 21, 29_000)).toBe(-1)
  expect(known.percentile(95, 20, 59_000)).toBeGreaterThan(9)
  expect(known.percentile(95, 20, 60_000)).toBe(-1)
  for (let i = 0; i < 20; i++) known.record(100, 200_000)
  expect(known.percentile(95, 20, 200_000)).toBeGreaterThan(99)
  known.record(1, 200_500)
  expect(known.percentile(50, 20, 200_500), 'another percentile is not the one that is known').toBeGreaterThan(99)
})
