import type { BalancerPolicy, LoadBalancerFactory } from '../core/balancer.ts'
import type { Random } from '../core/clock.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { avoiding } from './avoid.ts'

const create: LoadBalancerFactory = (endpoints, { random }) => {
  if (endpoints.length === 0) return { pick: () => null }
  const { members, starts, weights } = byWeight(endpoints)
  const heap = new TurnHeap(weights, random)
  // The position of each group: data threads begin at different ones.
  const at = weights.map((_, group) => starts[group]! + Math.floor(random() * (starts[group + 1]! - starts[group]!)))
  return {
    pick(context) {
      const group = heap.next()
      const turn = at[group]!
      at[group] = turn + 1 === starts[group + 1]! ? starts[group]! : turn + 1
      return avoiding(endpoints, members[turn]!, context.tried)
    },
  }
}

/**
 * Smooth weighted round robin: over time each endpoint comes exactly as often as its weight says, spread evenly.
 * Endpoints of the same weight form a group and take turns; among the groups it is earliest deadline first (as Envoy's
 * EDF scheduler). So a pick costs nothing of note where there are few different weights, and O(log n) at most.
 */
export const roundRobin: BalancerPolicy = { create, hashes: false, observe: null, reweigh: null }

interface Groups {
  /** Indices of the endpoints, group after group, and where each group starts. */
  readonly members: Uint32Array
  readonly starts: Uint32Array
  /** Of whole groups. */
  readonly weights: Float64Array
}

function byWeight(endpoints: readonly Endpoint[]): Groups {
  const n = endpoints.length
  const groups = new Map<number, number>()
  const groupOf = new Uint32Array(n)
  for (let i = 0; i < n; i++) {
    const { weight } = endpoints[i]!
    let group = groups.get(weight)
    if (group === undefined) {
      group = groups.size
      groups.set(weight, group)
    }
    groupOf[i] = group
  }
  const starts = new Uint32Array(groups.size + 1)
  for (let i = 0; i < n; i++) starts[groupOf[i]! + 1]!++
  for (let group = 0; group < groups.size; group++) starts[group + 1]! += starts[group]!
  const weights = Float64Array.from(groups.keys(), (weight, group) => weight * (starts[group + 1]! - starts[group]!))
  const filled = starts.slice()
  const members = new Uint32Array(n)
  for (let i = 0; i < n; i++) members[filled[groupOf[i]!]!++] = i
  return { members, starts, weights }
}

/** The step of the phases around the circle: the golden ratio keeps any number of them apart. */
const GOLDEN = (Math.sqrt(5) - 1) / 2

/**
 * Turn k is due at (k + phase) / weight, and the earliest due is on top. The phases differ: otherwise all light
 * endpoints would come in one block, and a heavy one in a burst around it.
 */
class TurnHeap {
  readonly #weights: Float64Array
  readonly #phases: Float64Array
  readonly #turns: Float64Array
  /** The heap: indexes, and when each is due. */
  readonly #who: Uint32Array
  readonly #due: Float64Array

  constructor(weights: Float64Array, random: Random) {
    const n = weights.length
    this.#weights = weights
    this.#phases = weights.map((_, i) => ((i + 1) * GOLDEN) % 1)
    this.#who = Uint32Array.from(weights, (_, i) => i)
    const startAt = random() / weights.reduce((least, weight) => Math.min(least, weight))
    this.#turns = weights.map((weight, i) => Math.max(0, Math.ceil(startAt * weight - this.#phases[i]!)))
    this.#due = weights.map((_, i) => this.#dueOf(i))
    for (let at = (n >> 1) - 1; at >= 0; at--) this.#sink(this.#who[at]!, this.#due[at]!, at)
  }

  next(): number {
    const who = this.#who[0]!
    if (this.#who.length === 1) return who
    // Counted, not added up, so that equal deadlines stay equal and rounds alike.
    this.#turns[who]!++
    this.#sink(who, this.#dueOf(who), 0)
    return who
  }

  #dueOf(who: number): number {
    return (this.#turns[who]! + this.#phases[who]!) / this.#weights[who]!
  }

  /** Down from a place that is free, until what is below is due later. */
  #sink(who: number, due: number, from: number): void {
    const heap = this.#who
    const dues = this.#due
    const n = heap.length
    let hole = from
    for (let child = 2 * hole + 1; child < n; child = 2 * hole + 1) {
      if (child + 1 < n && isBefore(dues[child + 1]!, heap[child + 1]!, dues[child]!, heap[child]!)) child++
      if (isBefore(due, who, dues[child]!, heap[child]!)) break
      heap[hole] = heap[child]!
      dues[hole] = dues[child]!
      hole = child
    }
    heap[hole] = who
    dues[hole] = due
  }
}

function isBefore(due: number, who: number, otherDue: number, other: number): boolean {
  return due < otherDue || (due === otherDue && who < other)
}
