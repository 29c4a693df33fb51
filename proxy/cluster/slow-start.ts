import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { Endpoint } from '../core/endpoint.ts'

type SlowStart = BalancerSpec['slowStart']

/** Pickers are built anew in this many steps of the window, but not more often than this. */
const STEPS = 50
const SHORTEST_STEP_MS = 100

/**
 * The share of its weight that an endpoint has after so long: Envoy's max(minimum, (elapsed / window) ^ (1 /
 * aggression)).
 */
export function slowStartFactor(elapsedMs: number, { windowMs, aggression, minWeightPercent }: SlowStart): number {
  if (elapsedMs >= windowMs) return 1
  return Math.max(minWeightPercent / 100, (elapsedMs / windowMs) ** (1 / aggression))
}

/** Sets what each endpoint is drawn by now. True: some are still warming up, and their weights will be others soon. */
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
