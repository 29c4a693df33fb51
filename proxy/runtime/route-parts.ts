import type { FaultSpec, ListenerSpec, RateLimitSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { FaultInjector } from '../filter/faults.ts'
import type { RateLimiter } from '../filter/rate-limit.ts'
import type { RouteParts } from '../filter/route-filters.ts'
import type { CompileRegex } from '../router/predicate.ts'
import type { Change } from './change.ts'
import { newFaultInjector } from './fault-injectors.ts'
import { keeper } from './keeper.ts'
import { newRateLimiter, type RateLimiterDeps } from './rate-limiters.ts'

export type RoutePartsDeps = RateLimiterDeps

/** What filters of a snapshot that is being prepared have that lives longer than it. */
export interface PreparedParts extends Change {
  ofListener(listener: ListenerSpec): readonly RateLimiter[]
  /** Of the service and its route of this number. */
  ofRoute(service: ServiceSpec, route: number): RouteParts
}

/**
 * Rate limits and faults live on over snapshots, with what they have counted, as long as they are as they were. They
 * are made for the whole snapshot, because the filters of a service that has not changed are not compiled anew.
 */
export function routeParts(deps: RoutePartsDeps): (snapshot: Snapshot, regex: CompileRegex) => PreparedParts {
  const limitersKept = keeper<RateLimiter>()
  const faultsKept = keeper<FaultInjector>()
  return (snapshot, regex) => {
    const limiters = limitersKept()
    const injectors = faultsKept()
    const keepLimits = (scope: string, rules: readonly RateLimitSpec[] = []) => {
      for (const rule of rules) {
        const key = limitKey(scope, rule)
        limiters.keep(key, () => newRateLimiter(scope, rule, key, regex, deps))
      }
    }
    const keepFaults = (scope: string, rules: readonly FaultSpec[] = []) => {
      for (const [index, rule] of rules.entries())
        injectors.keep(faultKey(scope, index, rule), () => newFaultInjector(scope, rule, regex, deps))
    }
    const abandon = () => {
      limiters.abandon()
      injectors.abandon()
    }
    try {
      for (const { name, rateLimits } of snapshot.listeners) keepLimits(name, rateLimits)
      for (const service of Object.values(snapshot.services)) {
        keepLimits(service.name, service.rateLimits)
        keepFaults(service.name, service.faults)
        for (const [index, { rateLimits, faults }] of service.routes.entries()) {
          keepLimits(scopeOf(service, index), rateLimits)
          keepFaults(scopeOf(service, index), faults)
        }
      }
    } catch (error) {
      abandon()
      throw error
    }
    const limitsOf = (scope: string, rules: readonly RateLimitSpec[] = []) =>
      rules.map(rule => limiters.of(limitKey(scope, rule)))
    const faultsOf = (scope: string, rules: readonly FaultSpec[] = []) =>
      rules.map((rule, index) => injectors.of(faultKey(scope, index, rule)))
    return {
      ofListener: ({ name, rateLimits }) => limitsOf(name, rateLimits),
      ofRoute(service, index) {
        const scope = scopeOf(service, index)
        const route = service.routes[index]
        const own = limitsOf(scope, route?.rateLimits)
        return {
          limiters: [...limitsOf(service.name, service.rateLimits), ...own],
          // Those of the route take the place of those of the service.
          injectors:
            route?.faults === undefined ? faultsOf(service.name, service.faults) : faultsOf(scope, route.faults),
        }
      },
      commit() {
        limiters.commit()
        injectors.commit()
      },
      abandon,
    }
  }
}

/** Routes of one name are told apart by their number. */
function scopeOf({ name, routes }: ServiceSpec, index: number): string {
  const route = routes[index]?.name ?? ''
  const number = routes.slice(0, index).filter(each => each.name === route).length + 1
  return `${name} ${route}${number === 1 ? '' : `#${number}`}`
}

function limitKey(scope: string, rule: RateLimitSpec): string {
  return `rate limit ${scope} ${JSON.stringify(rule)}`
}

function faultKey(scope: string, index: number, rule: FaultSpec): string {
  return `${scope} ${index} ${JSON.stringify(rule)}`
}
