import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { BalancerPolicy, LoadBalancerFactory } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { hash32, mix32 } from '../core/hash.ts'
import { settleTies, sortByHash } from './by-hash.ts'
import { hashed, observeBound } from './hashed.ts'
import { bitsOf, sumOf } from './numbers.ts'

const create: LoadBalancerFactory = (endpoints, deps) => {
  const { hashes, owners } = ring(endpoints, deps.spec)
  return hashed(endpoints, deps, hash => owners[firstFrom(hashes, hash >>> 0)]!)
}

/**
 * Consistent hashing on a ring (ketama): a key goes to the next point, and an endpoint that leaves moves its own keys
 * only. A pick is a binary search.
 */
export const ringHash: BalancerPolicy = { create, hashes: true, observe: observeBound, reweigh: null }

export interface Ring {
  /** The hashes of the points, ascending. */
  readonly hashes: Uint32Array
  /** The owner of each point, as an index. */
  readonly owners: Uint32Array
}

/**
 * Points depend only on the endpoint's name and the number of the point: not on the order of the endpoints, the process
 * or the thread.
 */
export function ring(endpoints: readonly Endpoint[], spec: BalancerSpec): Ring {
  const density = pointsPerWeight(endpoints, spec)
  const counts = bitsOf(endpoints, ({ weight }) => Math.max(1, Math.round(weight * density)))
  const size = sumOf(counts)
  const hashes = new Uint32Array(size)
  const owners = new Uint32Array(size)
  let filled = 0
  for (let i = 0; i < endpoints.length; i++) {
    const { name } = endpoints[i]!
    const base = hash32(name)
    // A second hash, so that two names with the same one do not share all their points.
    const first = hash32(name, 1)
    for (let point = 0; point < counts[i]!; point++) {
      hashes[filled] = mix32(base, first + point)
      owners[filled++] = i
    }
  }
  sortByHash(hashes, owners)
  settleTies(hashes, owners, endpoints)
  return { hashes, owners }
}

/**
 * The size of a ring of many endpoints, in minimum sizes. Up to twice as many endpoints, each has half of the minimum.
 */
const TIMES = 8

/**
 * Points for a weight of 1: at least `minimumRingSize` in all, one for the lightest, and at most `maximumRingSize` in
 * all, except that each endpoint has one. Unlike Envoy's, a ring of few endpoints grows with them: the points of one
 * endpoint then do not depend on the others, and an endpoint that comes or goes moves no keys between others. Beyond 16
 * endpoints the ring keeps its size, and about as many keys of others move as must.
 */
function pointsPerWeight(endpoints: readonly Endpoint[], { minimumRingSize, maximumRingSize }: BalancerSpec): number {
  let whole = 0
  let least = Number.POSITIVE_INFINITY
  let most = 0
  for (const { spec } of endpoints) {
    whole += spec.weight
    least = Math.min(least, spec.weight)
    most = Math.max(most, spec.weight)
  }
  const wanted = minimumRingSize * Math.min(1 / (2 * most), TIMES / whole)
  return Math.min(Math.max(wanted, 1 / least), maximumRingSize / whole)
}

/** Index of the first point at or after the hash, around the ring. */
function firstFrom(hashes: Uint32Array, hash: number): number {
  let low = 0
  let high = hashes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (hashes[middle]! < hash) low = middle + 1
    else high = middle
  }
  return low === hashes.length ? 0 : low
}
