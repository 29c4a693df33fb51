import type { Counter } from '../core/telemetry.ts'
import type { StatsWriter } from './stats.ts'

/** What a data thread counts of spans; series are made with the first count. */
export function spanStats(
  stats: StatsWriter,
  thread: number,
): { readonly recorded: Counter; readonly dropped: Counter } {
  const labels = { thread: String(thread) }
  return {
    recorded: stats.counter('outrigger_spans_recorded_total', 'Spans made on a data thread', labels),
    dropped: stats.counter(
      'outrigger_spans_overflow_total',
      'Spans that a data thread dropped because the control thread was behind',
      labels,
    ),
  }
}
