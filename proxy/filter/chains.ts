import type { ListenerSpec, RouteSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Random } from '../core/clock.ts'
import type { Tracing } from '../core/tracing.ts'
import { Chain } from './chain.ts'
import { clientCertificate } from './client-certificate.ts'
import { forwarded } from './forwarded.ts'
import { type RateLimiter, rateLimit } from './rate-limit.ts'
import { requestId } from './request-id.ts'
import { type RouteParts, routeFilters } from './route-filters.ts'
import { traceContext } from './trace-context.ts'
import { tunnels } from './tunnels.ts'

export type { Chain } from './chain.ts'

/** Of listeners that differ in nothing that a filter looks at, so many are told apart. */
const MOST_KEPT = 64

/** The filters of a listener. Listeners whose filters are the same share one chain, over snapshots as well. */
export function listenerChains(
  random: Random,
  tracing: Tracing,
): (listener: ListenerSpec, limiters: readonly RateLimiter[]) => Chain {
  const withTrace = traceContext(random, tracing)
  const withId = requestId(random)
  const kept = new Map<string, Chain>()
  return ({ connect, tls, name, rateLimits }, limiters) => {
    const key = JSON.stringify([connect, tls !== undefined])
    let chain = kept.get(key)
    if (chain === undefined) {
      if (kept.size >= MOST_KEPT) kept.clear()
      chain = new Chain(key, [
        withId,
        withTrace,
        tunnels(random, connect),
        forwarded,
        ...(tls === undefined ? [] : [clientCertificate]),
      ])
      kept.set(key, chain)
    }
    // Its buckets are this listener's own.
    return limiters.length === 0
      ? chain
      : chain.ofListener(`${key} ${name} ${JSON.stringify(rateLimits)}`, [rateLimit(limiters)])
  }
}

/** Of what no filter sees: tunnels. */
export const NO_FILTERS = new Chain('', [])

/** Those of one of its routes behind them. */
export function withRouteFilters(
  chain: Chain,
  route: RouteSpec,
  services: Readonly<Record<string, ServiceSpec>>,
  parts: RouteParts,
): Chain {
  return chain.and(routeFilters(route, services, parts))
}
