import { describe, expect, test } from 'vitest'
import { maglevTable } from '../../proxy/balancer/maglev.ts'
import { hash32 } from '../../proxy/core/hash.ts'
import { bareEndpoint, bareEndpoints } from '../support/endpoints.ts'

const SIZE = 65_537

/** The names of the endpoints of all entries, so that tables over different sets can be compared. */
function entries(endpoints: ReturnType<typeof bareEndpoints>, size = SIZE): string[] {
  return Array.from(maglevTable(endpoints, size), index => endpoints[index]!.name)
}

function sharesOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return new Map([...counts].map(([name, count]) => [name, count / names.length]))
}

describe('the table', () => {
  /** Restarts, other threads and other versions must find each key where it was. */
  test('depends on the names alone', () => {
    const endpoints = bareEndpoints([1, 1, 1])
    expect([...maglevTable(endpoints, 23)]).toEqual([
      2, 2, 0, 1, 2, 1, 0, 2, 0, 0, 0, 1, 2, 2, 1, 2, 1, 0, 1, 2, 0, 0, 1,
    ])
    expect([...maglevTable(bareEndpoints([1, 2, 3]), 23)]).toEqual([
      2, 2, 0, 1, 2, 0, 0, 2, 2, 2, 0, 1, 2, 2, 1, 2, 1, 1, 1, 1, 2, 2, 1,
    ])
    expect(entries(endpoints.toReversed(), 1021)).toEqual(entries(endpoints, 1021))
    const weighted = bareEndpoints([1, 2, 3, 4, 0.5])
    expect(entries(weighted.toReversed(), 1021)).toEqual(entries(weighted, 1021))
  })

  test('also where two names have the same hash', () => {
    // Found by search.
    const endpoints = ['10.1.28.66:80', '10.2.54.178:80', '10.0.0.1:80'].map(name => bareEndpoint({}, name))
    expect(hash32(endpoints[0]!.name)).toBe(hash32(endpoints[1]!.name))
    expect(entries(endpoints.toReversed(), 1021)).toEqual(entries(endpoints, 1021))
    expect(Math.min(...sharesOf(entries(endpoints)).values())).toBeGreaterThan(0.33)
  })

  test('is as even as the number of its entries allows', () => {
    for (const count of [1, 2, 3, 10, 100, 1000]) {
      const shares = [...sharesOf(entries(bareEndpoints(Array<number>(count).fill(1)))).values()]
      expect(shares).toHaveLength(count)
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThan(1.5 / SIZE)
    }
  })

  test.each([[[1, 2, 3, 4]], [[1, 100]], [[0.1, 1, 1]], [[1000, 1, 1, 500.5]]])(
    'honours weights within an entry each: %j',
    weights => {
      const endpoints = bareEndpoints(weights)
      const whole = weights.reduce((sum, weight) => sum + weight, 0)
      const shares = sharesOf(entries(endpoints))
      endpoints.forEach((endpoint, i) => {
        expect(Math.abs(shares.get(endpoint.name)! * SIZE - (SIZE * weights[i]!) / whole)).toBeLessThan(
          weights.length + 1,
        )
      })
    },
  )

  test('the lightest has an entry, whatever the others weigh', () => {
    expect(new Set(entries(bareEndpoints([1e9, 1, 1e9, 0.001]), 251)).size).toBe(4)
  })

  test('more endpoints than entries: as many as there are', () => {
    expect(new Set(maglevTable(bareEndpoints(Array<number>(500).fill(1)), 251)).size).toBe(251)
    expect(new Set(maglevTable(bareEndpoints([1, 1, 1]), 2)).size).toBe(2)
  })

  test('more endpoints than 16 bits can count', () => {
    const endpoints = Array.from({ length: 70_000 }, (_, i) =>
      bareEndpoint({}, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:80`),
    )
    expect(new Set(maglevTable(endpoints, 131_071)).size).toBe(70_000)
  })
})

describe('when one of n leaves or comes', () => {
  test.each([3, 10, 50, 200])('of %i, hardly more keys move than have to', count => {
    const endpoints = bareEndpoints(Array<number>(count).fill(1))
    const before = entries(endpoints)
    for (const gone of [0, Math.floor(count / 2), count - 1]) {
      const after = entries(endpoints.toSpliced(gone, 1))
      let moved = 0
      before.forEach((name, i) => {
        if (name !== endpoints[gone]!.name && name !== after[i]) moved++
      })
      // Of the keys of those that stay.
      expect(moved / SIZE).toBeLessThan(0.03)
    }
  })

  test('and with weights', () => {
    const endpoints = bareEndpoints([1, 2, 3, 4, 5, 6, 7, 8])
    const before = entries(endpoints)
    const after = entries(endpoints.toSpliced(3, 1))
    let moved = 0
    before.forEach((name, i) => {
      if (name !== endpoints[3]!.name && name !== after[i]) moved++
    })
    expect(moved / SIZE).toBeLessThan(0.03)
  })
})
