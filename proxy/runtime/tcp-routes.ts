import { own } from '../../mesh-config/own.ts'
import type { ListenerSpec, RouteSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { TcpRoute, TcpRouter } from '../core/route.ts'
import { isCatchAll } from '../router/compile.ts'
import { hostTable } from '../router/hosts.ts'
import { reachableFrom } from '../router/reachable.ts'

/**
 * How a listener finds the way of a connection that is not served as HTTP: by its port, or by the server name that TLS
 * gives.
 */
export function tcpRouterOf(
  listener: ListenerSpec,
  snapshot: Snapshot,
  routeOf: (spec: ServiceSpec) => TcpRoute,
): TcpRouter {
  if (listener.protocol === 'http') return () => null
  if (listener.service !== null) {
    const spec = own(snapshot.services, listener.service)
    // The router of requests has thrown already.
    if (spec === undefined) return () => null
    const route = routeOf(spec)
    return (_serverName, record) => {
      record.by = 'port'
      record.service = spec.name
      record.route = route.name
      return route
    }
  }
  if (listener.direction === 'inbound') return () => null
  const reachable = reachableFrom(snapshot)
  const byName = new Map(reachable.map(spec => [spec.name, routeOf(spec)]))
  const hosts = hostTable(reachable)
  return (serverName, record) => {
    const name = serverName === '' ? null : hosts(serverName)
    if (name === null) return null
    const route = byName.get(name)!
    record.by = 'sni'
    record.service = name
    record.route = route.name
    return route
  }
}

/** The first route that asks nothing of a request: nothing is known of one. */
export function firstCatchAll(spec: ServiceSpec): RouteSpec | undefined {
  return spec.routes.find(({ match }) => isCatchAll(match))
}

/** A service that has none is reached as a whole. */
export function everything(spec: ServiceSpec): RouteSpec {
  return {
    name: '/*',
    match: { path: { kind: 'prefix', value: '/' }, methods: [], headers: [], query: [] },
    to: [{ service: spec.name, subset: null, weight: 1 }],
    timeouts: null,
    retries: null,
  }
}
