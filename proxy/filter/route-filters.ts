import { own } from '../../mesh-config/own.ts'
import type { RouteSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Filter } from '../core/filter.ts'
import { editHeads } from './edit-heads.ts'
import { grpcWeb } from './grpc-web.ts'
import { type RateLimiter, rateLimit } from './rate-limit.ts'

/** What filters of a route need beside its policy: it lives longer than one snapshot. */
export interface RouteParts {
  readonly limiters: readonly RateLimiter[]
}

/** The filters of a route, in order, made of its policy. What refuses comes first. */
export function routeFilters(
  route: RouteSpec,
  services: Readonly<Record<string, ServiceSpec>>,
  { limiters }: RouteParts,
): readonly Filter[] {
  const leadsToGrpc = route.to.some(({ service }) => own(services, service)?.protocol === 'grpc')
  const edits = editHeads(route)
  return [
    ...(limiters.length === 0 ? [] : [rateLimit(limiters)]),
    ...(leadsToGrpc ? [grpcWeb] : []),
    ...(edits === null ? [] : [edits]),
  ]
}
