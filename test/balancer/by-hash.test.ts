import fc from 'fast-check'
import { expect, test } from 'vitest'
import { settleTies, sortByHash } from '../../proxy/balancer/by-hash.ts'
import { bareEndpoints } from '../support/endpoints.ts'
import '../support/seed.ts'

test('sorts as a stable sort does', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(0xffffffff), fc.nat(5), fc.constant(0xffffffff)), { maxLength: 300 }),
      numbers => {
        const hashes = Uint32Array.from(numbers)
        const owners = Uint32Array.from(numbers, (_, i) => i)
        sortByHash(hashes, owners)
        const expected = numbers.map((hash, i) => ({ hash, i })).toSorted((a, b) => a.hash - b.hash || a.i - b.i)
        expect([...hashes]).toEqual(expected.map(({ hash }) => hash))
        expect([...owners]).toEqual(expected.map(({ i }) => i))
      },
    ),
  )
})

test('of fewer bits too, whatever the number of passes', () => {
  for (const bits of [1, 11, 12, 22, 23, 32]) {
    const hashes = Uint32Array.from({ length: 100 }, (_, i) => ((i * 0x9e3779b1) >>> 0) >>> (32 - bits))
    const expected = [...hashes].toSorted((a, b) => a - b)
    sortByHash(hashes, new Uint32Array(100), bits)
    expect([...hashes]).toEqual(expected)
  }
})

test('where hashes are the same, names decide, and not the order of the endpoints', () => {
  const endpoints = bareEndpoints([1, 1, 1, 1])
  for (const order of [
    [0, 1, 2, 3],
    [3, 2, 1, 0],
    [2, 0, 3, 1],
  ]) {
    const hashes = Uint32Array.of(5, 7, 7, 7)
    const owners = Uint32Array.from(order)
    settleTies(hashes, owners, endpoints)
    expect([...owners]).toEqual([order[0], ...order.slice(1).toSorted()])
  }
})
