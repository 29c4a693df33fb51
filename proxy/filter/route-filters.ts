import { own } from '../../mesh-config/own.ts'
import type { RouteSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Random } from '../core/clock.ts'
import type { Filter } from '../core/filter.ts'
import type { Mirroring } from '../core/mirror.ts'
import { editHeads } from './edit-heads.ts'
import { type FaultInjector, faults } from './faults.ts'
import { grpcWeb } from './grpc-web.ts'
import { mirror } from './mirror.ts'
import { overload, type Shedding } from './overload.ts'
import { type RateLimiter, rateLimit } from './rate-limit.ts'

/** What filters of a route need beside its policy: it lives longer than one snapshot. */
export interface RouteParts {
  readonly shedding: Shedding
  readonly limiters: readonly RateLimiter[]
  readonly injectors: readonly FaultInjector[]
  /** Null: nothing is copied. */
  readonly mirroring: Mirroring | null
  readonly random: Random
}

/** The filters of a route, in order, made of its policy. What refuses comes first. */
export function routeFilters(
  route: RouteSpec,
  services: Readonly<Record<string, ServiceSpec>>,
  { shedding, limiters, injectors, mirroring, random }: RouteParts,
): readonly Filter[] {
  const leadsToGrpc = route.to.some(({ service }) => own(services, service)?.protocol === 'grpc')
  const edits = editHeads(route)
  const injected = faults(injectors)
  return [
    overload(shedding),
    ...(limiters.length === 0 ? [] : [rateLimit(limiters)]),
    ...(injected === null ? [] : [injected]),
    ...(leadsToGrpc ? [grpcWeb] : []),
    ...(edits === null ? [] : [edits]),
    // As it leaves.
    ...(mirroring === null ? [] : [mirror(mirroring, random)]),
  ]
}
