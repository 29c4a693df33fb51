import type { Clock } from '../core/clock.ts'
import { helpOf } from '../core/metrics-table.ts'
import { set } from '../core/telemetry.ts'
import type { StatsWriter } from '../telemetry/stats.ts'

const EVERY_MS = 1000

/** Measures once a second how late a timer of this thread is, and tells `tick`. */
export function watchLag(
  clock: Clock,
  stats: StatsWriter,
  thread: number,
  tick: (now: number, lagMs: number) => void,
): void {
  const lag = stats.gauge('outrigger_data_thread_lag_seconds', helpOf('outrigger_data_thread_lag_seconds'), {
    thread: String(thread),
  })
  let due = clock.now() + EVERY_MS
  const timer = clock.timer(() => {
    const now = clock.now()
    const lagMs = Math.max(0, now - due)
    set(lag, lagMs / 1000)
    tick(now, lagMs)
    due = now + EVERY_MS
    timer.arm(EVERY_MS)
  })
  timer.arm(EVERY_MS)
}
