import type { EndpointSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { policies } from '../balancer/policies.ts'
import { ServiceCluster } from '../cluster/cluster.ts'
import type { EndpointsDelta } from '../core/channel.ts'
import { Endpoint } from '../core/endpoint.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import { isSame } from '../core/same.ts'
import type { ProxyEvent } from '../core/telemetry.ts'
import { listenerChains } from '../filter/chains.ts'
import { outlierDetector } from '../health/outlier.ts'
import { EndpointPool } from '../pool/endpoint-pool.ts'
import type { ServicePools } from '../pool/service-pools.ts'
import type { CompileRegex } from '../router/predicate.ts'
import { endpointStats, type Series, type StatsWriter } from '../telemetry/stats.ts'
import type { Change } from './change.ts'
import { type PoolsOfDeps, policyOf, poolsOf } from './pools-of.ts'
import { requestRouterOf } from './request-router.ts'
import { type ServiceRoutes, serviceRoutes } from './service-routes.ts'
import { tcpRouterOf } from './tcp-routes.ts'

export interface ApplyDeps extends PoolsOfDeps {
  readonly stats: StatsWriter
  readonly event: (event: ProxyEvent) => void
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
  readonly pools: ServicePools
}

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
      const known = services.get(spec.name)
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
    for (const [name, { cluster, pools }] of entries) {
      const spec = snapshot.services[name]!
      if (unchanged.has(name) && !isElsewhere) cluster.update(spec.endpoints)
      else {
        pools.apply(policyOf(spec))
        cluster.configure(spec, snapshot.zone)
      }
    }
    for (const [name, entry] of services) if (entries.get(name) !== entry) entry.cluster.retire()
  }

  function newService(spec: ServiceSpec, zone: string): ServiceEntry {
    const pools = poolsOf(spec, deps)
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
        const pool = new EndpointPool(endpoint.address, endpoint.port, pools, own)
        return new Endpoint(endpoint, name, pool, own)
      },
      retireEndpoint(endpoint) {
        endpoint.pool.drain()
        stats.retire(series.get(endpoint.name) ?? [])
        series.delete(endpoint.name)
      },
      outliers: (changed, sets) => outlierDetector(spec.name, { clock, event: deps.event, changed, sets }),
    })
    return { cluster, pools }
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

/** Endpoints are no policy: they change far more often. */
function isSamePolicy(a: ServiceSpec, b: ServiceSpec): boolean {
  return a === b || isSame({ ...a, endpoints: null }, { ...b, endpoints: null })
}
