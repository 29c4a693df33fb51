import type { EndpointSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { policies } from '../balancer/policies.ts'
import { ServiceCluster } from '../cluster/cluster.ts'
import { http1 } from '../codec/h1/codec.ts'
import { raw } from '../codec/raw.ts'
import type { EndpointsDelta } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Codec } from '../core/codec.ts'
import { Endpoint } from '../core/endpoint.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import { isSame } from '../core/same.ts'
import type { EndpointStats, ProxyEvent } from '../core/telemetry.ts'
import type { Dial } from '../core/wire.ts'
import { listenerChains } from '../filter/chains.ts'
import { outlierDetector } from '../health/outlier.ts'
import { HopPool, type HopSettings } from '../pool/hop.ts'
import type { Http1Pool } from '../pool/http1.ts'
import { Http2Pool } from '../pool/http2.ts'
import { namedOnly } from '../pool/named-only.ts'
import { notItself, type OwnListener } from '../pool/not-itself.ts'
import { TcpPlaces, TcpPool } from '../pool/tcp.ts'
import { WithTunnels } from '../pool/with-tunnels.ts'
import type { CompileRegex } from '../router/predicate.ts'
import { endpointStats, type Series, type StatsWriter } from '../telemetry/stats.ts'
import type { Change } from './change.ts'
import { requestRouterOf } from './request-router.ts'
import { type ServiceRoutes, serviceRoutes } from './service-routes.ts'
import { tcpRouterOf } from './tcp-routes.ts'

export interface ApplyDeps {
  readonly clock: Clock
  readonly random: Random
  readonly dial: Dial
  /** The ports that are open now. */
  readonly ownListeners: () => Iterable<OwnListener>
  readonly stats: StatsWriter
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

export interface Prepared extends Change {
  readonly runtime: Runtime
}

export interface Applier {
  /** Builds all that can go wrong, and throws with the reason (a NACK). */
  prepare(snapshot: Snapshot, regex: CompileRegex): Prepared
  /** Endpoints have changed since the snapshot. */
  change(service: string, delta: EndpointsDelta): void
  setOrigins(zones: Readonly<Record<string, number>>): void
  clusters(): ServiceCluster[]
  /** What is in force; null: nothing yet. */
  inForce(): Runtime | null
}

interface ServiceEntry {
  readonly cluster: ServiceCluster
  readonly settings: OwnSettings
  readonly speaks: Spoken
}

type Pools = Pick<Endpoint, 'pool' | 'connector'>

type OwnSettings = Omit<HopSettings, 'pools' | 'hops'>

/**
 * Turns snapshots into the runtime of a data thread. Clusters live on over snapshots, with all that was learnt of their
 * endpoints, and what a snapshot does not change is not built anew.
 */
export function applier(deps: ApplyDeps): Applier {
  const { clock, random, stats } = deps
  let services = new Map<string, ServiceEntry>()
  let origins: Readonly<Record<string, number>> = {}
  let runtime: Runtime | null = null
  const routesOf = serviceRoutes(stats)
  const filtersOf = listenerChains(random)

  function prepare(snapshot: Snapshot, regex: CompileRegex): Prepared {
    const { entries, added, unchanged } = entriesOf(snapshot)
    const clusters = new Map([...entries].map(([name, { cluster }]) => [name, cluster]))
    const routes = routesOf({ snapshot, clusters, unchanged, regex })
    const abandon = () => {
      for (const { cluster } of added) cluster.retire()
      routes.abandon()
    }
    try {
      const next = { version: snapshot.version, snapshot, listeners: listenersOf(snapshot, routes) }
      return {
        runtime: next,
        abandon,
        commit() {
          configure(snapshot, entries, unchanged)
          routes.commit()
          services = entries
          runtime = next
        },
      }
    } catch (error) {
      abandon()
      throw error
    }
  }

  function entriesOf(snapshot: Snapshot) {
    const entries = new Map<string, ServiceEntry>()
    const added: ServiceEntry[] = []
    const unchanged = new Set<string>()
    for (const spec of Object.values(snapshot.services)) {
      const found = services.get(spec.name)
      // Its pools speak one protocol: another one is another service of that name.
      const known = found?.speaks === spokenBy(spec) ? found : undefined
      const entry = known ?? newService(spec, snapshot.zone)
      if (known === undefined) added.push(entry)
      else if (isSamePolicy(known.cluster.spec, spec)) unchanged.add(spec.name)
      entries.set(spec.name, entry)
    }
    return { entries, added, unchanged }
  }

  function listenersOf(snapshot: Snapshot, routes: ServiceRoutes): ReadonlyMap<string, ListenerRuntime> {
    return new Map(
      snapshot.listeners.map((spec): [string, ListenerRuntime] => {
        const filters = filtersOf(spec)
        const router = requestRouterOf(spec, snapshot, service => routes.table(spec.direction, service, filters))
        const tcpRouter = tcpRouterOf(spec, snapshot, service => routes.tcp(spec.direction, service))
        return [spec.name, { spec, filters, router, tcpRouter }]
      }),
    )
  }

  /** From here on the services are as the snapshot says; those it no longer has are let go. */
  function configure(
    snapshot: Snapshot,
    entries: ReadonlyMap<string, ServiceEntry>,
    unchanged: ReadonlySet<string>,
  ): void {
    const isElsewhere = runtime?.snapshot.zone !== snapshot.zone
    for (const [name, { cluster, settings }] of entries) {
      const spec = snapshot.services[name]!
      if (unchanged.has(name) && !isElsewhere) cluster.update(spec.endpoints)
      else {
        Object.assign(settings, settingsOf(spec))
        cluster.apply(spec, snapshot.zone)
      }
    }
    for (const [name, entry] of services) if (entries.get(name) !== entry) entry.cluster.retire()
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
      place: { zone, origins },
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

  function dialOf({ name, kind }: ServiceSpec): Dial {
    if (kind === 'connect') return namedOnly(deps.dial)
    // What comes in for an application may go through an outbound listener: that one finds its service by the host.
    const listeners =
      kind === 'local' ? () => [...deps.ownListeners()].filter(own => own.service !== null) : deps.ownListeners
    return notItself(deps.dial, name, listeners)
  }

  /** `settings` itself is what they share: a reload writes into it. */
  function poolsOf(spec: ServiceSpec, settings: OwnSettings): (endpoint: EndpointSpec, own: EndpointStats) => Pools {
    const dialing = { clock, random, dial: dialOf(spec) }
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

  return {
    prepare,
    change: (service: string, delta: EndpointsDelta) => services.get(service)?.cluster.change(delta),
    setOrigins(zones: Readonly<Record<string, number>>): void {
      origins = zones
      for (const { cluster } of services.values()) cluster.setOrigins(zones)
    },
    clusters: () => [...services.values()].map(({ cluster }) => cluster),
    inForce: () => runtime,
  }
}

type Spoken = 'http1' | 'http2' | 'tcp'

function spokenBy({ protocol }: ServiceSpec): Spoken {
  return protocol === 'http2' || protocol === 'grpc' ? 'http2' : protocol === 'tcp' ? 'tcp' : 'http1'
}

/** Endpoints are no policy: they change far more often. */
function isSamePolicy(a: ServiceSpec, b: ServiceSpec): boolean {
  return a === b || isSame({ ...a, endpoints: null }, { ...b, endpoints: null })
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
