import { own } from '../../mesh-config/own.ts'
import type { ListenerSpec, RouteSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Route, TcpRoute, TcpRouter } from '../core/route.ts'
import { isCatchAll } from '../router/compile.ts'
import { hostTable } from '../router/hosts.ts'
import { reachableFrom } from '../router/reachable.ts'
import { type CountedTcp, type StatsWriter, tcpStats } from '../telemetry/stats.ts'

export interface TcpRoutesDeps {
  readonly stats: StatsWriter
  /** The series that are there, and those that the new snapshot keeps or makes. */
  readonly before: ReadonlyMap<string, CountedTcp>
  readonly after: Map<string, CountedTcp>
  /** A route but for what it counts. */
  compile(spec: ServiceSpec, route: RouteSpec): Omit<Route, 'stats'>
}

const NO_REQUESTS = { count() {}, countGrpc() {} }

/**
 * How a listener finds the way of a connection that is not served as HTTP: by its port, or by the server name that TLS
 * gives.
 */
export function tcpRouterOf(listener: ListenerSpec, snapshot: Snapshot, deps: TcpRoutesDeps): TcpRouter {
  if (listener.protocol === 'http') return () => null
  if (listener.service !== null) {
    const spec = own(snapshot.services, listener.service)
    // The router of requests has thrown already.
    if (spec === undefined) return () => null
    const route = tcpRoute(listener, spec, deps)
    return (_serverName, record) => {
      record.by = 'port'
      record.service = spec.name
      record.route = route.name
      return route
    }
  }
  const reachable = reachableFrom(snapshot)
  const byName = new Map(reachable.map(spec => [spec.name, tcpRoute(listener, spec, deps)]))
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

/**
 * The first route that asks nothing of a request: nothing is known of one. A service that has none is reached as a
 * whole.
 */
function tcpRoute(
  { direction }: ListenerSpec,
  spec: ServiceSpec,
  { stats, before, after, compile }: TcpRoutesDeps,
): TcpRoute {
  const key = `${direction} ${spec.name}`
  const tcp = after.get(key) ?? before.get(key) ?? tcpStats(stats, { direction, service: spec.name })
  after.set(key, tcp)
  const everything: RouteSpec = {
    name: '/*',
    match: { path: { kind: 'prefix', value: '/' }, methods: [], headers: [], query: [] },
    to: [{ service: spec.name, subset: null, weight: 1 }],
    timeouts: null,
    retries: null,
  }
  const route = spec.routes.find(({ match }) => isCatchAll(match)) ?? everything
  return { ...compile(spec, route), stats: NO_REQUESTS, tcp }
}
