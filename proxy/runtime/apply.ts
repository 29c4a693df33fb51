import { own } from '../../mesh-config/own.ts'
import type { ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import type { Tracing } from '../core/tracing.ts'
import { listenerChains } from '../filter/chains.ts'
import type { Shedding } from '../filter/overload.ts'
import type { CompileRegex } from '../router/predicate.ts'
import type { RequestStatsDeps } from '../telemetry/request-stats.ts'
import { Addresses } from './addresses.ts'
import { byAddressOf } from './by-address.ts'
import type { Change } from './change.ts'
import { type PreparedOriginals, passedThrough } from './passed-through.ts'
import { requestRouterOf } from './request-router.ts'
import { type PreparedParts, routeParts } from './route-parts.ts'
import { type ServiceRoutes, serviceRoutes } from './service-routes.ts'
import { type PreparedServices, type Services, type ServicesDeps, services } from './services.ts'
import { tcpRouterOf } from './tcp-routes.ts'
import { listenerTls } from './tls.ts'

/** What a data thread built from a snapshot. */
export interface Runtime {
  readonly version: string
  readonly snapshot: Snapshot
  readonly listeners: ReadonlyMap<string, ListenerRuntime>
}

export interface Prepared extends Change {
  readonly runtime: Runtime
}

export interface Applier extends Omit<Services, 'prepare'> {
  /** Which service an address belongs to. */
  readonly addresses: Addresses
  /** Builds all that can go wrong, and throws with the reason (a NACK). */
  prepare(snapshot: Snapshot, regex: CompileRegex): Prepared
  /** What is in force; null: nothing yet. */
  inForce(): Runtime | null
}

export interface ApplierDeps extends Omit<ServicesDeps, 'addresses'> {
  readonly requests: RequestStatsDeps
  readonly tracing: Tracing
  readonly shedding: Shedding
}

/** Turns snapshots into the runtime of a data thread; what a snapshot does not change is not built anew. */
export function applier(deps: ApplierDeps): Applier {
  const { random, requests, tracing } = deps
  const addresses = new Addresses()
  const served = services({ ...deps, addresses })
  const originalsOf = passedThrough(deps)
  let clusters: PreparedServices['clusters'] = new Map()
  const clusterOf = (service: string, subset: string | null) => {
    const found = clusters.get(service)
    return found === undefined ? null : subset === null ? found.whole : (found.subsets.get(subset) ?? null)
  }
  const partsFrom = routeParts({ ...deps, clusterOf })
  const routesOf = serviceRoutes(requests)
  const filtersOf = listenerChains(random, tracing)
  const secureOf = listenerTls(deps.tls)
  let inForce: Runtime | null = null

  function listenersOf(
    snapshot: Snapshot,
    routes: ServiceRoutes,
    originals: PreparedOriginals,
    kept: PreparedParts,
  ): ReadonlyMap<string, ListenerRuntime> {
    return new Map(
      snapshot.listeners.map((spec): [string, ListenerRuntime] => {
        const filters = filtersOf(spec, kept.ofListener(spec))
        const tableOf = (service: ServiceSpec) => routes.table(spec.direction, service, filters)
        const tunnelOf = (service: ServiceSpec) => routes.tcp(spec.direction, service)
        const router = requestRouterOf(spec, snapshot, tableOf)
        const tcpRouter = tcpRouterOf(spec, snapshot, tunnelOf)
        const { transparent } = spec
        const through = transparent === undefined ? undefined : own(snapshot.services, transparent.through)
        const byAddress =
          through === undefined || spec.service !== null
            ? null
            : byAddressOf(spec, transparent!, snapshot, {
                addresses,
                originals: originals.of(through, spec.direction),
                through: { request: tableOf(through), tunnel: tunnelOf(through) },
                tableOf,
                tunnelOf,
              })
        return [spec.name, { spec, secure: secureOf(spec), filters, router, tcpRouter, byAddress }]
      }),
    )
  }

  return {
    ...served,
    addresses,
    prepare(snapshot, regex) {
      const prepared = served.prepare(snapshot, regex)
      const parts: Change[] = [prepared]
      const abandon = () => {
        for (const part of parts) void part.abandon()
      }
      try {
        const kept = partsFrom(snapshot, regex)
        parts.push(kept)
        const routes = routesOf({ snapshot, regex, partsOf: kept.ofRoute, ...prepared })
        const originals = originalsOf()
        parts.push(routes, originals)
        const found = listenersOf(snapshot, routes, originals, kept)
        const runtime = { version: snapshot.version, snapshot, listeners: found }
        const commit = () => {
          for (const part of parts) part.commit()
          clusters = prepared.clusters
          inForce = runtime
        }
        return { runtime, commit, abandon }
      } catch (error) {
        abandon()
        throw error
      }
    },
    inForce: () => inForce,
  }
}
