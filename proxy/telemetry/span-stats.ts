import { helpOf } from '../core/metrics-table.ts'
import type { Counter } from '../core/telemetry.ts'
import type { StatsWriter } from './stats.ts'

/** What a data thread counts of spans; series are made with the first count. */
export function spanStats(
  stats: StatsWriter,
  thread: number,
): { readonly recorded: Counter; readonly dropped: Counter } {
  const labels = { thread: String(thread) }
  return {
    recorded: stats.counter('outrigger_spans_recorded_total', helpOf('outrigger_spans_recorded_total'), labels),
    dropped: stats.counter('outrigger_spans_overflow_total', helpOf('outrigger_spans_overflow_total'), labels),
  }
}
