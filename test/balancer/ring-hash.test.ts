import { describe, expect, test } from 'vitest'
import { ring, ringHash } from '../../proxy/balancer/ring-hash.ts'
import type { Endpoint } from '../../proxy/core/endpoint.ts'
import { hash32 } from '../../proxy/core/hash.ts'
import { balancerDeps, bareEndpoint, bareEndpoints, pickContext } from '../support/endpoints.ts'
import { seeded } from '../support/random.ts'
import { balancerSpec } from '../support/specs.ts'

const spec = balancerSpec()

function pointsOf(endpoints: readonly Endpoint[], settings = {}): number[] {
  const counts = endpoints.map(() => 0)
  for (const owner of ring(endpoints, balancerSpec(settings)).owners) counts[owner]!++
  return counts
}

describe('the ring', () => {
  test('is in order', () => {
    const { hashes } = ring(bareEndpoints([1, 2, 3]), spec)
    for (let i = 1; i < hashes.length; i++) expect(hashes[i]).toBeGreaterThanOrEqual(hashes[i - 1]!)
  })

  /** Restarts, other threads and other versions must find each key where it was. */
  test('depends on the names alone', () => {
    const endpoints = bareEndpoints([1, 1, 1])
    const { hashes, owners } = ring(endpoints, balancerSpec({ minimumRingSize: 6 }))
    expect([...hashes]).toEqual([
      413843099, 803101392, 1678738245, 1711225626, 2403915293, 2931799086, 3166079498, 3573437166, 4285220695,
    ])
    expect([...owners]).toEqual([0, 0, 1, 2, 1, 2, 0, 1, 2])
    const names = (set: readonly Endpoint[]) => Array.from(ring(set, spec).owners, owner => set[owner]!.name)
    const weighted = bareEndpoints([1, 2, 3, 4, 0.5])
    expect(names(weighted.toReversed())).toEqual(names(weighted))
  })

  test('has at least the minimum, and not much more than eight times that', () => {
    for (const count of [2, 3, 7, 16, 17, 100, 999]) {
      const size = ring(bareEndpoints(Array<number>(count).fill(1)), spec).hashes.length
      expect(size).toBeGreaterThanOrEqual(1024)
      expect(size).toBeLessThan(8 * 1024 + count)
    }
  })

  test('has at most the maximum, save that each endpoint has a point', () => {
    expect(pointsOf(bareEndpoints([1, 1, 1, 1]), { minimumRingSize: 1000, maximumRingSize: 1000 })).toEqual([
      250, 250, 250, 250,
    ])
    expect(pointsOf(bareEndpoints([1, 1_000_000]), { maximumRingSize: 5000 })).toEqual([1, 5000])
    expect(pointsOf(bareEndpoints([1, 1, 1]), { minimumRingSize: 1, maximumRingSize: 1 })).toEqual([1, 1, 1])
  })

  test('points go by weight; the lightest has one at least, and all the others in proportion', () => {
    expect(pointsOf(bareEndpoints([1, 2, 4, 0.25]), { minimumRingSize: 128 })).toEqual([16, 32, 64, 4])
    expect(pointsOf(bareEndpoints([1, 20_000]), { minimumRingSize: 100 })).toEqual([1, 20_000])
  })

  test('an endpoint whose effective weight is lower has fewer points; the others keep theirs', () => {
    const endpoints = bareEndpoints([1, 1, 1])
    const before = pointsOf(endpoints)
    endpoints[0]!.weight = 0.25
    expect(pointsOf(endpoints)).toEqual([before[0]! / 4, before[1], before[2]])
  })

  test('two names with the same hash do not share their points', () => {
    const names = ['10.1.28.66:80', '10.2.54.178:80']
    expect(hash32(names[0]!)).toBe(hash32(names[1]!))
    const [a, b] = names.map(name => bareEndpoint({}, name))
    const { hashes } = ring([a!, b!], spec)
    expect(new Set(hashes).size).toBe(hashes.length)
  })
})

const keys = Array.from({ length: 20_000 }, (_, i) => Math.floor(seeded(i)() * 2 ** 32))

function homes(endpoints: readonly Endpoint[], settings = {}): string[] {
  const picker = ringHash.create(endpoints, balancerDeps(1, settings))
  const context = pickContext()
  return keys.map(hash => {
    context.hash = hash
    return picker.pick(context)!.name
  })
}

describe('keys', () => {
  test('go to the next point, around the ring', () => {
    const endpoints = bareEndpoints([1, 1, 1])
    const { hashes, owners } = ring(endpoints, spec)
    const picker = ringHash.create(endpoints, balancerDeps())
    const at = (hash: number) => endpoints.indexOf(picker.pick({ ...pickContext(), hash })!)
    for (const i of [1, 2, 500, hashes.length - 1]) {
      expect(at(hashes[i]!)).toBe(owners[i])
      expect(at(hashes[i]! - 1)).toBe(hashes[i - 1] === hashes[i]! - 1 ? owners[i - 1] : owners[i])
    }
    expect(at(hashes.at(-1)! + 1)).toBe(owners[0])
    expect(at(0)).toBe(owners[0])
  })

  /** How many keys move between endpoints that stay when one goes. The other way round it is one that comes. */
  function movedOfOthers(endpoints: readonly Endpoint[], gone: number): number {
    const before = homes(endpoints)
    const after = homes(endpoints.toSpliced(gone, 1))
    const { name } = endpoints[gone]!
    // As many as the share of the one that goes have to move.
    expect(before.filter(home => home === name).length / keys.length).toBeLessThan(1.6 / endpoints.length)
    return before.filter((home, i) => home !== name && home !== after[i]).length / keys.length
  }

  test.each([2, 3, 4, 8, 10, 16])('one of %i leaves: its own keys move, and no others', count => {
    const endpoints = bareEndpoints(Array<number>(count).fill(1))
    expect(movedOfOthers(endpoints, 0)).toBe(0)
    expect(movedOfOthers(endpoints, count - 1)).toBe(0)
  })

  test.each([17, 32, 50, 100])('one of %i leaves: no more than twice as many keys move as have to', count => {
    const endpoints = bareEndpoints(Array<number>(count).fill(1))
    expect(movedOfOthers(endpoints, 0)).toBeLessThan(1.3 / count)
    expect(movedOfOthers(endpoints, count - 1)).toBeLessThan(1.3 / count)
  })

  test('with weights too', () => {
    expect(movedOfOthers(bareEndpoints([1, 2, 3, 4, 4]), 0)).toBe(0)
    expect(movedOfOthers(bareEndpoints([3, 3, 4, 4, 4]), 4)).toBe(0)
  })

  test('shares are near the weights, the nearer the larger the ring', () => {
    const weights = [1, 2, 3, 4]
    const worst = (minimumRingSize: number) => {
      const endpoints = bareEndpoints(weights)
      const names = homes(endpoints, { minimumRingSize })
      return Math.max(
        ...endpoints.map(({ name }, i) =>
          Math.abs(names.filter(other => other === name).length / names.length / (weights[i]! / 10) - 1),
        ),
      )
    }
    expect(worst(1024)).toBeLessThan(0.2)
    expect(worst(65_536)).toBeLessThan(0.04)
  })
})
