import type { Snapshot } from '../../mesh-config/snapshot.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import type { Tracing } from '../core/tracing.ts'
import { listenerChains } from '../filter/chains.ts'
import type { CompileRegex } from '../router/predicate.ts'
import type { RequestStatsDeps } from '../telemetry/request-stats.ts'
import type { Change } from './change.ts'
import { requestRouterOf } from './request-router.ts'
import { type ServiceRoutes, serviceRoutes } from './service-routes.ts'
import { type Services, type ServicesDeps, services } from './services.ts'
import { tcpRouterOf } from './tcp-routes.ts'

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
  /** Builds all that can go wrong, and throws with the reason (a NACK). */
  prepare(snapshot: Snapshot, regex: CompileRegex): Prepared
  /** What is in force; null: nothing yet. */
  inForce(): Runtime | null
}

export interface ApplierDeps extends ServicesDeps {
  readonly requests: RequestStatsDeps
  readonly tracing: Tracing
}

/** Turns snapshots into the runtime of a data thread; what a snapshot does not change is not built anew. */
export function applier(deps: ApplierDeps): Applier {
  const { random, requests, tracing } = deps
  const own = services(deps)
  const routesOf = serviceRoutes(requests)
  const filtersOf = listenerChains(random, tracing)
  let inForce: Runtime | null = null

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

  return {
    ...own,
    prepare(snapshot, regex) {
      const prepared = own.prepare(snapshot, regex)
      const routes = routesOf({ snapshot, regex, ...prepared })
      const abandon = () => {
        prepared.abandon()
        routes.abandon()
      }
      try {
        const runtime = { version: snapshot.version, snapshot, listeners: listenersOf(snapshot, routes) }
        const commit = () => {
          prepared.commit()
          routes.commit()
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
