import type { Clock } from '../core/clock.ts'
import { set } from '../core/telemetry.ts'
import type { StatsWriter } from '../telemetry/stats.ts'

const EVERY_MS = 1000

/** Measures once a second how late a timer of this thread is; `tick` is called then too. */
export function watchLag(clock: Clock, stats: StatsWriter, thread: number, tick: () => void): void {
  const lag = stats.gauge(
    'outrigger_data_thread_lag_seconds',
    'How late the last timer of the data thread was: time in which nothing else could run',
    { thread: String(thread) },
  )
  let due = clock.now() + EVERY_MS
  const timer = clock.timer(() => {
    const now = clock.now()
    set(lag, Math.max(0, now - due) / 1000)
    tick()
    due = now + EVERY_MS
    timer.arm(EVERY_MS)
  })
  timer.arm(EVERY_MS)
}
