import type { LoadBalancerFactory } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { avoiding } from './avoid.ts'

/** Slots of a schedule: weights are kept to a part in four thousand, and a pick is one array read. */
const LONGEST = 4096

/**
 * Smooth weighted round robin: over one round each endpoint comes as often as its weight says, spread evenly (earliest deadline first, as Envoy's EDF scheduler). The
 * round is laid out when the host set changes. Data threads begin at different places.
 */
export const roundRobin: LoadBalancerFactory = (endpoints, random) => {
  if (endpoints.length === 0) return { pick: () => null }
  const schedule = layOut(endpoints)
  let next = Math.floor(random() * schedule.length)
  return {
    pick(context) {
      const index = schedule[next]!
      next = next + 1 === schedule.length ? 0 : next + 1
      return avoiding(endpoints, index, context.tried)
    },
  }
}

function layOut(endpoints: readonly Endpoint[]): Uint32Array {
  const weights = endpoints.map(endpoint => endpoint.spec.weight)
  const divisor = weights.reduce(greatestCommonDivisor)
  let turns = weights.map(weight => weight / divisor)
  let total = turns.reduce((sum, turn) => sum + turn, 0)
  const longest = Math.max(LONGEST, 4 * endpoints.length)
  if (total > longest) {
    const scale = longest / total
    turns = turns.map(turn => Math.max(1, Math.round(turn * scale)))
    total = turns.reduce((sum, turn) => sum + turn, 0)
  }
  // Turn k of an endpoint with t turns is due at (k + phase) / t of the round. Those with equally many share the phases out: else all of weight 1 would come in one
  // block, and a heavy one in a burst around it.
  const alike = new Map<number, number>()
  for (const count of turns) alike.set(count, (alike.get(count) ?? 0) + 1)
  const placed = new Map<number, number>()
  const due: { at: number; index: number }[] = []
  turns.forEach((count, index) => {
    const before = placed.get(count) ?? 0
    placed.set(count, before + 1)
    const phase = (before + 0.5) / alike.get(count)!
    for (let k = 0; k < count; k++) due.push({ at: (k + phase) / count, index })
  })
  due.sort((a, b) => a.at - b.at || a.index - b.index)
  return Uint32Array.from(due, turn => turn.index)
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
