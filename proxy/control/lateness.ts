import type { Clock } from '../core/clock.ts'

const EVERY_MS = 1_000
/** What a timer may be late by itself. */
const TICK_MS = 10

/** Watches how late a timer of this thread is; each call gives the worst since the last one, in milliseconds. */
export function lateness(clock: Clock): () => number {
  let worst = 0
  let armedAt = clock.now()
  const timer = clock.timer(() => {
    const now = clock.now()
    worst = Math.max(worst, now - armedAt - EVERY_MS - TICK_MS)
    armedAt = now
    timer.arm(EVERY_MS)
  })
  timer.arm(EVERY_MS)
  return () => {
    const result = worst
    worst = 0
    return result
  }
}
