import { anotherTry } from '../core/another-try.ts'
import type { Cluster } from '../core/cluster.ts'
import type { DecisionRecord } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import { grpcCodes } from '../core/grpc.ts'
import { helpOf } from '../core/metrics-table.ts'
import type { RouteStats } from '../core/telemetry.ts'
import type { ExemplarSink } from './exemplars.ts'
import { OTHER, type PeerNames } from './peer-names.ts'
import { type HistogramSeries, type Series, type StatsWriter, VOID } from './stats.ts'

/** Methods with a label of their own; others are `other`, so that a caller cannot create series. */
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE']
const PROTOCOLS = ['http1', 'http2', 'grpc'] as const
const HTTP1 = 0
const HTTP2 = 1
const GRPC = 2

/** The label `grpc_status` of a key: 0 is none; numbers without a name are `other`, so an endpoint cannot create series. */
const GRPC_STATUSES = ['', ...grpcCodes.map((_, code) => String(code)), 'other']
const OTHER_GRPC_STATUS = GRPC_STATUSES.length - 1

/** Room for the response flags, which are numbered as they come up. The failure table has 21 of them. */
const MOST_FLAGS = 32
const flagNumbers = new Map([['-', 0]])

function flagNumber(flag: string): number {
  let number = flagNumbers.get(flag)
  if (number === undefined) {
    number = flagNumbers.size
    flagNumbers.set(flag, number)
  }
  return number
}

export interface RequestStatsDeps {
  readonly stats: StatsWriter
  readonly peers: PeerNames
  readonly exemplars: ExemplarSink
}

export interface RequestStats extends RouteStats {
  /** The route is gone: its series, after which it counts nothing. */
  end(): readonly Series[]
}

export interface RequestLabels {
  readonly direction: 'inbound' | 'outbound'
  readonly service: string
  readonly path: string
}

/**
 * What the requests of one route are counted in: a histogram for each pair of peers, and a counter for each combination
 * of protocol, method, status and flag that has come up. Both expire when they are idle.
 */
export function requestStats(deps: RequestStatsDeps, labels: RequestLabels): RequestStats {
  return new OfRoute(deps, labels)
}

type RareMetric = 'outrigger_retries_total' | 'outrigger_retry_budget_exhausted_total' | 'outrigger_hedges_total'

class OfRoute implements RequestStats {
  readonly deps: RequestStatsDeps
  readonly labels: RequestLabels
  readonly #isInbound: boolean
  /** By what callers say, or by the cluster that requests went to. */
  readonly #pairs = new Map<string, OfPeers>()
  /** The pair of the last request: nearly always that of the next. */
  #last: OfPeers | null = null
  #retries: Series | null = null
  #budgetSpent: Series | null = null
  #hedgesWon: Series | null = null
  #hedgesLost: Series | null = null
  #isOver = false

  constructor(deps: RequestStatsDeps, labels: RequestLabels) {
    this.deps = deps
    this.labels = labels
    this.#isInbound = labels.direction === 'inbound'
  }

  count(exchange: Exchange, durationMs: number): void {
    // A request that began on a route that is gone creates no new series.
    if (this.#isOver) return
    const { cluster, request, decision } = exchange
    const said = this.#isInbound ? (request.source ?? '') : this.deps.peers.self
    let pair = this.#last
    if (pair === null || pair.cluster !== cluster || pair.said !== said || pair.isOver)
      pair = this.#pairOf(said, cluster)
    pair.count(exchange, durationMs)
    const { attempts } = decision
    if (attempts === 0) return
    if (attempts > 1) this.#triedAgain(decision)
    const { another } = decision.tries[attempts - 1]!
    if (another === anotherTry.budgetSpent || another === anotherTry.isRetry || another === anotherTry.retriesFull)
      this.#spent()
  }

  #pairOf(said: string, cluster: Cluster | null): OfPeers {
    const found = this.#pairs.get(this.#isInbound ? said : (cluster?.name ?? ''))
    // A pair of the name that this sidecar had before a reload is another one.
    const pair = found !== undefined && (this.#isInbound || found.said === said) ? found : this.#newPair(said, cluster)
    pair.said = said
    pair.cluster = cluster
    this.#last = pair
    return pair
  }

  /** Or that of the callers who have no label of their own. */
  #newPair(said: string, cluster: Cluster | null): OfPeers {
    const { peers, stats } = this.deps
    const source = this.#isInbound ? peers.admit(said) : said
    const key = this.#isInbound ? (source === OTHER ? OTHER : said) : (cluster?.name ?? '')
    const before = this.#pairs.get(key)
    if (before !== undefined && this.#isInbound) return before
    if (before !== undefined) stats.retire(before.end())
    const pair = new OfPeers(this, said, source, cluster, () => {
      this.#pairs.delete(key)
      if (this.#isInbound) peers.release(source)
    })
    this.#pairs.set(key, pair)
    return pair
  }

  #triedAgain({ attempts, tries }: DecisionRecord): void {
    this.#retried(attempts - 1)
    for (let i = 1; i < attempts; i++) {
      const { isHedge, failure } = tries[i]!
      if (isHedge) this.#hedged(failure === null)
    }
  }

  #hedged(isWon: boolean): void {
    if (isWon) {
      this.#hedgesWon ??= this.#rare('outrigger_hedges_total', () => (this.#hedgesWon = null), { outcome: 'won' })
      this.#hedgesWon.values[this.#hedgesWon.index]!++
    } else {
      this.#hedgesLost ??= this.#rare('outrigger_hedges_total', () => (this.#hedgesLost = null), { outcome: 'lost' })
      this.#hedgesLost.values[this.#hedgesLost.index]!++
    }
  }

  #retried(times: number): void {
    this.#retries ??= this.#rare('outrigger_retries_total', () => (this.#retries = null))
    this.#retries.values[this.#retries.index]! += times
  }

  #spent(): void {
    this.#budgetSpent ??= this.#rare('outrigger_retry_budget_exhausted_total', () => (this.#budgetSpent = null))
    this.#budgetSpent.values[this.#budgetSpent.index]!++
  }

  #rare(name: RareMetric, forget: () => void, labels: Readonly<Record<string, string>> = {}): Series {
    const { service, path } = this.labels
    const counter = this.deps.stats.counter(name, helpOf(name), { service, path, ...labels })
    this.deps.stats.mayExpire(counter, () => {
      forget()
      return []
    })
    return counter
  }

  end(): readonly Series[] {
    this.#isOver = true
    const series = [...this.#pairs.values()].flatMap(pair => pair.end())
    const rare = [this.#retries, this.#budgetSpent, this.#hedgesWon, this.#hedgesLost]
    for (const each of rare) if (each !== null) series.push(each)
    return series
  }
}

/** The requests of one caller to one destination. */
class OfPeers {
  /** As the last request had it; several that are not admitted share the label `other`. */
  said: string
  cluster: Cluster | null
  isOver = false
  readonly #deps: RequestStatsDeps
  readonly #labels: Readonly<Record<string, string>>
  readonly #gone: () => void
  readonly #latency: HistogramSeries
  readonly #counters = new Map<number, Series>()
  #lastKey = -1
  #lastCounter: Series | null = null

  constructor(route: OfRoute, said: string, source: string, cluster: Cluster | null, gone: () => void) {
    this.said = said
    this.cluster = cluster
    this.#deps = route.deps
    this.#gone = gone
    this.#labels = labelsOf(route, source, cluster)
    const name = 'http_response_time_seconds'
    this.#latency = route.deps.stats.histogram(name, helpOf(name), this.#labels)
  }

  count(exchange: Exchange, durationMs: number): void {
    this.#latency.record(durationMs)
    this.#deps.exemplars.offer(this.#latency, exchange, durationMs)
    const key = keyOf(exchange)
    let counter = this.#lastCounter
    if (counter === null || key !== this.#lastKey || counter.values === VOID) {
      counter = this.#counters.get(key) ?? this.#newCounter(key, exchange)
      this.#lastKey = key
      this.#lastCounter = counter
    }
    counter.values[counter.index]!++
  }

  #newCounter(key: number, exchange: Exchange): Series {
    const { method } = exchange.request
    const grpcStatus = GRPC_STATUSES[grpcStatusOf(exchange)]!
    const counter = this.#deps.stats.counter('http_requests_total', helpOf('http_requests_total'), {
      ...this.#labels,
      protocol: PROTOCOLS[protocolOf(exchange)]!,
      method: METHODS.includes(method) ? method : 'other',
      status: String(exchange.status),
      ...(grpcStatus === '' ? {} : { grpc_status: grpcStatus }),
      flags: exchange.failure === null ? '-' : exchange.failure.flag,
    })
    this.#counters.set(key, counter)
    this.#deps.stats.mayExpire(counter, () => this.#expired(key))
    return counter
  }

  /** The histogram goes with the last of its counters. */
  #expired(key: number): readonly Series[] {
    this.#counters.delete(key)
    if (this.#counters.size > 0) return []
    this.isOver = true
    this.#gone()
    return [this.#latency]
  }

  end(): Series[] {
    this.isOver = true
    this.#gone()
    return [this.#latency, ...this.#counters.values()]
  }
}

/** In the order in which they are exposed. Empty ones are left out: to Prometheus that is the same. */
function labelsOf(
  { labels, deps }: OfRoute,
  source: string,
  cluster: Cluster | null,
): Readonly<Record<string, string>> {
  const { direction, service, path } = labels
  if (direction === 'inbound') return { direction, source, destination: deps.peers.self, service, path }
  const [destination = service, subset = ''] = cluster === null ? [] : cluster.name.split('/', 2)
  return { direction, source, destination, ...(subset === '' ? {} : { subset }), service, path }
}

/** One number for all that tells counters of a pair apart: it takes no memory, as a text would. */
function keyOf(exchange: Exchange): number {
  const method = METHODS.indexOf(exchange.request.method) + 1
  const first = (method * 1000 + exchange.status) * PROTOCOLS.length + protocolOf(exchange)
  return (first * GRPC_STATUSES.length + grpcStatusOf(exchange)) * MOST_FLAGS + flagOf(exchange)
}

function protocolOf({ grpc, protocol }: Exchange): number {
  return grpc !== '' ? GRPC : protocol === 'h2' ? HTTP2 : HTTP1
}

function grpcStatusOf({ grpc, grpcStatus }: Exchange): number {
  if (grpc === '') return 0
  return grpcStatus >= 0 && grpcStatus < grpcCodes.length ? grpcStatus + 1 : OTHER_GRPC_STATUS
}

function flagOf({ failure }: Exchange): number {
  return failure === null ? 0 : flagNumber(failure.flag)
}
