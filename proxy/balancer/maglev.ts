import type { BalancerPolicy, LoadBalancerFactory } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { hash32, mix32 } from '../core/hash.ts'
import { settleTies, sortByHash } from './by-hash.ts'
import { hashed, observeBound } from './hashed.ts'
import { areAlike, bitsOf, sumOf, weightsOf } from './numbers.ts'

export const createMaglev: LoadBalancerFactory = (endpoints, deps) => {
  const table = endpoints.length === 0 ? new Uint32Array(1) : maglevTable(endpoints, deps.spec.tableSize)
  const size = table.length
  return hashed(endpoints, deps, hash => table[(hash >>> 0) % size]!)
}

/**
 * Maglev (Eisenbud and others, NSDI 2016, section 3.4): a table with a prime number of entries. A pick is one array
 * read; an endpoint that leaves moves few keys of others.
 */
export const maglev: BalancerPolicy = { create: createMaglev, hashes: true, observe: observeBound, reweigh: null }

type Table = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>

/**
 * Index of the endpoint of each entry. It depends on names and weights only: not on the order of the endpoints, the
 * process or the thread.
 */
export function maglevTable(endpoints: readonly Endpoint[], size: number): Table {
  const n = endpoints.length
  // Endpoints sorted by the hash of their names: the order of turns must not depend on the order in which they were
  // listed.
  const hashes = bitsOf(endpoints, ({ name }) => hash32(name))
  const order = bitsOf(endpoints, (_, i) => i)
  sortByHash(hashes, order)
  settleTies(hashes, order, endpoints)
  // Where the permutation of each endpoint stands, and its step: up to `size`, less `size`.
  const at = hashes.map(hash => hash % size)
  const steps = new Int32Array(hashes.map(hash => (mix32(hash, 1) % (size - 1)) + 1 - size))
  const free = n
  const table: Table = (n <= 0xffff ? new Uint16Array(size) : new Uint32Array(size)).fill(free)
  const turns = turnsByWeight(order, weightsOf(endpoints), size)
  for (let filled = 0, turn = 0; filled < size; filled++) {
    const rank = turns === null ? turn : turns[filled]!
    // The next free entry of its permutation. Most of the time is spent here, so it has no branch: a value below 0 is
    // brought back by its sign.
    const step = steps[rank]!
    let entry = at[rank]!
    while (table[entry] !== free) {
      entry += step
      entry += (entry >> 31) & size
    }
    table[entry] = order[rank]!
    at[rank] = entry
    turn = turn + 1 === n ? 0 : turn + 1
  }
  return table
}

/** The resolution of time: it takes two thirds of the time to sort that 32 bits take. */
const DUE_BITS = 22

/**
 * The first `size` turns, and some more: turn k is due at k / weight, so each endpoint has one at once, however light
 * it is. Null: all weights are equal, so all take turns.
 */
function turnsByWeight(order: Uint32Array, weights: Float64Array, size: number): Uint32Array | null {
  if (areAlike(weights)) return null
  const end = size / sumOf(weights)
  const counts = order.map(index => Math.ceil(end * weights[index]!))
  const count = sumOf(counts)
  const due = new Uint32Array(count)
  const turns = new Uint32Array(count)
  let filled = 0
  for (let rank = 0; rank < order.length; rank++) {
    const period = (2 ** DUE_BITS - 1) / (end * weights[order[rank]!]!)
    for (let turn = 0; turn < counts[rank]!; turn++) {
      due[filled] = turn * period
      turns[filled++] = rank
    }
  }
  sortByHash(due, turns, DUE_BITS)
  return turns
}
