import type { SeriesSpec, ToControl } from '../core/channel.ts'
import { grpcCodes } from '../core/grpc.ts'
import { bucketOf, HISTOGRAM_BUCKETS, HISTOGRAM_SLOTS, PAGE_SLOTS } from '../core/slots.ts'
import type { Counter, EndpointStats, Histogram, RouteStats, TcpBytes, TcpStats } from '../core/telemetry.ts'

/** A counter or gauge with the id its series has on the control thread. */
export interface Series extends Counter {
  /** Changed once, by `retire`. */
  values: Float64Array
  index: number
  readonly id: number
}

/** Counts of series that are over go here, and are never read. */
const VOID = new Float64Array(HISTOGRAM_SLOTS)

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
}

export interface HistogramSeries extends Series, Histogram {}

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
      for (const series of list) {
        const { page, index, size } = slots.get(series.id)!
        slots.delete(series.id)
        free.get(size)!.push({ page, index })
        series.values = VOID
        series.index = 0
      }
      if (list.length !== 0) send({ kind: 'retire', ids: list.map(({ id }) => id) })
    },
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

/** Methods with a label of their own; others are `other`, so that a caller cannot create series. */
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE']

/** Numbers without a name are `other`, so that an endpoint cannot create series. */
const OTHER_GRPC_STATUS = -1

export function routeStats(
  stats: StatsWriter,
  labels: Readonly<Record<string, string>>,
): RouteStats & { readonly series: readonly Series[] } {
  const counters = new Map<string, Map<number, Series>>()
  const grpcCounters = new Map<number, Map<string, Series>>()
  const latency = stats.histogram(
    'http_request_duration_seconds',
    'Time from the head of a request to the last byte of its response',
    labels,
  )
  const all: Series[] = [latency]
  return {
    series: all,
    count(method, status, flag, durationMs) {
      // The route was removed; a request that began on it creates no new series.
      if (latency.values === VOID) return
      latency.record(durationMs)
      let byStatus = counters.get(flag)
      if (byStatus === undefined) {
        byStatus = new Map()
        counters.set(flag, byStatus)
      }
      const key = METHODS.indexOf(method) * 1000 + status
      let counter = byStatus.get(key)
      if (counter === undefined) {
        const known = METHODS.includes(method) ? method : 'other'
        counter = stats.counter('http_requests_total', 'Finished requests, local replies included', {
          ...labels,
          method: known,
          status: String(status),
          flags: flag,
        })
        byStatus.set(key, counter)
        all.push(counter)
      }
      counter.values[counter.index]!++
    },
    countGrpc(grpcStatus, flag) {
      if (latency.values === VOID) return
      const known = grpcStatus >= 0 && grpcStatus < grpcCodes.length ? grpcStatus : OTHER_GRPC_STATUS
      let byFlag = grpcCounters.get(known)
      if (byFlag === undefined) {
        byFlag = new Map()
        grpcCounters.set(known, byFlag)
      }
      let counter = byFlag.get(flag)
      if (counter === undefined) {
        counter = stats.counter('grpc_requests_total', 'Finished gRPC calls, local replies included', {
          ...labels,
          grpc_status: known < 0 ? 'other' : String(known),
          flags: flag,
        })
        byFlag.set(flag, counter)
        all.push(counter)
      }
      counter.values[counter.index]!++
    },
  }
}

export function endpointStats(
  stats: StatsWriter,
  service: string,
  endpoint: string,
): EndpointStats & { readonly series: readonly Series[] } {
  const labels = { service, endpoint }
  const requests = stats.counter('outrigger_upstream_requests_total', 'Attempts sent to an endpoint', labels)
  const failures = stats.counter(
    'outrigger_upstream_failures_total',
    'Attempts that failed by the fault of the endpoint, 502 to 504 included',
    labels,
  )
  const connections = stats.gauge(
    'outrigger_upstream_connections',
    'Connections to an endpoint, those being made included',
    labels,
  )
  const connectFailures = stats.counter(
    'outrigger_upstream_connect_failures_total',
    'Connections to an endpoint that could not be made',
    labels,
  )
  const active = stats.gauge('outrigger_upstream_requests_active', 'Attempts at an endpoint that run now', labels)
  const pending = stats.gauge(
    'outrigger_upstream_requests_pending',
    'Requests that wait for a connection to an endpoint',
    labels,
  )
  const ejected = stats.gauge(
    'outrigger_upstream_ejected',
    'Whether outlier detection leaves an endpoint alone now',
    labels,
  )
  const ejections = stats.counter(
    'outrigger_upstream_ejections_total',
    'Times outlier detection ejected an endpoint',
    labels,
  )
  const latency = stats.histogram(
    'outrigger_upstream_response_seconds',
    'Time from sending a request to an endpoint to its response head',
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
          'Bytes sent to an endpoint through TCP tunnels',
          labels,
        )
        const received = stats.counter(
          'outrigger_upstream_tcp_received_bytes_total',
          'Bytes received from an endpoint through TCP tunnels',
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
  const opened = stats.counter('outrigger_tcp_connections_opened_total', 'TCP tunnels begun', labels)
  const active = stats.gauge('outrigger_tcp_connections_active', 'TCP tunnels open', labels)
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
          'TCP tunnels ended, those that were refused included',
          { ...labels, flags: flag },
        )
        closed.set(flag, counter)
        series.push(counter)
      }
      counter.values[counter.index]!++
    },
  }
}

/** Counts the protocols that a listener detected; series are created at their first count, and added to `series`. */
export function detectionStats(stats: StatsWriter, labels: Readonly<Record<string, string>>, series: Series[]) {
  const counters = new Map<string, Series>()
  function count(name: string, help: string, own: Readonly<Record<string, string>>): void {
    const key = name + (own.protocol ?? '')
    let counter = counters.get(key)
    if (counter === undefined) {
      counter = stats.counter(name, help, own)
      counters.set(key, counter)
      series.push(counter)
    }
    counter.values[counter.index]!++
  }
  return {
    series,
    told: (protocol: string) =>
      count('outrigger_detected_connections_total', 'Connections by what they turned out to speak', {
        ...labels,
        protocol,
      }),
    timedOut: () =>
      count('outrigger_detection_timeouts_total', 'Connections that did not say in time what they speak', labels),
  }
}
