import type { Endpoint } from '../core/endpoint.ts'

const BITS = 11
const DIGITS = 1 << BITS

/**
 * Sorts hashes of this many bits in ascending order, and the indexes of their owners with them: a radix sort, O(n).
 * Equal hashes keep their order.
 */
export function sortByHash(hashes: Uint32Array, owners: Uint32Array, bits = 32): void {
  let from = hashes
  let fromOwners = owners
  let to: Uint32Array = new Uint32Array(hashes.length)
  let toOwners: Uint32Array = new Uint32Array(owners.length)
  for (let shift = 0; shift < bits; shift += BITS) {
    scatter(from, fromOwners, to, toOwners, shift)
    ;[from, to] = [to, from]
    ;[fromOwners, toOwners] = [toOwners, fromOwners]
  }
  if (from === hashes) return
  hashes.set(from)
  owners.set(fromOwners)
}

/** Sorts by one digit. */
function scatter(
  from: Uint32Array,
  fromOwners: Uint32Array,
  to: Uint32Array,
  toOwners: Uint32Array,
  shift: number,
): void {
  const starts = new Uint32Array(DIGITS)
  for (let i = 0; i < from.length; i++) starts[(from[i]! >>> shift) & (DIGITS - 1)]!++
  let sum = 0
  for (let digit = 0; digit < DIGITS; digit++) {
    const count = starts[digit]!
    starts[digit] = sum
    sum += count
  }
  for (let i = 0; i < from.length; i++) {
    const hash = from[i]!
    const at = starts[(hash >>> shift) & (DIGITS - 1)]!++
    to[at] = hash
    toOwners[at] = fromOwners[i]!
  }
}

/**
 * Of two endpoints with the same hash the one with the lesser name comes first, so that the order in which they were
 * listed does not matter.
 */
export function settleTies(hashes: Uint32Array, owners: Uint32Array, endpoints: readonly Endpoint[]): void {
  for (let i = 1; i < hashes.length; i++) {
    for (
      let k = i;
      k > 0 && hashes[k] === hashes[k - 1] && endpoints[owners[k]!]!.name < endpoints[owners[k - 1]!]!.name;
      k--
    ) {
      const owner = owners[k]!
      owners[k] = owners[k - 1]!
      owners[k - 1] = owner
    }
  }
}
