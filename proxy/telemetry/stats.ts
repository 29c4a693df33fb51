import type { SeriesSpec, ToControl } from '../core/channel.ts'
import { helpOf, type MetricName } from '../core/metrics-table.ts'
import { bucketOf, HISTOGRAM_BUCKETS, HISTOGRAM_SLOTS, PAGE_SLOTS } from '../core/slots.ts'
import type { Counter, EndpointStats, TcpBytes, TcpStats } from '../core/telemetry.ts'

/** A counter or gauge with the id its series has on the control thread. */
export interface Series extends Counter {
  /** Changed once, by `retire`. */
  values: Float64Array
  index: number
  readonly id: number
}

/** Counts of series that are over go here, and are never read. */
export const VOID = new Float64Array(HISTOGRAM_SLOTS)

/**
 * The data thread's side of statistics: hands out slots in shared memory and tells the control thread what they mean.
 */
export interface StatsWriter {
  counter(name: string, help: string, labels: Readonly<Record<string, string>>): Series
  gauge(name: string, help: string, labels: Readonly<Record<string, string>>): Series
  histogram(name: string, help: string, labels: Readonly<Record<string, string>>): HistogramSeries
  /**
   * Ends these series: their slots are used again. A holder of them (a request at an endpoint that left) counts without
   * effect.
   */
  retire(series: readonly Series[]): void
  /**
   * Ends a counter once it has not changed for `expireAfter`; `expired` says which other series end with it. A counter
   * of the same labels that comes later begins at 0.
   */
  mayExpire(counter: Series, expired: () => readonly Series[]): void
  /** 0: nothing expires. */
  expireAfter(idleMs: number): void
  /** Looks for counters to expire, now and then. */
  sweep(now: number): void
}

/** A counter that may expire: its last value, and when it was first seen with it. */
interface Expiring {
  readonly counter: Series
  readonly expired: () => readonly Series[]
  value: number
  since: number
}

/** How often `sweep` looks, as a share of the time that a counter may be idle. */
const SWEEPS = 10

export interface HistogramSeries extends Series {
  record(milliseconds: number): void
}

export function statsWriter(send: (message: ToControl) => void): StatsWriter {
  const pages: Float64Array[] = []
  /** Slots given back, by size. */
  const free = new Map<number, { readonly page: number; readonly index: number }[]>([
    [1, []],
    [HISTOGRAM_SLOTS, []],
  ])
  const slots = new Map<number, { readonly page: number; readonly index: number; readonly size: number }>()
  let used = PAGE_SLOTS
  let nextId = 0
  let expiring: Expiring[] = []
  let idleMs = 0
  let sweptAt = 0

  function allocate(size: number): { readonly page: number; readonly index: number } {
    const given = free.get(size)!.pop()
    if (given !== undefined) return given
    if (used + size > PAGE_SLOTS) {
      const memory = new SharedArrayBuffer(PAGE_SLOTS * 8)
      send({ kind: 'page', page: pages.length, memory })
      pages.push(new Float64Array(memory))
      used = 0
    }
    const index = used
    used += size
    return { page: pages.length - 1, index }
  }

  function series(
    type: SeriesSpec['type'],
    name: string,
    help: string,
    labels: Readonly<Record<string, string>>,
  ): { values: Float64Array; index: number; id: number } {
    const size = type === 'histogram' ? HISTOGRAM_SLOTS : 1
    const { page, index } = allocate(size)
    const id = nextId++
    slots.set(id, { page, index, size })
    const values = pages[page]!
    values.fill(0, index, index + size)
    send({ kind: 'series', id, series: { name, help, type, labels, page, index } })
    return { values, index, id }
  }

  return {
    counter: (name, help, labels) => series('counter', name, help, labels),
    gauge: (name, help, labels) => series('gauge', name, help, labels),
    histogram(name, help, labels) {
      const { values, index, id } = series('histogram', name, help, labels)
      return new SlotHistogram(values, index, id)
    },
    retire(list) {
      for (const series of list) release(series)
      if (list.length !== 0) send({ kind: 'retire', ids: list.map(({ id }) => id) })
    },
    mayExpire(counter, expired) {
      expiring.push({ counter, expired, value: -1, since: 0 })
    },
    expireAfter(limit) {
      idleMs = limit
    },
    sweep(now) {
      if (idleMs === 0 || now - sweptAt < idleMs / SWEEPS) return
      sweptAt = now
      const over: Series[] = []
      expiring = expiring.filter(each => {
        const { counter } = each
        // It was retired.
        if (counter.values === VOID) return false
        const value = counter.values[counter.index]!
        if (value !== each.value) {
          each.value = value
          each.since = now
        } else if (now - each.since >= idleMs) {
          over.push(counter, ...each.expired())
          return false
        }
        return true
      })
      expire(over)
    },
  }

  function release(series: Series): void {
    const { page, index, size } = slots.get(series.id)!
    slots.delete(series.id)
    free.get(size)!.push({ page, index })
    series.values = VOID
    series.index = 0
  }

  /** With their last values: the slots are used again before the control thread hears of it. */
  function expire(list: readonly Series[]): void {
    if (list.length === 0) return
    const ids = list.map(({ id }) => id)
    const values = list.map(({ id, values: page, index }) => page.slice(index, index + slots.get(id)!.size))
    for (const series of list) release(series)
    send({ kind: 'expire', ids, values })
  }
}

class SlotHistogram implements HistogramSeries {
  values: Float64Array
  index: number
  readonly id: number

  constructor(values: Float64Array, index: number, id: number) {
    this.values = values
    this.index = index
    this.id = id
  }

  record(milliseconds: number): void {
    this.values[this.index + bucketOf(milliseconds)]!++
    this.values[this.index + HISTOGRAM_BUCKETS]! += milliseconds
  }
}

export function endpointStats(
  stats: StatsWriter,
  service: string,
  endpoint: string,
): EndpointStats & { readonly series: readonly Series[] } {
  const labels = { service, endpoint }
  const requests = stats.counter(
    'outrigger_upstream_requests_total',
    helpOf('outrigger_upstream_requests_total'),
    labels,
  )
  const failures = stats.counter(
    'outrigger_upstream_failures_total',
    helpOf('outrigger_upstream_failures_total'),
    labels,
  )
  const connections = stats.gauge('outrigger_upstream_connections', helpOf('outrigger_upstream_connections'), labels)
  const connectFailures = stats.counter(
    'outrigger_upstream_connect_failures_total',
    helpOf('outrigger_upstream_connect_failures_total'),
    labels,
  )
  const active = stats.gauge('outrigger_upstream_requests_active', helpOf('outrigger_upstream_requests_active'), labels)
  const pending = stats.gauge(
    'outrigger_upstream_requests_pending',
    helpOf('outrigger_upstream_requests_pending'),
    labels,
  )
  const ejected = stats.gauge('outrigger_upstream_ejected', helpOf('outrigger_upstream_ejected'), labels)
  const ejections = stats.counter(
    'outrigger_upstream_ejections_total',
    helpOf('outrigger_upstream_ejections_total'),
    labels,
  )
  const latency = stats.histogram(
    'outrigger_upstream_response_seconds',
    helpOf('outrigger_upstream_response_seconds'),
    labels,
  )
  const all = { requests, failures, connections, connectFailures, active, pending, ejected, ejections, latency }
  const series: Series[] = Object.values(all)
  let bytes: TcpBytes | null = null
  return {
    ...all,
    series,
    tcpBytes() {
      // The endpoint left; a tunnel that chose it before creates no new series.
      if (bytes === null && requests.values !== VOID) {
        const sent = stats.counter(
          'outrigger_upstream_tcp_sent_bytes_total',
          helpOf('outrigger_upstream_tcp_sent_bytes_total'),
          labels,
        )
        const received = stats.counter(
          'outrigger_upstream_tcp_received_bytes_total',
          helpOf('outrigger_upstream_tcp_received_bytes_total'),
          labels,
        )
        series.push(sent, received)
        bytes = { sent, received }
      }
      return bytes ?? NOWHERE
    },
  }
}

const NOWHERE: TcpBytes = { sent: { values: VOID, index: 0 }, received: { values: VOID, index: 0 } }

export type CountedTcp = TcpStats & { readonly series: readonly Series[] }

export function tcpStats(stats: StatsWriter, labels: Readonly<Record<string, string>>): CountedTcp {
  const opened = stats.counter(
    'outrigger_tcp_connections_opened_total',
    helpOf('outrigger_tcp_connections_opened_total'),
    labels,
  )
  const active = stats.gauge('outrigger_tcp_connections_active', helpOf('outrigger_tcp_connections_active'), labels)
  const closed = new Map<string, Series>()
  const series: Series[] = [opened, active]
  return {
    opened,
    active,
    series,
    closed(flag) {
      // As with routes: a tunnel that outlives its service creates no new series.
      if (opened.values === VOID) return
      let counter = closed.get(flag)
      if (counter === undefined) {
        counter = stats.counter(
          'outrigger_tcp_connections_closed_total',
          helpOf('outrigger_tcp_connections_closed_total'),
          { ...labels, flags: flag },
        )
        const own = counter
        closed.set(flag, counter)
        series.push(counter)
        stats.mayExpire(counter, () => {
          closed.delete(flag)
          series.splice(series.indexOf(own), 1)
          return []
        })
      }
      counter.values[counter.index]!++
    },
  }
}

/** Counts the protocols that a listener detected, and what came of TLS; series are created at their first count, and added to `series`. */
export function detectionStats(stats: StatsWriter, labels: Readonly<Record<string, string>>, series: Series[]) {
  const counters = new Map<string, Series>()
  function count(name: MetricName, own: Readonly<Record<string, string>>): void {
    const key = name + (own.protocol ?? own.result ?? '')
    let counter = counters.get(key)
    if (counter === undefined) {
      counter = stats.counter(name, helpOf(name), own)
      counters.set(key, counter)
      series.push(counter)
    }
    counter.values[counter.index]!++
  }
  return {
    series,
    told: (protocol: string) => count('outrigger_detected_connections_total', { ...labels, protocol }),
    timedOut: () => count('outrigger_detection_timeouts_total', labels),
    secured: (result: string) => count('outrigger_downstream_tls_total', { ...labels, result }),
  }
}
