import type { BalancerDeps, LoadBalancer } from '../core/balancer.ts'
import type { Random } from '../core/clock.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { type AliasTable, aliasTable } from './alias.ts'
import { avoiding } from './avoid.ts'
import type { Lighter } from './load.ts'

/**
 * The power of choices (Mitzenmacher 2001): draws `choices` different endpoints by weight and takes the one with the
 * least load; among equals the first drawn. They are different, so that of two endpoints the busier is never taken. Up
 * to `fullScan` endpoints all are compared.
 */
export function lightestOf(endpoints: readonly Endpoint[], deps: BalancerDeps, lighter: Lighter): LoadBalancer {
  const { random, spec } = deps
  const n = endpoints.length
  if (n === 0) return { pick: () => null }
  if (n === 1) return { pick: () => endpoints[0]! }
  if (n <= spec.fullScan)
    return { pick: context => lightestOfAll(endpoints, context.tried, context.record, random, lighter) }
  const table = aliasTable(endpoints)
  return Math.min(spec.choices, n) === 2
    ? ofTwo(endpoints, table, random, lighter)
    : ofSeveral(endpoints, table, Math.min(spec.choices, n), random, lighter)
}

function ofTwo(endpoints: readonly Endpoint[], table: AliasTable, random: Random, lighter: Lighter): LoadBalancer {
  const n = endpoints.length
  return {
    pick(context) {
      const at = random() * n
      const first = table.indexAt(at)
      // With equal weights one random number is enough: its integer part gives the first, its fraction the other.
      const second = table.even ? beside(first, Math.floor((at - first) * (n - 1))) : another(table, n, first, random)
      const { tried } = context
      const a = tried.length === 0 ? endpoints[first]! : avoiding(endpoints, first, tried)
      const b = tried.length === 0 ? endpoints[second]! : avoiding(endpoints, second, tried)
      return a !== b && lighter(b, a, context.record) ? b : a
    },
  }
}

/** How often to draw again when the drawn endpoint is already chosen; after that the others count as equally likely. */
const TRIES = 3

function another(table: AliasTable, n: number, first: number, random: Random): number {
  for (let tries = 0; tries < TRIES; tries++) {
    const index = table.draw(random)
    if (index !== first) return index
  }
  return beside(first, Math.floor(random() * (n - 1)))
}

/** One of the n - 1 others. */
function beside(first: number, index: number): number {
  return index < first ? index : index + 1
}

function ofSeveral(
  endpoints: readonly Endpoint[],
  table: AliasTable,
  choices: number,
  random: Random,
  lighter: Lighter,
): LoadBalancer {
  const drawn = new Uint32Array(choices)
  return {
    pick(context) {
      const { tried } = context
      let best: Endpoint | null = null
      for (let count = 0; count < choices; count++) {
        const index = oneMore(table, endpoints.length, drawn, count, random)
        drawn[count] = index
        const challenger = avoiding(endpoints, index, tried)
        if (best === null || (challenger !== best && lighter(challenger, best, context.record))) best = challenger
      }
      return best
    },
  }
}

/** An index that is not among the first `count`. */
function oneMore(table: AliasTable, n: number, drawn: Uint32Array, count: number, random: Random): number {
  let index = table.draw(random)
  for (let tries = 0; tries < TRIES && isAmong(drawn, count, index); tries++) index = table.draw(random)
  if (!isAmong(drawn, count, index)) return index
  index = Math.floor(random() * n)
  while (isAmong(drawn, count, index)) index = index + 1 === n ? 0 : index + 1
  return index
}

function isAmong(drawn: Uint32Array, count: number, index: number): boolean {
  for (let i = 0; i < count; i++) if (drawn[i] === index) return true
  return false
}

/** Draws by weight among equals: each next one takes over with its part of the weight so far. */
function lightestOfAll(
  endpoints: readonly Endpoint[],
  tried: readonly Endpoint[],
  record: AttemptRecord,
  random: Random,
  lighter: Lighter,
): Endpoint {
  let best: Endpoint | null = null
  let weight = 0
  for (let i = 0; i < endpoints.length; i++) {
    const challenger = endpoints[i]!
    if (tried.length !== 0 && tried.includes(challenger)) continue
    if (best === null || lighter(challenger, best, record)) {
      best = challenger
      weight = challenger.weight
    } else if (!lighter(best, challenger, record)) {
      weight += challenger.weight
      if (random() * weight < challenger.weight) best = challenger
      else swapSides(record, challenger)
    }
  }
  return best ?? lightestOfAll(endpoints, NONE, record, random, lighter)
}

const NONE: readonly Endpoint[] = []

/** The record names the loser as the one that was taken: exchange them. */
function swapSides(record: AttemptRecord, loser: Endpoint): void {
  const { load } = record
  record.other = loser
  record.load = record.otherLoad
  record.otherLoad = load
}
