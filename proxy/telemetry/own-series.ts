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
  const gauge = (name: string, help: string, read: () => number, labels: Record<string, string> = none) =>
    store.own(name, help, 'gauge', labels, read)
  const counter = (name: string, help: string, read: () => number) => store.own(name, help, 'counter', none, read)

  gauge('outrigger_build_info', 'The version of Outrigger and of Node.js; always 1.', () => 1, {
    version: facts.version,
    node: process.versions.node,
  })
  gauge('outrigger_ready', 'Whether /ready answers 200.', () => Number(facts.ready()))
  gauge('outrigger_data_threads', 'Data threads that serve.', facts.running)
  counter('outrigger_data_thread_restarts_total', 'Data threads that ended and were replaced.', facts.restarts)
  for (let thread = 0; thread < facts.threads; thread++) {
    const labels = { thread: String(thread) }
    const busy = 'Share of the time since the last scrape in which the event loop of a data thread was busy.'
    gauge('outrigger_event_loop_utilization_ratio', busy, () => facts.utilization(thread), labels)
    gauge(
      'outrigger_data_thread_heap_bytes',
      'JavaScript heap in use on a data thread, as of the scrape before.',
      () => facts.heapUsed(thread),
      labels,
    )
  }
  gauge(
    'outrigger_control_thread_lag_seconds',
    'The latest that a timer of the control thread was since the last scrape.',
    () => facts.controlLag() / 1000,
  )
  gauge('outrigger_config_last_reload_successful', 'Whether the files as they are now are in force.', () =>
    Number(facts.lastReloadSuccessful()),
  )
  gauge(
    'outrigger_config_last_reload_success_timestamp_seconds',
    'When a configuration was last loaded from the files without error.',
    () => facts.lastReloadSuccess() / 1000,
  )
  counter(
    'outrigger_access_log_dropped_lines_total',
    'Lines of the access log that could not be written fast enough, or at all.',
    facts.droppedLogLines,
  )
  spanSeries(store, facts.spans)

  gauge('process_resident_memory_bytes', 'Resident memory of the process, all threads.', () =>
    process.memoryUsage.rss(),
  )
  gauge('process_start_time_seconds', 'When the process started, since the epoch.', () => facts.startedAt / 1000)
  counter('process_cpu_seconds_total', 'CPU time of the process, all threads.', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  gauge(
    'nodejs_heap_size_used_bytes',
    'JavaScript heap in use on the control thread.',
    () => process.memoryUsage().heapUsed,
  )
  gauge(
    'nodejs_heap_size_total_bytes',
    'JavaScript heap held by the control thread.',
    () => process.memoryUsage().heapTotal,
  )
  gauge(
    'nodejs_external_memory_bytes',
    'Memory outside the JavaScript heap that objects of the control thread hold.',
    () => process.memoryUsage().external,
  )

  const name = 'outrigger_config_version_info'
  let shown = ''
  return {
    setVersion() {
      const version = facts.configVersion()
      if (version === shown) return
      if (shown !== '') store.disown(name, { version: shown })
      gauge(name, 'The version of the configuration in force, as a label; always 1.', () => 1, { version })
      shown = version
    },
  }
}

function spanSeries(store: SeriesStore, counts: () => SpanCounts): void {
  const lost = 'Spans that were dropped: `full`, no room to wait; `rejected`, not wanted or not taken for 5 minutes.'
  store.own(
    'outrigger_spans_sent_total',
    'Spans that were taken by an agent or collector.',
    'counter',
    {},
    () => counts().sent,
  )
  store.own('outrigger_spans_waiting', 'Spans that wait to be sent.', 'gauge', {}, () => counts().waiting)
  for (const reason of ['full', 'rejected'] as const)
    store.own('outrigger_spans_dropped_total', lost, 'counter', { reason }, () => counts()[reason])
}
