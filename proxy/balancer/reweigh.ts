import type { BalancerDeps } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { EndpointLoad } from '../core/endpoint-load.ts'
import { fading } from './learn.ts'
import { numbersOf } from './numbers.ts'

/** Smaller changes are not worth new pickers. */
const CHANGE = 0.02
/** Every endpoint keeps at least this part of the mean: without requests it could never show that it is better now. */
const LEAST = 0.001
const MOST = 1000

/** The moving mean of the last attempts. Call after `countAttempt`, which says how many there were. */
export function addToMean(load: EndpointLoad, sampleMs: number, now: number): void {
  load.latencyMs += (Math.max(0.001, sampleMs) - load.latencyMs) / (load.latencyMs === 0 ? 1 : load.attempts)
  load.latencyAt = now
}

/** On how many attempts the learnt values rest by now. */
export function evidence(load: EndpointLoad, now: number, decayMs: number): number {
  return load.attempts * fading(now - load.attemptAt, decayMs)
}

/**
 * The expected latency of each endpoint, in milliseconds: the measured one, drawn towards the typical one as if one
 * attempt had shown that. So a new endpoint begins as typical, and one that was slow and gets hardly any requests gets
 * another chance.
 */
export function expectedLatencies(endpoints: readonly Endpoint[], now: number, deps: BalancerDeps): Float64Array {
  const { decayMs, defaultRttMs } = deps.spec
  // The harmonic mean: a few endpoints that hang do not make the others look fast.
  let count = 0
  let rates = 0
  for (const { load } of endpoints) {
    if (load.latencyMs === 0) continue
    count++
    rates += 1 / load.latencyMs
  }
  const typical = count === 0 ? defaultRttMs : count / rates
  return numbersOf(endpoints, ({ load }) => {
    if (load.latencyMs === 0) return typical
    const seen = evidence(load, now, decayMs)
    return (load.latencyMs * seen + typical) / (seen + 1)
  })
}

/**
 * Moves the learnt weights half of the way, in proportion, to those at which endpoints are drawn as `shares` says.
 * Moving them at once would oscillate, because load follows weights and latency follows load. True: some changed enough
 * for new pickers.
 */
export function learnShares(endpoints: readonly Endpoint[], shares: Float64Array): boolean {
  const n = endpoints.length
  let whole = 0
  let configured = 0
  for (let i = 0; i < n; i++) {
    whole += shares[i]!
    configured += endpoints[i]!.spec.weight
  }
  const next = shares.map((share, i) => {
    const { spec, learntWeight } = endpoints[i]!
    const target = Math.min(MOST, Math.max(LEAST, ((share / whole) * configured) / spec.weight))
    return Math.sqrt(learntWeight * target)
  })
  let changed = false
  for (let i = 0; i < n; i++) changed ||= Math.abs(next[i]! / endpoints[i]!.learntWeight - 1) > CHANGE
  if (changed) for (let i = 0; i < n; i++) endpoints[i]!.learntWeight = next[i]!
  return changed
}
