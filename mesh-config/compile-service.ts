import { compileBalancer } from './compile-balancer.ts'
import { compileBreaker, compileFallback } from './compile-breaker.ts'
import { compileConcurrency } from './compile-concurrency.ts'
import { compileEndpoints } from './compile-discovery.ts'
import { compileHealth } from './compile-health.ts'
import { compileOutliers } from './compile-outliers.ts'
import { compilePriority, compileQueue } from './compile-queue.ts'
import { compileResolve } from './compile-resolve.ts'
import { compileRetries } from './compile-retries.ts'
import { compileRoute } from './compile-route.ts'
import { compileTls } from './compile-tls.ts'
import { durationMs } from './duration.ts'
import type { ServicePolicy } from './service.ts'
import type { SidecarDocument } from './sidecar.ts'
import { sizeBytes } from './size.ts'
import type { EndpointLimitsSpec, MatchSpec, RouteSpec, ServiceSpec, ServiceTimeouts } from './snapshot.ts'

/** A checked policy, defaults filled in -> how the data threads call the service. */
export function compileService(
  name: string,
  policy: ServicePolicy,
  endpoints: SidecarDocument['discovery']['endpoints'][string],
): ServiceSpec {
  const timeouts = compileTimeouts(policy.timeouts)
  const retries = compileRetries(policy.retries)
  const routes = policy.routes.map(route => compileRoute(name, route, timeouts, retries))
  return {
    name,
    kind: 'named',
    protocol: policy.protocol === 'detect' ? null : policy.protocol,
    ...(policy.tls === undefined ? {} : { tls: compileTls(policy.tls) }),
    multiplex: policy.multiplex,
    hosts: policy.hosts,
    endpoints: compileEndpoints(endpoints),
    balancer: compileBalancer(policy.balancer),
    timeouts,
    retries,
    limits: compileLimits(policy.limits),
    ...compileBreaker(policy.breaker),
    ...compileFallback(name, policy.fallback),
    ...compileConcurrency(policy.concurrency),
    ...compileQueue(policy.queue),
    ...compilePriority(policy.priority),
    connections: { ageMs: durationMs(policy.connections.age), keepAliveMs: durationMs(policy.connections.keepAlive) },
    outliers: compileOutliers(policy.outliers),
    ...(policy.health === undefined ? {} : { health: compileHealth(name, policy.health, policy.protocol) }),
    upgrades: policy.upgrades,
    subsets: withFilters(policy),
    subsetFallback: policy.subsetFallback,
    ...(policy.resolve === undefined ? {} : { resolve: compileResolve(name, policy.resolve, withFilters(policy)) }),
    routes: routes.length > 0 ? routes : [everything(name)],
  }
}

/** Subsets by labels, by an expression, or by both. */
function withFilters({ subsets, resolve }: ServicePolicy): ServiceSpec['subsets'] {
  if (resolve === undefined) return subsets
  return { ...Object.fromEntries(Object.keys(resolve.subsets).map(name => [name, {}])), ...subsets }
}

export function compileLimits({
  connections,
  pending,
  requests,
  retries,
  perEndpoint,
  responseHeaders,
  responseHeadBytes,
  buffer,
}: ServicePolicy['limits']): ServiceSpec['limits'] {
  return {
    connections,
    pending,
    requests,
    ...(retries === undefined ? {} : { retries }),
    ...(perEndpoint === undefined ? {} : { perEndpoint: perEndpoint as EndpointLimitsSpec }),
    responseHeaders,
    responseHeadBytes: sizeBytes(responseHeadBytes),
    bufferBytes: sizeBytes(buffer),
  }
}

export function everything(service: string): RouteSpec {
  const match: MatchSpec = { path: { kind: 'prefix', value: '/' }, methods: [], headers: [], query: [] }
  return { name: '/*', match, to: [{ service, subset: null, weight: 1 }], timeouts: null, retries: null }
}

export function compileTimeouts(timeouts: ServicePolicy['timeouts']): ServiceTimeouts {
  return {
    connectMs: durationMs(timeouts.connect),
    requestMs: durationMs(timeouts.request),
    perTryMs: durationMs(timeouts.perTry),
    idleMs: durationMs(timeouts.idle),
    grpcTimeout: timeouts.grpcTimeout,
    grpcTimeoutMaxMs: durationMs(timeouts.grpcTimeoutMax),
    grpcTimeoutOffsetMs: durationMs(timeouts.grpcTimeoutOffset),
    tunnelMs: durationMs(timeouts.tunnel),
    ...(timeouts.deadline === 'enforce' ? {} : { deadline: timeouts.deadline }),
    ...(durationMs(timeouts.maxStream) === 0 ? {} : { maxStreamMs: durationMs(timeouts.maxStream) }),
  }
}
