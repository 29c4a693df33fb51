import type { Clock } from '../core/clock.ts'
import { helpOf } from '../core/metrics-table.ts'
import { add, type ProxyEvent, set } from '../core/telemetry.ts'
import type { StatsWriter } from './stats.ts'

/**
 * The shortest time between two log lines: a thread without room cuts again and again, and the counter counts every
 * cut.
 */
const LOG_EVERY_MS = 1000

/** Counts what a data thread holds of bodies, and what it had to cut. */
export function bufferStats(stats: StatsWriter, thread: number, clock: Clock, event: (event: ProxyEvent) => void) {
  const labels = { thread: String(thread) }
  const bytes = stats.gauge(
    'outrigger_data_thread_buffered_bytes',
    helpOf('outrigger_data_thread_buffered_bytes'),
    labels,
  )
  const cuts = stats.counter(
    'outrigger_data_thread_buffer_cuts_total',
    helpOf('outrigger_data_thread_buffer_cuts_total'),
    labels,
  )
  let loggedAt = Number.NEGATIVE_INFINITY
  let unlogged = 0
  return {
    held: (held: number) => set(bytes, held),
    cut(count: number, detail: string): void {
      add(cuts, count)
      const now = clock.now()
      if (now - loggedAt < LOG_EVERY_MS) {
        unlogged += count
        return
      }
      event({ kind: 'buffers-full', count: count + unlogged, detail })
      loggedAt = now
      unlogged = 0
    },
  }
}
