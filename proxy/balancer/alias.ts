import type { Random } from '../core/clock.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { areAlike, sumOf, weightsOf } from './numbers.ts'

/** Draws an index with probability proportional to its weight, in O(1): the alias method (Vose 1991). */
export class AliasTable {
  /** All weights are the same. */
  readonly even: boolean
  readonly #count: number
  /** The part of a slot that belongs to its own index; the rest belongs to that of `#alias`. */
  readonly #share: Float64Array
  readonly #alias: Uint32Array

  constructor(weights: Float64Array) {
    const n = weights.length
    this.#count = n
    this.#share = new Float64Array(n).fill(1)
    this.#alias = new Uint32Array(n)
    this.even = areAlike(weights)
    if (!this.even) fill(weights, this.#share, this.#alias)
  }

  draw(random: Random): number {
    return this.indexAt(random() * this.#count)
  }

  /** `at`: from 0 up to the number of weights. */
  indexAt(at: number): number {
    const i = Math.floor(at)
    return at - i < this.#share[i]! ? i : this.#alias[i]!
  }
}

export function aliasTable(endpoints: readonly Endpoint[]): AliasTable {
  return new AliasTable(weightsOf(endpoints))
}

function fill(weights: Float64Array, share: Float64Array, alias: Uint32Array): void {
  const n = weights.length
  const total = sumOf(weights)
  const scaled = weights.map(weight => (weight * n) / total)
  // From the left, slots with less than an equal part; from the right, those with more.
  const stack = new Uint32Array(n)
  let small = 0
  let large = n
  for (let i = 0; i < n; i++) {
    if (scaled[i]! < 1) stack[small++] = i
    else stack[--large] = i
  }
  while (small > 0 && large < n) {
    const less = stack[--small]!
    const more = stack[large]!
    share[less] = scaled[less]!
    alias[less] = more
    scaled[more] = scaled[more]! + scaled[less]! - 1
    if (scaled[more]! < 1) {
      large++
      stack[small++] = more
    }
  }
}
