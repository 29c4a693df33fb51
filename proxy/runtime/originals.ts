import type { EndpointSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Admission } from '../core/admission.ts'
import type { LoadBalancer } from '../core/balancer.ts'
import type { Cells } from '../core/cells.ts'
import type { Clock, Timer } from '../core/clock.ts'
import type { Cluster } from '../core/cluster.ts'
import { Endpoint } from '../core/endpoint.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Route, TcpRoute } from '../core/route.ts'
import { limited, SharedCounts } from '../core/shared-counts.ts'
import type { EndpointStats } from '../core/telemetry.ts'
import type { Original } from '../core/wire.ts'
import { EndpointPool } from '../pool/endpoint-pool.ts'
import type { ServicePools } from '../pool/service-pools.ts'
import { endpointStats, type Series, type StatsWriter } from '../telemetry/stats.ts'
import { type PoolsOfDeps, policyOf, poolsOf } from './pools-of.ts'

export interface OriginalsDeps extends PoolsOfDeps {
  readonly stats: StatsWriter
  readonly cells: Cells
}

/** As many as a listener has connections by default: each connection has one. */
const MOST = 10_000
/** Of this many at a time, those that are not used make room. */
const MADE_ROOM = 64
const SWEEP_MS = 10_000
const IDLE_MS = 30_000
const NO_LATENCIES = { record() {}, percentile: () => -1 }
const NO_BUDGET = { deposit() {}, tryWithdraw: () => false, state: () => ({ spent: 0, allowed: 0 }) }

/** Any protocol may be asked for: what there is behind the address is not known. */
class AnyProtocol extends Set<string> {
  override has(): boolean {
    return true
  }
}
const ANY_PROTOCOL = new AnyProtocol()

/**
 * Destinations that belong to no service: each address that a redirected connection was made to is one, with pools,
 * limits and permits of its own, so that one that does not answer keeps no other from anything. They come as they are
 * used, and go when they are idle.
 */
export class Originals {
  #spec: ServiceSpec
  readonly #isInbound: boolean
  readonly #deps: OriginalsDeps
  readonly #destinations = new Map<string, Destination>()
  readonly #sweep: Timer
  /** Of all of them: an address is no label, since clients choose it. Null: each has its own. */
  readonly #shared: (EndpointStats & { readonly series: readonly Series[] }) | null

  constructor(spec: ServiceSpec, isInbound: boolean, deps: OriginalsDeps) {
    this.#spec = spec
    this.#isInbound = isInbound
    this.#deps = deps
    this.#shared = endpointStats(deps.stats, spec.name, '*')
    this.#sweep = deps.clock.timer(() => this.#sweepIdle())
  }

  /** For statistics and tests. */
  get size(): number {
    return this.#destinations.size
  }

  configure(spec: ServiceSpec): void {
    this.#spec = spec
    for (const destination of this.#destinations.values()) destination.configure(spec)
  }

  /** `route`: what holds for all of them. Null: there are too many, and all are in use. */
  request(original: Original, isHttp2: boolean, route: Route): Route | null {
    return this.#to(original, isHttp2)?.request(route) ?? null
  }

  tunnel(original: Original, route: TcpRoute): TcpRoute | null {
    return this.#to(original, false)?.tunnel(route) ?? null
  }

  retire(): void {
    this.#sweep.cancel()
    for (const destination of this.#destinations.values()) destination.retire()
    this.#destinations.clear()
    this.#deps.stats.retire(this.#shared?.series ?? [])
  }

  #to(original: Original, isHttp2: boolean): Destination | null {
    const key = isHttp2 ? `h2 ${original.name}` : original.name
    const known = this.#destinations.get(key)
    if (known !== undefined) return known
    if (this.#destinations.size >= MOST) this.#makeRoom()
    if (this.#destinations.size >= MOST) return null
    const spec: ServiceSpec = isHttp2 ? { ...this.#spec, protocol: 'http2' } : this.#spec
    const name = this.#isInbound ? `${this.#spec.name}:${original.port}` : this.#spec.name
    const counts = new SharedCounts(`limits ${name} ${key}`, this.#deps.cells)
    const pools = poolsOf(spec, this.#deps, counts)
    const made = new Destination(name, original, isHttp2, spec, pools, this.#shared!, this.#deps)
    if (this.#destinations.size === 0) this.#sweep.arm(SWEEP_MS)
    this.#destinations.set(key, made)
    return made
  }

  /** The oldest go first. */
  #makeRoom(): void {
    let left = MADE_ROOM
    for (const [key, destination] of this.#destinations) {
      if (destination.isUsed) continue
      this.#drop(key, destination)
      if (--left === 0) return
    }
  }

  #sweepIdle(): void {
    const now = this.#deps.clock.now()
    for (const [key, destination] of this.#destinations)
      if (!destination.isUsed && destination.isIdle && now - destination.admission.usedAt >= IDLE_MS)
        this.#drop(key, destination)
    if (this.#destinations.size > 0) this.#sweep.arm(SWEEP_MS)
  }

  #drop(key: string, destination: Destination): void {
    this.#destinations.delete(key)
    destination.retire()
  }
}

/** One of them: a cluster of one endpoint. */
class Destination implements Cluster, LoadBalancer {
  readonly name: string
  readonly policy = 'original'
  readonly members = []
  readonly mayBeGrpc: boolean
  readonly speaksGrpc: boolean
  readonly prepare = null
  readonly cookie = null
  readonly budget = NO_BUDGET
  readonly latencies = NO_LATENCIES
  readonly balancer = this
  readonly admission: DestinationAdmission
  readonly #isHttp2: boolean
  readonly #pools: ServicePools
  readonly #endpoint: Endpoint
  #route: { readonly of: Route; readonly own: Route } | null = null
  #tcpRoute: { readonly of: TcpRoute; readonly own: TcpRoute } | null = null

  constructor(
    name: string,
    original: Original,
    isHttp2: boolean,
    spec: ServiceSpec,
    pools: ServicePools,
    stats: EndpointStats,
    deps: OriginalsDeps,
  ) {
    this.name = name
    this.mayBeGrpc = spec.protocol === 'http2' || spec.protocol === 'grpc'
    this.speaksGrpc = spec.protocol === 'grpc'
    this.#isHttp2 = isHttp2
    this.#pools = pools
    this.admission = new DestinationAdmission(spec.limits.requests, pools.permits.counts, deps.clock)
    const { address, port } = original
    this.#endpoint = new Endpoint(
      endpointAt(original),
      original.name,
      new EndpointPool(address, port, pools, stats),
      stats,
    )
  }

  configure(spec: ServiceSpec): void {
    this.admission.limit = spec.limits.requests
    this.#pools.configure(policyOf(this.#isHttp2 ? { ...spec, protocol: 'http2' } : spec))
  }

  request(of: Route): Route {
    if (this.#route?.of !== of) this.#route = { of, own: this.#routeOf(of) }
    return this.#route.own
  }

  tunnel(of: TcpRoute): TcpRoute {
    if (this.#tcpRoute?.of !== of) this.#tcpRoute = { of, own: this.#routeOf(of) }
    return this.#tcpRoute.own
  }

  #routeOf<Known extends Route>(of: Known): Known {
    return {
      ...of,
      upgrades: ANY_PROTOCOL,
      destination: (_random, record) => {
        record.destination = this.name
        return this
      },
      destinations: [{ name: this.name, weight: 1 }],
    }
  }

  pick(): Endpoint {
    return this.#endpoint
  }

  report(): void {}
  observe(): void {}
  observeTrailers(): void {}

  /** Something runs or waits there. */
  get isUsed(): boolean {
    return this.admission.active > 0 || this.#endpoint.pool.pending > 0
  }

  /** Not even a connection is kept. */
  get isIdle(): boolean {
    return this.#endpoint.pool.connections === 0
  }

  retire(): void {
    this.#endpoint.pool.drain()
    this.admission.counts.close()
  }
}

/** Nothing but a number of requests: what is behind an address is not known. */
class DestinationAdmission implements Admission {
  active = 0
  usedAt: number
  limit: number
  readonly counts: SharedCounts
  readonly refusedBy = '`limits.requests`'
  readonly #clock: Clock

  constructor(limit: number, counts: SharedCounts, clock: Clock) {
    this.limit = limit
    this.counts = counts
    this.#clock = clock
    this.usedAt = clock.now()
  }

  refusal(): Failure | null {
    return this.counts.total(limited.requests) < this.limit ? null : failures.poolOverflow
  }

  admit(): Failure | null {
    if (!this.counts.take(limited.requests, this.limit)) return failures.poolOverflow
    this.active++
    return null
  }

  release(): void {
    this.active--
    this.counts.give(limited.requests)
    this.usedAt = this.#clock.now()
  }

  mayWait(): boolean {
    return false
  }

  wait(): boolean {
    return false
  }

  leave(): void {}

  /** The budget of such a destination is empty. */
  admitRetry(): boolean {
    return false
  }

  releaseRetry(): void {}

  describe(): readonly string[] {
    return []
  }
}

function endpointAt({ address, port }: Original): EndpointSpec {
  return { address, port, weight: 1, priority: 0, zone: '', metadata: {}, health: 'passing', healthReason: '' }
}
