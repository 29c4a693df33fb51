import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { Endpoint } from '../core/endpoint.ts'

type SlowStart = BalancerSpec['slowStart']

/** Pickers are built anew in this many steps of the window, but not more often than this interval. */
const STEPS = 50
const SHORTEST_STEP_MS = 100

/**
 * The share of its weight that an endpoint has after this time: Envoy's max(minimum, (elapsed / window) ^ (1 /
 * aggression)).
 */
export function slowStartFactor(elapsedMs: number, { windowMs, aggression, minWeightPercent }: SlowStart): number {
  if (elapsedMs >= windowMs) return 1
  return Math.max(minWeightPercent / 100, (elapsedMs / windowMs) ** (1 / aggression))
}

/** Sets the weight by which each endpoint is drawn now. True: some still warm up, so their weights will change. */
export function weigh(endpoints: readonly Endpoint[], slowStart: SlowStart, now: number): boolean {
  let warming = false
  for (const endpoint of endpoints) {
    const weight = endpoint.spec.weight * endpoint.learntWeight
    if (endpoint.warmingSince < 0) {
      endpoint.weight = weight
      continue
    }
    const elapsedMs = now - endpoint.warmingSince
    endpoint.weight = weight * slowStartFactor(elapsedMs, slowStart)
    if (elapsedMs < slowStart.windowMs) warming = true
    else endpoint.warmingSince = -1
  }
  return warming
}

export function stepMs({ windowMs }: SlowStart): number {
  return Math.max(SHORTEST_STEP_MS, windowMs / STEPS)
}

export const SLOW_START_OFF: SlowStart = { windowMs: 0, aggression: 1, minWeightPercent: 100 }
