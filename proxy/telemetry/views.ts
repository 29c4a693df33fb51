import { type MetricName, metrics } from '../core/metrics-table.ts'
import { HISTOGRAM_SLOTS } from '../core/slots.ts'
import type { Family, Series, SeriesStore } from './series-store.ts'
import { sumOf } from './series-store.ts'

type Labels = Readonly<Record<string, string>>

/** A metric that is computed from the series of another one at each scrape: it takes no memory between. */
export interface View {
  readonly name: string
  /** `untyped`: a counter whose name does not say so, as those of Envoy. */
  readonly type: Family['type']
  readonly help: string
  readonly from: MetricName
  /** The labels of the view's series for one of the source's; several with the same labels are added up. Null: none. */
  readonly labels: (labels: Labels) => Labels | null
  /** Of one series, made of its value. Absent: the value itself. */
  readonly value?: (value: number) => number
  /** Seconds are shown in this unit. */
  readonly unit?: 'milliseconds'
}

/** The calls of gRPC by their status. */
export const grpcRequests: View = {
  name: 'grpc_requests_total',
  type: 'counter',
  help: metrics.grpc_requests_total.help,
  from: 'http_requests_total',
  labels({ direction, service, path, grpc_status, flags }) {
    return grpc_status === undefined
      ? null
      : { direction: direction!, service: service!, path: path!, grpc_status, flags: flags! }
  },
}

/** The families of views; those without a series are left out. */
export function* viewed(store: SeriesStore, views: readonly View[]): Iterable<Family> {
  const sources = new Map<string, Family>()
  for (const family of store.families()) sources.set(family.name, family)
  for (const view of views) {
    const source = sources.get(view.from)
    const series = source === undefined ? null : seriesOf(source, view)
    if (series !== null && series.size > 0) {
      const { name, help, type, unit } = view
      yield { name, help, type, series, ...(unit === undefined ? {} : { unit }) }
    }
  }
}

function seriesOf(source: Family, view: View): Map<string, Series> {
  const all = new Map<string, Series>()
  for (const series of source.series.values()) {
    const labels = view.labels(series.labels)
    if (labels === null) continue
    const key = Object.values(labels).join('\u0000')
    let own = all.get(key)
    if (own === undefined) {
      own = newSeries(labels, series.slots)
      all.set(key, own)
    }
    addTo(own.carried!, series, view.value)
  }
  return all
}

function newSeries(labels: Labels, slots: number): Series {
  return { labels, slots, parts: NO_PARTS, carried: new Float64Array(slots), read: null, exemplars: null }
}

const NO_PARTS: Series['parts'] = new Map()

function addTo(sums: Float64Array, series: Series, value: View['value']): void {
  if (series.slots === HISTOGRAM_SLOTS)
    for (let slot = 0; slot < HISTOGRAM_SLOTS; slot++) sums[slot]! += sumOf(series, slot)
  else {
    const sum = sumOf(series, 0)
    sums[0]! += value === undefined ? sum : value(sum)
  }
}
