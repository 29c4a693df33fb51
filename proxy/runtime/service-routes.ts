import type {
  DestinationSpec,
  Direction,
  RetrySpec,
  RouteSpec,
  ServiceSpec,
  Snapshot,
} from '../../mesh-config/snapshot.ts'
import type { ServiceCluster } from '../cluster/cluster.ts'
import type { Route, TcpRoute } from '../core/route.ts'
import { CONNECT } from '../core/tunnel.ts'
import { isGrpcCondition } from '../forward/grpc-retry.ts'
import { compileRoutes, type RouteTable } from '../router/compile.ts'
import { describeMatch } from '../router/describe.ts'
import type { CompileRegex } from '../router/predicate.ts'
import { type Destination, split } from '../router/split.ts'
import { type CountedTcp, routeStats, type Series, type StatsWriter, tcpStats } from '../telemetry/stats.ts'
import type { Change } from './change.ts'
import { everything, firstCatchAll } from './tcp-routes.ts'

/** What the routes of one snapshot are compiled from. */
export interface RoutesOf {
  readonly snapshot: Snapshot
  /** As the snapshot will have them. */
  readonly clusters: ReadonlyMap<string, ServiceCluster>
  /** Services of which nothing but endpoints differs from the snapshot in force. */
  readonly unchanged: ReadonlySet<string>
  readonly regex: CompileRegex
}

/** The routes of the services in a snapshot that is being prepared; compiled when first asked for. */
export interface ServiceRoutes extends Change {
  table(direction: Direction, spec: ServiceSpec): RouteTable
  tcp(direction: Direction, spec: ServiceSpec): TcpRoute
}

/** The routes of one service in one direction, and all they were compiled from. */
interface Compiled {
  readonly destinations: ReadonlyMap<string, ServiceCluster | undefined>
  readonly takesConnect: boolean
  table: RouteTable | null
  tcp: TcpRoute | null
}

type RouteSeries = ReturnType<typeof routeStats>

/**
 * Compiles the routes of services, and keeps them over snapshots: those of a service are compiled anew when the service
 * is another one, or one of the services they lead to has come or gone. So are their statistics kept, by their labels.
 */
export function serviceRoutes(stats: StatsWriter): (from: RoutesOf) => ServiceRoutes {
  let compiled = new Map<string, Compiled>()
  let requestSeries = new Map<string, RouteSeries>()
  let tcpSeries = new Map<string, CountedTcp>()

  return ({ snapshot, clusters, unchanged, regex }) => {
    const next = new Map<string, Compiled>()
    const nextRequest = new Map<string, RouteSeries>()
    const nextTcp = new Map<string, CountedTcp>()
    const takesConnect = snapshot.listeners.some(({ connect }) => connect !== null)

    function entryOf(direction: Direction, spec: ServiceSpec): Compiled {
      const key = `${direction} ${spec.name}`
      const known = next.get(key)
      if (known !== undefined) return known
      const before = compiled.get(key)
      const entry = isCurrent(spec.name, before) ? { ...before } : newEntry(spec)
      next.set(key, entry)
      return entry
    }

    function newEntry(spec: ServiceSpec): Compiled {
      const names = [spec.name, ...spec.routes.flatMap(({ to }) => to.map(({ service }) => service))]
      const destinations = new Map(names.map(name => [name, clusters.get(name)]))
      return { destinations, takesConnect, table: null, tcp: null }
    }

    function isCurrent(service: string, before: Compiled | undefined): before is Compiled {
      return (
        before !== undefined &&
        unchanged.has(service) &&
        before.takesConnect === takesConnect &&
        [...before.destinations].every(([name, cluster]) => clusters.get(name) === cluster)
      )
    }

    function countRequests(direction: Direction, spec: ServiceSpec, route: RouteSpec): RouteSeries {
      const labels = { direction, service: spec.name, path: route.name }
      const key = JSON.stringify(labels)
      const series = nextRequest.get(key) ?? requestSeries.get(key) ?? routeStats(stats, labels)
      nextRequest.set(key, series)
      return series
    }

    function countTcp(direction: Direction, spec: ServiceSpec): CountedTcp {
      const key = `${direction} ${spec.name}`
      const series = nextTcp.get(key) ?? tcpSeries.get(key) ?? tcpStats(stats, { direction, service: spec.name })
      nextTcp.set(key, series)
      return series
    }

    function compileTable(direction: Direction, spec: ServiceSpec): RouteTable {
      const candidates = spec.routes.map(route => ({
        match: route.match,
        route: { ...compileRoute(spec, route, clusters), stats: countRequests(direction, spec, route) },
      }))
      const table = compileRoutes(candidates, regex)
      return spec.protocol === 'tcp' ? request => (request.upgrade === CONNECT ? table(request) : null) : table
    }

    return {
      table(direction, spec) {
        if (spec.protocol === 'tcp' && !takesConnect) return NO_REQUESTS
        const entry = entryOf(direction, spec)
        if (entry.table === null) entry.table = compileTable(direction, spec)
        else for (const route of spec.routes) countRequests(direction, spec, route)
        return entry.table
      },
      tcp(direction, spec) {
        const entry = entryOf(direction, spec)
        const tcp = countTcp(direction, spec)
        entry.tcp ??= {
          ...compileRoute(spec, firstCatchAll(spec) ?? everything(spec), clusters),
          stats: UNCOUNTED,
          tcp,
        }
        return entry.tcp
      },
      commit() {
        stats.retire([...onlyIn(requestSeries, nextRequest), ...onlyIn(tcpSeries, nextTcp)])
        compiled = next
        requestSeries = nextRequest
        tcpSeries = nextTcp
      },
      abandon() {
        stats.retire([...onlyIn(nextRequest, requestSeries), ...onlyIn(nextTcp, tcpSeries)])
      },
    }
  }
}

/** No request goes to a service that speaks TCP. */
const NO_REQUESTS: RouteTable = () => null
const UNCOUNTED = { count() {}, countGrpc() {} }

/** The series of what is in one map and not in the other. */
function onlyIn(
  one: ReadonlyMap<string, { readonly series: readonly Series[] }>,
  other: ReadonlyMap<string, unknown>,
): Series[] {
  return [...one].flatMap(([key, { series }]) => (other.has(key) ? [] : series))
}

function compileRoute(
  spec: ServiceSpec,
  route: RouteSpec,
  clusters: ReadonlyMap<string, ServiceCluster>,
): Omit<Route, 'stats'> {
  const timeouts = route.timeouts ?? spec.timeouts
  const retries = route.retries ?? spec.retries
  const destinations = route.to.map(to => destinationOf(to, clusters.get(to.service)))
  return {
    name: route.name,
    service: spec.name,
    condition: describeMatch(route.match),
    filters: [],
    requestTimeoutMs: timeouts.requestMs,
    perTryTimeoutMs: timeouts.perTryMs,
    idleTimeoutMs: timeouts.idleMs,
    tunnelIdleMs: timeouts.tunnelMs,
    upgrades: new Set(spec.upgrades),
    grpcDeadline:
      timeouts.grpcTimeout === 'pass'
        ? null
        : { maxMs: timeouts.grpcTimeoutMaxMs, offsetMs: timeouts.grpcTimeoutOffsetMs },
    retry: retryPolicy(retries),
    destination: split(destinations),
    destinations,
  }
}

function retryPolicy({ attempts, replayBytes, on }: RetrySpec): Route['retry'] {
  return {
    attempts,
    replayBytes,
    on: new Set(on),
    anyMethod:
      attempts > 1 &&
      on.some(
        condition => condition === 'refused-stream' || condition === 'connect-failure' || isGrpcCondition(condition),
      ),
  }
}

function destinationOf(to: DestinationSpec, cluster: ServiceCluster | undefined): Destination {
  const { subset } = to
  return {
    name: subset === null ? to.service : `${to.service}/${subset}`,
    weight: to.weight,
    cluster: () =>
      cluster === undefined ? null : subset === null ? cluster.whole : (cluster.subsets.get(subset) ?? null),
  }
}
