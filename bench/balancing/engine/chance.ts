import { AliasTable } from '../../../proxy/balancer/alias.ts'
import type { Random } from '../../../proxy/core/clock.ts'

/** The time to the next of events that occur independently of each other (Poisson). */
export function exponential(random: Random, mean: number): number {
  return -mean * Math.log(1 - random())
}

/**
 * Mean 1, coefficient of variation 1 and a long tail: one in a hundred is five times the mean, one in ten thousand
 * sixteen times.
 */
const SIGMA = Math.sqrt(Math.LN2)

/** Log-normal, as measured response times mostly are. */
export function logNormal(random: Random): number {
  // Box and Muller 1958.
  const gauss = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return Math.exp(SIGMA * gauss - (SIGMA * SIGMA) / 2)
}

/** The share of each caller: caller k has k^-exponent (Zipf), all together 1. */
export function popularity(count: number, exponent: number): Float64Array {
  const weights = Float64Array.from({ length: count }, (_, k) => (k + 1) ** -exponent)
  const whole = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map(weight => weight / whole)
}

/** Draws an index by weight. */
export function drawer(weights: Float64Array, random: Random): () => number {
  const table = new AliasTable(weights)
  return () => table.draw(random)
}
