import type { EndpointView } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import { endpointState } from '../core/endpoint-state.ts'
import { ProtoWriter } from '../core/protobuf.ts'
import { HISTOGRAM_BUCKETS } from '../core/slots.ts'
import { type Family, type Series, type SeriesStore, sumOf } from './series-store.ts'

/** What a proxy tells its agent each second: `Summary` of agent/sync/stats.proto, encoded. */
export interface Summaries {
  /** What was counted since the call before, at most once a second. Null: nothing is worth a message now. */
  next(): Uint8Array | null
}

/** After such a pause (the agent was away) the counts have no second to be told for: they are passed over. */
const LONGEST_MS = 5_000
/** Endpoints that do nothing are told of every so many summaries. */
const FULL_EVERY = 30
/** gRPC takes messages of 4 MiB. */
const MAX_BYTES = 3 * 1024 * 1024
/** What one proxy may tell in a summary; the busiest go first. */
const MAX_EDGES = 500
const MAX_ENDPOINTS = 2_000
const MAX_NAME = 256
const MAX_REASON = 120
const LATENCY = 'http_response_time_seconds'

/** Requests of one route between two services, as series that stay for as long as there are requests. */
interface Edge {
  readonly inbound: boolean
  readonly source: string
  readonly destination: string
  readonly service: string
  readonly path: string
  protocol: string
  total: number
  retries: number
  readonly counts: { readonly labels: Readonly<Record<string, string>>; readonly count: number }[]
  latency: Series | null
}

interface EndpointState {
  readonly service: string
  readonly endpoint: string
  requests: number
  failures: number
  active: number
  ejected: boolean
}

export interface SummariesDeps {
  readonly store: SeriesStore
  /** The service of this proxy, which is the source of what goes out. */
  readonly self: string
  /** What discovery says of the endpoints of a service that are not `passing`, by `address:port`. */
  readonly unhealthy: (service: string) => ReadonlyMap<string, Pick<EndpointView, 'health' | 'healthReason'>>
  readonly clock: Clock
}

/** Reads the series store; data threads notice nothing of it. */
export function summaries({ store, self, unhealthy, clock }: SummariesDeps): Summaries {
  /** The value of each counter, and of each bucket, at the summary before. */
  const before = new WeakMap<Series, number>()
  const bucketsBefore = new WeakMap<Series, Float64Array>()
  const told = new Map<string, string>()
  const writer = new ProtoWriter(4 * 1024, MAX_BYTES)
  let lastAt = Number.NEGATIVE_INFINITY
  let lastCpu = 0
  let calls = 0

  /** Since the call before; a series that came anew began at 0. */
  function since(series: Series): number {
    const now = sumOf(series, 0)
    const last = before.get(series) ?? 0
    before.set(series, now)
    return now < last ? now : now - last
  }

  return {
    next() {
      const now = clock.now()
      const length = now - lastAt
      lastAt = now
      const isUsual = length <= LONGEST_MS
      const isFull = !isUsual || ++calls % FULL_EVERY === 0
      const families = new Map([...store.families()].map(family => [family.name, family]))
      const edges = busiest([...edgesOf(families).values()], MAX_EDGES, edge => edge.total)
      const endpoints = busiest([...endpointsOf(families)], MAX_ENDPOINTS, ([, { requests }]) => requests)
      // Also where nothing is told: the next summary begins here.
      const buckets = isUsual ? edges.map(edge => bucketsOf(edge.latency)) : passOver(families)
      const { user, system } = process.cpuUsage()
      const cpu = (user + system) / 1000
      writer.clear()
      writer.uint(1, Math.round(clock.wallTime()))
      writer.uint(2, isUsual ? Math.round(length) : 0)
      if (isUsual) edges.forEach((edge, index) => void writeEdge(edge, buckets[index]!))
      writeEndpoints(endpoints, isFull, isUsual)
      writer.uint(5, process.memoryUsage.rss())
      if (isUsual) writer.double(6, cpu - lastCpu)
      lastCpu = cpu
      return writer.isFull ? null : writer.copy()
    },
  }

  function edgesOf(families: ReadonlyMap<string, Family>): Map<string, Edge> {
    const edges = new Map<string, Edge>()
    for (const series of seriesOf(families, 'http_requests_total')) {
      const count = since(series)
      if (count === 0) continue
      const { labels } = series
      const key = edgeKey(labels)
      let edge = edges.get(key)
      if (edge === undefined) {
        edge = edgeOf(labels)
        edges.set(key, edge)
      }
      edge.counts.push({ labels, count })
      edge.total += count
      if (labels.protocol !== undefined) edge.protocol = labels.protocol
    }
    for (const series of seriesOf(families, LATENCY)) {
      const edge = edges.get(edgeKey(series.labels))
      if (edge !== undefined) edge.latency = series
    }
    for (const series of seriesOf(families, 'outrigger_retries_total')) addRetries(edges, series.labels, since(series))
    return edges
  }

  function edgeOf(labels: Readonly<Record<string, string>>): Edge {
    const inbound = labels.direction === 'inbound'
    const service = labels.service ?? ''
    return {
      inbound,
      source: labels.source ?? (inbound ? '' : self),
      destination: labels.destination ?? service,
      service,
      path: labels.path ?? '',
      protocol: '',
      total: 0,
      retries: 0,
      counts: [],
      latency: null,
    }
  }

  /** A pause was too long: what is in the histograms now is where the next summary begins. */
  function passOver(families: ReadonlyMap<string, Family>): Float64Array[] {
    for (const series of seriesOf(families, LATENCY)) bucketsOf(series)
    return []
  }

  /** What came into each bucket, and the sum behind them. */
  function bucketsOf(series: Series | null): Float64Array {
    const since = new Float64Array(HISTOGRAM_BUCKETS + 1)
    if (series === null) return since
    let last = bucketsBefore.get(series)
    if (last === undefined) {
      last = new Float64Array(HISTOGRAM_BUCKETS + 1)
      bucketsBefore.set(series, last)
    }
    for (let i = 0; i <= HISTOGRAM_BUCKETS; i++) {
      const now = sumOf(series, i)
      since[i] = now < last[i]! ? now : now - last[i]!
      last[i] = now
    }
    return since
  }

  function writeEdge({ inbound, source, destination, path, protocol, counts, retries }: Edge, buckets: Float64Array) {
    const mark = writer.open(3)
    if (inbound) writer.bool(1, true)
    writer.string(2, clipped(source))
    writer.string(3, clipped(destination))
    writer.string(4, clipped(path))
    writer.string(5, protocol)
    for (const { labels, count } of counts) {
      const one = writer.open(6)
      writer.uint(1, Number(labels.status) || 0)
      writer.string(2, labels.flags ?? '-')
      writer.uint(3, count)
      const grpc = Number(labels.grpc_status)
      if (labels.grpc_status !== undefined) writer.uint(4, Number.isInteger(grpc) ? grpc + 1 : UNKNOWN_GRPC)
      writer.close(one)
    }
    const indexes = writer.open(7)
    for (let i = 0; i < HISTOGRAM_BUCKETS; i++) if (buckets[i]! > 0) writer.packed(i)
    writer.close(indexes)
    const values = writer.open(8)
    for (let i = 0; i < HISTOGRAM_BUCKETS; i++) if (buckets[i]! > 0) writer.packed(buckets[i]!)
    writer.close(values)
    writer.double(9, buckets[HISTOGRAM_BUCKETS]!)
    if (retries > 0) writer.uint(10, retries)
    writer.close(mark)
  }

  function endpointsOf(families: ReadonlyMap<string, Family>): Map<string, EndpointState> {
    const endpoints = new Map<string, EndpointState>()
    const each = (name: string, take: (state: EndpointState, series: Series) => void) => {
      for (const series of seriesOf(families, name)) {
        const { service = '', endpoint = '' } = series.labels
        const key = `${service}\u0000${endpoint}`
        let state = endpoints.get(key)
        if (state === undefined) {
          state = { service, endpoint, requests: 0, failures: 0, active: 0, ejected: false }
          endpoints.set(key, state)
        }
        take(state, series)
      }
    }
    each('outrigger_upstream_requests_total', (state, series) => {
      state.requests = since(series)
    })
    each('outrigger_upstream_failures_total', (state, series) => {
      state.failures = since(series)
    })
    each('outrigger_upstream_requests_active', (state, series) => {
      state.active = sumOf(series, 0)
    })
    each('outrigger_upstream_ejected', (state, series) => {
      state.ejected = sumOf(series, 0) > 0
    })
    return endpoints
  }

  /** An endpoint whose state has changed, or that does something, is told of; the others now and then. */
  function writeEndpoints(
    endpoints: readonly (readonly [string, EndpointState])[],
    isFull: boolean,
    isUsual: boolean,
  ): void {
    const present = new Set(endpoints.map(([key]) => key))
    for (const key of told.keys()) if (!present.has(key)) told.delete(key)
    for (const [key, { service, endpoint, requests, failures, active, ejected }] of endpoints) {
      const { health, healthReason } = unhealthy(service).get(endpoint) ?? PASSING
      const state = endpointState({ health, state: ejected ? 'ejected' : 'admitting' })
      const isIdle = requests === 0 && failures === 0 && active === 0 && !ejected
      const words = `${state} ${healthReason}`
      if (isIdle && !isFull && told.get(key) === words) continue
      told.set(key, words)
      const mark = writer.open(4)
      writer.string(1, clipped(service))
      writer.string(2, clipped(endpoint))
      writer.string(3, state)
      if (active > 0) writer.uint(4, active)
      if (isUsual && requests > 0) writer.uint(5, requests)
      if (isUsual && failures > 0) writer.uint(6, failures)
      if (healthReason !== '') writer.string(7, clipped(healthReason, MAX_REASON))
      writer.close(mark)
    }
  }
}

const PASSING = { health: 'passing', healthReason: '' }

/** `grpc` of a Count: status plus one; a number without a name counts as UNKNOWN. */
const UNKNOWN_GRPC = 3

function clipped(text: string, most = MAX_NAME): string {
  return text.length > most ? text.slice(0, most) : text
}

function busiest<T>(all: T[], most: number, by: (one: T) => number): T[] {
  return all.length <= most ? all : all.sort((a, b) => by(b) - by(a)).slice(0, most)
}

function seriesOf(families: ReadonlyMap<string, Family>, name: string): Iterable<Series> {
  return families.get(name)?.series.values() ?? []
}

function edgeKey({ direction, source = '', destination = '', subset = '', service, path }: Labels): string {
  return `${direction}\u0000${source}\u0000${destination}\u0000${subset}\u0000${service}\u0000${path}`
}

type Labels = Readonly<Record<string, string>>

/** Retries are counted for a route, whoever its destination was: the one of its edges with most requests has them. */
function addRetries(edges: ReadonlyMap<string, Edge>, { service, path }: Labels, count: number): void {
  if (count === 0) return
  let largest: Edge | null = null
  for (const edge of edges.values()) {
    const isOf = !edge.inbound && edge.service === service && edge.path === path
    if (isOf && (largest === null || edge.total > largest.total)) largest = edge
  }
  if (largest !== null) largest.retries += count
}
