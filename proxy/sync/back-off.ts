import type { Random } from '../core/clock.ts'

/** Waits between tries: each up to twice as long as the one before, with jitter. */
export interface BackOff {
  /** How long to wait now, in milliseconds. */
  next(): number
  reset(): void
}

const FIRST_MS = 100

/**
 * From half of a step to all of it, so that a thousand proxies whose agent came back do not all come at once. `mostMs`:
 * no wait is longer.
 */
export function backOff(random: Random, mostMs: number): BackOff {
  let step = FIRST_MS
  return {
    next() {
      const waitMs = step * (0.5 + random() / 2)
      step = Math.min(step * 2, mostMs)
      return waitMs
    },
    reset() {
      step = FIRST_MS
    },
  }
}
