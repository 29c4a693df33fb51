import type {
  FaultSpec,
  ListenerSpec,
  MirrorSpec,
  RateLimitSpec,
  ServiceSpec,
  Snapshot,
} from '../../mesh-config/snapshot.ts'
import type { Mirroring } from '../core/mirror.ts'
import type { FaultInjector } from '../filter/faults.ts'
import type { RateLimiter } from '../filter/rate-limit.ts'
import type { RouteParts } from '../filter/route-filters.ts'
import type { CompileRegex } from '../router/predicate.ts'
import type { Change } from './change.ts'
import { newFaultInjector } from './fault-injectors.ts'
import { keeper } from './keeper.ts'
import { type MirrorsDeps, newMirrors } from './mirrors.ts'
import { newRateLimiter, type RateLimiterDeps } from './rate-limiters.ts'

export type RoutePartsDeps = RateLimiterDeps & MirrorsDeps & Pick<RouteParts, 'shedding'>

/** What filters of a snapshot that is being prepared have that lives longer than it. */
export interface PreparedParts extends Change {
  ofListener(listener: ListenerSpec): readonly RateLimiter[]
  /** Of the service and its route of this number. */
  ofRoute(service: ServiceSpec, route: number): RouteParts
}

/**
 * Rate limits, faults and mirrors live on over snapshots, with what they have counted, as long as they are as they were. They
 * are made for the whole snapshot, because the filters of a service that has not changed are not compiled anew.
 */
export function routeParts(deps: RoutePartsDeps): (snapshot: Snapshot, regex: CompileRegex) => PreparedParts {
  const limitersKept = keeper<RateLimiter>()
  const faultsKept = keeper<FaultInjector>()
  const mirrorsKept = keeper<Mirroring>()
  return (snapshot, regex) => {
    const limiters = limitersKept()
    const injectors = faultsKept()
    const mirrors = mirrorsKept()
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
    const keepMirror = (scope: string, spec: MirrorSpec | null | undefined) => {
      if (spec) mirrors.keep(mirrorKey(scope, spec), () => newMirrors(scope, spec, deps))
    }
    const abandon = () => {
      limiters.abandon()
      injectors.abandon()
      mirrors.abandon()
    }
    try {
      for (const { name, rateLimits } of snapshot.listeners) keepLimits(name, rateLimits)
      for (const service of Object.values(snapshot.services)) {
        keepLimits(service.name, service.rateLimits)
        keepFaults(service.name, service.faults)
        keepMirror(service.name, service.mirror)
        for (const [index, { rateLimits, faults, mirror }] of service.routes.entries()) {
          keepLimits(scopeOf(service, index), rateLimits)
          keepFaults(scopeOf(service, index), faults)
          keepMirror(scopeOf(service, index), mirror)
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
    const mirrorOf = (scope: string, spec: MirrorSpec | null | undefined) =>
      spec ? mirrors.of(mirrorKey(scope, spec)) : null
    return {
      ofListener: ({ name, rateLimits }) => limitsOf(name, rateLimits),
      ofRoute(service, index) {
        const scope = scopeOf(service, index)
        const route = service.routes[index]
        const own = limitsOf(scope, route?.rateLimits)
        return {
          shedding: deps.shedding,
          limiters: [...limitsOf(service.name, service.rateLimits), ...own],
          // Those of the route take the place of those of the service.
          injectors:
            route?.faults === undefined ? faultsOf(service.name, service.faults) : faultsOf(scope, route.faults),
          mirroring:
            route?.mirror === undefined ? mirrorOf(service.name, service.mirror) : mirrorOf(scope, route.mirror),
          random: deps.random,
        }
      },
      commit() {
        limiters.commit()
        injectors.commit()
        mirrors.commit()
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

function mirrorKey(scope: string, spec: MirrorSpec): string {
  return `${scope} ${JSON.stringify(spec)}`
}
