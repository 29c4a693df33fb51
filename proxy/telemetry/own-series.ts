import { helpOf, type MetricName, metrics } from '../core/metrics-table.ts'
import type { SeriesStore } from './series-store.ts'
import type { SpanCounts } from './span-sink.ts'

/** The values that only the control thread knows. */
export interface OwnFacts {
  readonly version: string
  readonly threads: number
  readonly restarts: () => number
  readonly running: () => number
  readonly utilization: (thread: number) => number
  /** Bytes, as of the previous call. */
  readonly heapUsed: (thread: number) => number
  /** Milliseconds, the worst since the previous call. */
  readonly controlLag: () => number
  readonly configVersion: () => string
  /** True: the present files are in force. */
  readonly lastReloadSuccessful: () => boolean
  /** Milliseconds since the epoch. */
  readonly lastReloadSuccess: () => number
  readonly droppedLogLines: () => number
  readonly spans: () => SpanCounts
  readonly ready: () => boolean
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}

/** Adds them to the exposition; each is read at a scrape and costs nothing between. */
export function ownSeries(store: SeriesStore, facts: OwnFacts): { setVersion(): void } {
  const none = {}
  const gauge = (name: MetricName, read: () => number, labels: Record<string, string> = none) =>
    store.own(name, helpOf(name), 'gauge', labels, read)
  const counter = (name: MetricName, read: () => number) => store.own(name, helpOf(name), 'counter', none, read)

  gauge('outrigger_build_info', () => 1, {
    version: facts.version,
    node: process.versions.node,
  })
  gauge('outrigger_ready', () => Number(facts.ready()))
  gauge('outrigger_data_threads', facts.running)
  counter('outrigger_data_thread_restarts_total', facts.restarts)
  for (let thread = 0; thread < facts.threads; thread++) {
    const labels = { thread: String(thread) }
    gauge('outrigger_event_loop_utilization_ratio', () => facts.utilization(thread), labels)
    gauge('outrigger_data_thread_heap_bytes', () => facts.heapUsed(thread), labels)
  }
  gauge('outrigger_control_thread_lag_seconds', () => facts.controlLag() / 1000)
  gauge('outrigger_config_last_reload_successful', () => Number(facts.lastReloadSuccessful()))
  gauge('outrigger_config_last_reload_success_timestamp_seconds', () => facts.lastReloadSuccess() / 1000)
  counter('outrigger_access_log_dropped_lines_total', facts.droppedLogLines)
  spanSeries(store, facts.spans)

  gauge('process_resident_memory_bytes', () => process.memoryUsage.rss())
  gauge('process_start_time_seconds', () => facts.startedAt / 1000)
  counter('process_cpu_seconds_total', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  gauge('nodejs_heap_size_used_bytes', () => process.memoryUsage().heapUsed)
  gauge('nodejs_heap_size_total_bytes', () => process.memoryUsage().heapTotal)
  gauge('nodejs_external_memory_bytes', () => process.memoryUsage().external)

  gauge('outrigger_metrics_series', () => store.size())
  const name = 'outrigger_config_version_info'
  let shown = ''
  return {
    setVersion() {
      const version = facts.configVersion()
      if (version === shown) return
      if (shown !== '') store.disown(name, { version: shown })
      gauge(name, () => 1, { version })
      shown = version
    },
  }
}

function spanSeries(store: SeriesStore, counts: () => SpanCounts): void {
  const own = (name: MetricName, read: () => number, labels: Record<string, string> = {}) =>
    store.own(name, helpOf(name), metrics[name].type as 'counter' | 'gauge', labels, read)
  own('outrigger_spans_sent_total', () => counts().sent)
  own('outrigger_spans_waiting', () => counts().waiting)
  for (const reason of ['full', 'rejected'] as const)
    own('outrigger_spans_dropped_total', () => counts()[reason], { reason })
}
