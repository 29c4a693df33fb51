import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { policies } from '../../proxy/balancer/policies.ts'
import type { Endpoint } from '../../proxy/core/endpoint.ts'
import { chiSquareScore } from '../support/chi-square.ts'
import { bareEndpoints, pickContext } from '../support/endpoints.ts'
import { seeded } from '../support/random.ts'
import '../support/seed.ts'

/** What every policy owes, whatever it prefers. A new policy is in `policies`, so it is here. */
describe.each(Object.entries(policies))('%s', (_name, create) => {
  test('picks nothing of nothing', () => {
    expect(create([], seeded(1)).pick(pickContext())).toBeNull()
  })

  test('picks the only one, also when it was tried before', () => {
    const [only] = bareEndpoints([3])
    const picker = create([only!], seeded(1))
    expect(picker.pick(pickContext())).toBe(only)
    expect(picker.pick(pickContext([only!]))).toBe(only)
  })

  test('picks only what it was given, and leaves it as it is', () => {
    const endpoints = bareEndpoints([1, 2, 3, 4])
    const before = endpoints.map(({ active, state }) => [active, state])
    const picker = create(endpoints, seeded(2))
    for (let i = 0; i < 100; i++) expect(endpoints).toContain(picker.pick(pickContext()))
    expect(endpoints.map(({ active, state }) => [active, state])).toEqual(before)
  })

  test.each([[[1, 1]], [[1, 1, 1, 1, 1]], [[1, 9]], [[1, 2, 3, 4]], [[100, 1, 50, 7, 7]], [[5, 5, 10]], [Array.from({ length: 100 }, (_, i) => 1 + (i % 3))]])(
    'an idle service is shared out by weight: %j',
    weights => {
      const endpoints = bareEndpoints(weights)
      const picker = create(endpoints, seeded(42))
      const counts = new Map<Endpoint, number>(endpoints.map(endpoint => [endpoint, 0]))
      for (let i = 0; i < 200 * weights.length * 10; i++) {
        const picked = picker.pick(pickContext())!
        counts.set(picked, counts.get(picked)! + 1)
      }
      expect(chiSquareScore([...counts.values()], weights)).toBeLessThan(4)
    },
  )

  test('goes elsewhere as long as there is elsewhere', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.nat(), fc.array(fc.nat(7), { maxLength: 8 }), (count, seed, indices) => {
        const endpoints = bareEndpoints(Array.from({ length: count }, (_, i) => 1 + (i % 3)))
        const tried = [...new Set(indices)].filter(i => i < count).map(i => endpoints[i]!)
        const picked = create(endpoints, seeded(seed)).pick(pickContext(tried))!
        expect(endpoints).toContain(picked)
        if (tried.length < count) expect(tried).not.toContain(picked)
      }),
    )
  })

  test('goes elsewhere also when one was tried twice', () => {
    const endpoints = bareEndpoints([1, 1, 1])
    const tried = [endpoints[0]!, endpoints[1]!, endpoints[0]!, endpoints[1]!]
    for (let seed = 0; seed < 50; seed++) expect(create(endpoints, seeded(seed)).pick(pickContext(tried))).toBe(endpoints[2])
  })

  test('any weights give a picker that works', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 40 }), fc.nat(), (weights, seed) => {
        const endpoints = bareEndpoints(weights)
        const picker = create(endpoints, seeded(seed))
        for (let i = 0; i < 50; i++) expect(endpoints).toContain(picker.pick(pickContext()))
      }),
      { numRuns: 60 },
    )
  })

  test('draws at the very ends of chance stay inside', () => {
    const endpoints = bareEndpoints([1, 2, 3])
    for (const draw of [0, 1 - 2 ** -53, 0.5]) {
      const picker = create(endpoints, () => draw)
      for (let i = 0; i < 10; i++) expect(endpoints).toContain(picker.pick(pickContext()))
      expect(endpoints).toContain(picker.pick(pickContext([endpoints[0]!])))
    }
  })
})
