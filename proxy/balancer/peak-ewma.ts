import type { BalancerPolicy, Observe } from '../core/balancer.ts'
import type { EndpointLoad } from '../core/endpoint-load.ts'
import { lightestOf } from './draw.ts'
import { countAttempt, countedMs, fading, hasFailed } from './learn.ts'
import { cheaper } from './load.ts'
import { sumOf, weightsOf } from './numbers.ts'

/** A measurement of 0 would read as none. */
const LEAST_MS = 0.001

/** Rises at once to a higher latency, and falls slowly. */
export function addPeak(load: EndpointLoad, sampleMs: number, now: number, decayMs: number): void {
  const sample = Math.max(LEAST_MS, sampleMs)
  const left = fading(now - load.latencyAt, decayMs)
  load.latencyMs =
    sample >= load.latencyMs * left || load.latencyMs === 0 ? sample : load.latencyMs * left + sample * (1 - left)
  load.latencyAt = now
}

const observe: Observe = ({ load }, outcome, tookMs, head, deps) => {
  if (outcome === 'ignorable') return
  const now = deps.clock.now()
  const failed = hasFailed(outcome, head)
  countAttempt(load, failed, now, deps.spec.decayMs)
  addPeak(load, countedMs(load, tookMs, failed, head, deps), now, deps.spec.decayMs)
}

/** Of a few endpoints drawn by weight, takes the one with the shortest expected time (Finagle, linkerd2-proxy). */
export const peakEwma: BalancerPolicy = {
  create: (endpoints, deps) =>
    lightestOf(endpoints, deps, cheaper(deps, sumOf(weightsOf(endpoints)) / endpoints.length)),
  hashes: false,
  observe,
  reweigh: null,
}
