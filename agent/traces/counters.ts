/** What is counted of spans, for /metrics and for `outrigger status`. */
export interface Counters {
  /** By who sent them: `proxy` on the agent's socket, `grpc` and `http` from applications. */
  readonly received: Record<'proxy' | 'grpc' | 'http', number>
  /** Requests that were no OTLP, too large, or came while too much was waiting. */
  readonly refusedRequests: Record<'malformed' | 'too_large' | 'busy', number>
  /** Spans that do not go on, by why. Those of sampling and of the queue are counted where they happen. */
  readonly dropped: Record<'invalid' | 'no_export' | 'collector_refused', number>
  exported: number
  /** Requests to the collector, by what came of them. */
  readonly exports: Record<'ok' | 'retried' | 'refused', number>
}

export function newCounters(): Counters {
  return {
    received: { proxy: 0, grpc: 0, http: 0 },
    refusedRequests: { malformed: 0, too_large: 0, busy: 0 },
    dropped: { invalid: 0, no_export: 0, collector_refused: 0 },
    exported: 0,
    exports: { ok: 0, retried: 0, refused: 0 },
  }
}

/** One family of the agent's /metrics. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface MoreFigures {
  readonly sampled: number
  readonly rate: number
  readonly queueFull: number
  readonly corrupt: number
  readonly queued: number
  readonly queueBytes: number
  readonly queueMaxBytes: number
  readonly onDisk: boolean
  /** Seconds since the collector has taken none, while there were some; 0: it does. */
  readonly stalledSeconds: number
}

const PREFIX = 'outrigger_agent_spans'

export function familiesOf(counters: Counters, more: MoreFigures): readonly Family[] {
  const by = (label: string, values: Readonly<Record<string, number>>): Sample[] =>
    Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }))
  const one = (value: number): Sample[] => [{ labels: {}, value }]
  const dropped = {
    ...counters.dropped,
    sampled: more.sampled,
    rate: more.rate,
    queue_full: more.queueFull,
    queue_broken: more.corrupt,
  }
  return [
    counter('received_total', 'Spans received, by where they came in.', by('from', counters.received)),
    counter('dropped_total', 'Spans that were not passed on, by reason.', by('reason', dropped)),
    counter('exported_total', 'Spans the collector has taken.', one(counters.exported)),
    counter(
      'refused_requests_total',
      'Requests with spans that were refused as a whole, by reason.',
      by('reason', counters.refusedRequests),
    ),
    counter('export_requests_total', 'Requests to the collector, by outcome.', by('outcome', counters.exports)),
    gauge('queued', 'Spans that wait for the collector.', one(more.queued)),
    gauge('queue_bytes', 'Bytes that wait for the collector.', one(more.queueBytes)),
    gauge('queue_limit_bytes', 'Bytes that may wait for the collector.', one(more.queueMaxBytes)),
    gauge('queue_on_disk', '1: what waits is on disk. 0: it is in memory only.', one(more.onDisk ? 1 : 0)),
    gauge('export_stalled_seconds', 'Seconds since the collector has taken nothing.', one(more.stalledSeconds)),
  ]
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `${PREFIX}_${name}`, help, type: 'counter', samples }
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `${PREFIX}_${name}`, help, type: 'gauge', samples }
}
