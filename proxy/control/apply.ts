import { connectName } from '../../mesh-config/host-name.ts'
import { own } from '../../mesh-config/own.ts'
import type {
  DestinationSpec,
  EndpointSpec,
  ListenerSpec,
  RetrySpec,
  RouteSpec,
  ServiceSpec,
  Snapshot,
} from '../../mesh-config/snapshot.ts'
import { policies } from '../balancer/policies.ts'
import { ServiceCluster } from '../cluster/cluster.ts'
import { http1 } from '../codec/h1/codec.ts'
import { raw } from '../codec/raw.ts'
import type { EndpointsDelta } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Codec } from '../core/codec.ts'
import { Endpoint } from '../core/endpoint.ts'
import type { Filter } from '../core/filter.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import type { Route } from '../core/route.ts'
import type { EndpointStats, ProxyEvent } from '../core/telemetry.ts'
import { CONNECT } from '../core/tunnel.ts'
import type { Dial } from '../core/wire.ts'
import { forwarded } from '../filter/forwarded.ts'
import { requestId } from '../filter/request-id.ts'
import { tunnels } from '../filter/tunnels.ts'
import { isGrpcCondition } from '../forward/grpc-retry.ts'
import { outlierDetector } from '../health/outlier.ts'
import { HopPool, type HopSettings } from '../pool/hop.ts'
import type { Http1Pool } from '../pool/http1.ts'
import { Http2Pool } from '../pool/http2.ts'
import { namedOnly } from '../pool/named-only.ts'
import { notItself, type OwnListener } from '../pool/not-itself.ts'
import { TcpPlaces, TcpPool } from '../pool/tcp.ts'
import { WithTunnels } from '../pool/with-tunnels.ts'
import { compileRoutes, type RouteTable } from '../router/compile.ts'
import { describeMatch } from '../router/describe.ts'
import { hostTable } from '../router/hosts.ts'
import type { CompileRegex } from '../router/predicate.ts'
import { reachableFrom } from '../router/reachable.ts'
import { type Destination, split } from '../router/split.ts'
import {
  type CountedTcp,
  endpointStats,
  routeStats,
  type Series,
  type StatsWriter,
  tcpStats,
} from '../telemetry/stats.ts'
import { tcpRouterOf } from './tcp-routes.ts'

export interface ApplyDeps {
  readonly clock: Clock
  readonly random: Random
  readonly dial: Dial
  /** The ports that are open now. */
  readonly ownListeners: () => Iterable<OwnListener>
  readonly stats: StatsWriter
  readonly regex: CompileRegex
  readonly event: (event: ProxyEvent) => void
  /** To endpoints. */
  readonly http2: Codec
  /** HTTP/2 that carries HTTP/1.1 to the next sidecar. */
  readonly hop: Codec
}

/** What a data thread built from a snapshot. */
export interface Runtime {
  readonly version: string
  readonly snapshot: Snapshot
  readonly listeners: ReadonlyMap<string, ListenerRuntime>
}

/**
 * A snapshot made ready: nothing that runs has been touched. Either `commit`, which cannot fail, or `abandon`, which
 * leaves no trace.
 */
export interface Prepared {
  readonly runtime: Runtime
  commit(): void
  abandon(): void
}

interface ServiceEntry {
  readonly cluster: ServiceCluster
  readonly settings: OwnSettings
  readonly speaks: Spoken
}

type Pools = Pick<Endpoint, 'pool' | 'connector'>

type OwnSettings = Omit<HopSettings, 'pools' | 'hops'>

/**
 * Turns snapshots into the runtime of a data thread. `prepare` builds everything that can go wrong and throws with the
 * reason (a NACK); `commit` is one swap. Clusters live on over snapshots, with all that was learnt of their endpoints.
 */
export function applier(deps: ApplyDeps) {
  const { clock, random, stats } = deps
  let services = new Map<string, ServiceEntry>()
  let routeSeries = new Map<string, RouteStatsEntry>()
  let tcpSeries = new Map<string, CountedTcp>()
  let origins: Readonly<Record<string, number>> = {}
  const withId = requestId(random)
  const filtersOf = ({ connect }: ListenerSpec): readonly Filter[] => [withId, tunnels(random, connect), forwarded]

  function prepare(snapshot: Snapshot): Prepared {
    const next = new Map<string, ServiceEntry>()
    const added: ServiceEntry[] = []
    for (const spec of Object.values(snapshot.services)) {
      const found = services.get(spec.name)
      // Its pools speak one protocol: another one is another service of that name.
      const known = found?.speaks === spokenBy(spec) ? found : undefined
      const entry = known ?? newService(spec, snapshot.zone)
      if (known === undefined) added.push(entry)
      next.set(spec.name, entry)
    }
    const nextSeries = new Map<string, RouteStatsEntry>()
    const nextTcp = new Map<string, CountedTcp>()
    const tables = new Map<string, RouteTable>()
    const takesConnect = snapshot.listeners.some(({ connect }) => connect !== null)
    const tableOf = (listener: ListenerSpec, spec: ServiceSpec): RouteTable => {
      const key = `${listener.direction} ${spec.name}`
      const isTcp = spokenBy(spec) === 'tcp'
      let table = isTcp && !takesConnect ? NO_REQUESTS : tables.get(key)
      if (table === undefined) {
        const candidates = spec.routes.map(route => ({
          match: route.match,
          route: compileRoute(listener.direction, spec, route, next, nextSeries),
        }))
        const compiled = compileRoutes(candidates, deps.regex)
        table = isTcp ? request => (request.upgrade === CONNECT ? compiled(request) : null) : compiled
        tables.set(key, table)
      }
      return table
    }
    const abandon = () => {
      for (const { cluster } of added) cluster.retire()
      stats.retire([...newIn(nextSeries, routeSeries), ...newIn(nextTcp, tcpSeries)])
    }
    const listeners = new Map<string, ListenerRuntime>()
    try {
      for (const listener of snapshot.listeners) {
        const router = routerOf(listener, snapshot, tableOf)
        const compile = (spec: ServiceSpec, route: RouteSpec) => routeBase(spec, route, next)
        const tcpRouter = tcpRouterOf(listener, snapshot, { stats, before: tcpSeries, after: nextTcp, compile })
        listeners.set(listener.name, { spec: listener, filters: filtersOf(listener), router, tcpRouter })
      }
    } catch (error) {
      abandon()
      throw error
    }
    return {
      abandon,
      runtime: { version: snapshot.version, snapshot, listeners },
      commit() {
        for (const [name, { cluster, settings }] of next) {
          const spec = snapshot.services[name]!
          Object.assign(settings, settingsOf(spec))
          cluster.configure(spec, snapshot.zone)
        }
        for (const [name, entry] of services) if (next.get(name) !== entry) entry.cluster.retire()
        stats.retire([...newIn(routeSeries, nextSeries), ...newIn(tcpSeries, nextTcp)])
        services = next
        routeSeries = nextSeries
        tcpSeries = nextTcp
      },
    }
  }

  function newService(spec: ServiceSpec, zone: string): ServiceEntry {
    const settings: OwnSettings = { ...settingsOf(spec), connections: 0, pending: 0 }
    const makePool = poolsOf(spec, settings)
    const series = new Map<string, readonly Series[]>()
    // With its endpoints: a new port may take its first request before the last one is open.
    const cluster = new ServiceCluster(spec, {
      clock,
      random,
      policy: type => policies[type],
      locality: { zone, origins },
      createEndpoint(endpoint: EndpointSpec, name: string) {
        const own = endpointStats(stats, spec.name, name)
        series.set(name, own.series)
        const { pool, connector } = makePool(endpoint, own)
        return new Endpoint(endpoint, name, new WithTunnels(pool, connector, raw, settings), own, connector)
      },
      retireEndpoint(endpoint) {
        endpoint.pool.drain()
        stats.retire(series.get(endpoint.name) ?? [])
        series.delete(endpoint.name)
      },
      outliers: (changed, sets) => outlierDetector(spec.name, { clock, event: deps.event, changed, sets }),
    })
    return { cluster, settings, speaks: spokenBy(spec) }
  }

  function dialOf(service: string): Dial {
    if (service.startsWith('connect:')) return namedOnly(deps.dial)
    // What comes in for an application may go through an outbound listener: that one finds its service by the host.
    const listeners = service.startsWith('local_app:')
      ? () => [...deps.ownListeners()].filter(own => own.service !== null)
      : deps.ownListeners
    return notItself(deps.dial, service, listeners)
  }

  /** `settings` itself is what they share: a reload writes into it. */
  function poolsOf(spec: ServiceSpec, settings: OwnSettings): (endpoint: EndpointSpec, own: EndpointStats) => Pools {
    const dialing = { clock, random, dial: dialOf(spec.name) }
    const spoken = spokenBy(spec)
    if (spoken === 'http2') {
      const poolDeps = { ...dialing, codec: deps.http2 }
      const shared = Object.assign(settings, { pools: new Set<Http2Pool>() })
      const places = new TcpPlaces(shared, dialing, shared.pools)
      return ({ address, port }, own) => ({
        pool: new Http2Pool(address, port, shared, own, poolDeps),
        connector: new TcpPool(address, port, places, own),
      })
    }
    if (spoken === 'http1') {
      const poolDeps = { ...dialing, codec: http1, hop: deps.hop }
      const shared: HopSettings = Object.assign(settings, { pools: new Set<Http1Pool>(), hops: new Set<HopPool>() })
      const places = new TcpPlaces(shared, dialing, shared.hops)
      return ({ address, port }, own) => ({
        pool: new HopPool(address, port, shared, own, poolDeps),
        connector: new TcpPool(address, port, places, own),
      })
    }
    const places = new TcpPlaces(Object.assign(settings, { pools: new Set<never>() }), dialing, [])
    return ({ address, port }, own) => {
      const connector = new TcpPool(address, port, places, own)
      return { pool: connector, connector }
    }
  }

  function compileRoute(
    direction: string,
    spec: ServiceSpec,
    route: RouteSpec,
    entries: ReadonlyMap<string, ServiceEntry>,
    series: Map<string, RouteStatsEntry>,
  ): Route {
    const labels = { direction, service: spec.name, path: route.name }
    const key = JSON.stringify(labels)
    const own = series.get(key) ?? routeSeries.get(key) ?? routeStats(stats, labels)
    series.set(key, own)
    return { ...routeBase(spec, route, entries), stats: own }
  }

  return {
    prepare,
    /** Statistics of requests that found no route; labels stay bounded. */
    unrouted: (direction: string, service: string) => routeStats(stats, { direction, service, path: '-' }),
    unroutedTcp: (direction: string) => tcpStats(stats, { direction, service: '-' }),
    /** Endpoints have changed since the snapshot. */
    change: (service: string, delta: EndpointsDelta) => services.get(service)?.cluster.change(delta),
    setOrigins(zones: Readonly<Record<string, number>>): void {
      origins = zones
      for (const { cluster } of services.values()) cluster.setOrigins(zones)
    },
    clusters: (): ServiceCluster[] => [...services.values()].map(({ cluster }) => cluster),
  }
}

function routeBase(
  spec: ServiceSpec,
  route: RouteSpec,
  entries: ReadonlyMap<string, ServiceEntry>,
): Omit<Route, 'stats'> {
  const timeouts = route.timeouts ?? spec.timeouts
  const retries = route.retries ?? spec.retries
  const destinations = route.to.map(to => destinationOf(to, entries))
  return {
    name: route.name,
    service: spec.name,
    condition: describeMatch(route.match),
    filters: [],
    requestTimeoutMs: timeouts.requestMs,
    perTryTimeoutMs: timeouts.perTryMs,
    idleTimeoutMs: timeouts.idleMs,
    tunnelIdleMs: timeouts.tunnelMs,
    upgrades: new Set(spec.upgrades),
    grpcDeadline:
      timeouts.grpcTimeout === 'pass'
        ? null
        : { maxMs: timeouts.grpcTimeoutMaxMs, offsetMs: timeouts.grpcTimeoutOffsetMs },
    retry: retryPolicy(retries),
    destination: split(destinations),
    destinations,
  }
}

type RouteStatsEntry = ReturnType<typeof routeStats>

function retryPolicy({ attempts, replayBytes, on }: Omit<RetrySpec, 'budget'>): Route['retry'] {
  return {
    attempts,
    replayBytes,
    on: new Set(on),
    anyMethod:
      attempts > 1 &&
      on.some(
        condition => condition === 'refused-stream' || condition === 'connect-failure' || isGrpcCondition(condition),
      ),
  }
}

type Spoken = 'http1' | 'http2' | 'tcp'

function spokenBy({ protocol }: ServiceSpec): Spoken {
  return protocol === 'http2' || protocol === 'grpc' ? 'http2' : protocol === 'tcp' ? 'tcp' : 'http1'
}

/** No request goes to a service that speaks TCP. */
const NO_REQUESTS: RouteTable = () => null

/** The series of what is in one map and not in the other. */
function newIn(
  one: ReadonlyMap<string, { readonly series: readonly Series[] }>,
  other: ReadonlyMap<string, unknown>,
): Series[] {
  return [...one].flatMap(([key, { series }]) => (other.has(key) ? [] : series))
}

function destinationOf(to: DestinationSpec, services: ReadonlyMap<string, ServiceEntry>): Destination {
  const cluster = services.get(to.service)?.cluster
  const { subset } = to
  return {
    name: subset === null ? to.service : `${to.service}/${subset}`,
    weight: to.weight,
    cluster: () =>
      cluster === undefined ? null : subset === null ? cluster.whole : (cluster.subsets.get(subset) ?? null),
  }
}

/** How a listener finds the service: by its port, or by the host named in the request. */
function routerOf(
  listener: ListenerSpec,
  snapshot: Snapshot,
  tableOf: (listener: ListenerSpec, spec: ServiceSpec) => RouteTable,
): ListenerRuntime['router'] {
  if (listener.service !== null) {
    const spec = own(snapshot.services, listener.service)
    if (spec === undefined)
      throw new Error(`listener ${listener.name} names the service ${listener.service}, which is not configured`)
    const table = tableOf(listener, spec)
    return (request, record) => {
      record.by = 'port'
      record.service = spec.name
      const route = table(request)
      if (route !== null) record.route = route.name
      return route
    }
  }
  const reachable = reachableFrom(snapshot)
  const byName = new Map(reachable.map(spec => [spec.name, { spec, table: tableOf(listener, spec) }]))
  const hosts = hostTable(reachable.filter(({ name }) => !name.startsWith('connect:')))
  return (request, record) => {
    const name =
      request.upgrade === CONNECT ? connectTarget(listener.connect, request.authority, hosts) : hosts(request.authority)
    if (name === null) return null
    record.by = 'host'
    record.service = name
    const route = byName.get(name)!.table(request)
    if (route !== null) record.route = route.name
    return route
  }
}

/** The service that a CONNECT leads to; null: it must not. */
function connectTarget(
  connect: ListenerSpec['connect'],
  authority: string,
  hosts: (authority: string) => string | null,
): string | null {
  if (connect === null) return null
  const target = connectName(authority)
  if (connect.hosts.includes(target)) return `connect:${target}`
  return connect.services ? hosts(authority) : null
}

function settingsOf(spec: ServiceSpec): Omit<OwnSettings, 'connections' | 'pending'> {
  return {
    multiplex: spec.multiplex,
    connectTimeoutMs: spec.timeouts.connectMs,
    idleTimeoutMs: spec.timeouts.idleMs,
    connectionAgeMs: spec.connections.ageMs,
    maxConnections: spec.limits.connections,
    maxPending: spec.limits.pending,
    upstream: {
      maxHeaders: spec.limits.responseHeaders,
      maxHeadBytes: spec.limits.responseHeadBytes,
      bufferBytes: spec.limits.bufferBytes,
      keepAliveMs: spec.connections.keepAliveMs,
    },
  }
}
