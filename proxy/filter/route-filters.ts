import { own } from '../../mesh-config/own.ts'
import type { RouteSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Filter } from '../core/filter.ts'
import { editHeads } from './edit-heads.ts'
import { type FaultInjector, faults } from './faults.ts'
import { grpcWeb } from './grpc-web.ts'
import { type RateLimiter, rateLimit } from './rate-limit.ts'

/** What filters of a route need beside its policy: it lives longer than one snapshot. */
export interface RouteParts {
  readonly limiters: readonly RateLimiter[]
  readonly injectors: readonly FaultInjector[]
}

/** The filters of a route, in order, made of its policy. What refuses comes first. */
export function routeFilters(
  route: RouteSpec,
  services: Readonly<Record<string, ServiceSpec>>,
  { limiters, injectors }: RouteParts,
): readonly Filter[] {
  const leadsToGrpc = route.to.some(({ service }) => own(services, service)?.protocol === 'grpc')
  const edits = editHeads(route)
  const injected = faults(injectors)
  return [
    ...(limiters.length === 0 ? [] : [rateLimit(limiters)]),
    ...(injected === null ? [] : [injected]),
    ...(leadsToGrpc ? [grpcWeb] : []),
    ...(edits === null ? [] : [edits]),
  ]
}
