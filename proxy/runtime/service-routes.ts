import { destinationsOf } from '../../mesh-config/destinations.ts'
import { own } from '../../mesh-config/own.ts'
import type {
  DestinationSpec,
  Direction,
  FallbackSpec,
  PriorityName,
  PrioritySpec,
  RouteSpec,
  ServiceSpec,
  Snapshot,
} from '../../mesh-config/snapshot.ts'
import type { ServiceCluster } from '../cluster/cluster.ts'
import { type Failure, failures } from '../core/failure.ts'
import { type Priority, type PriorityPolicy, priorities } from '../core/priority.ts'
import type { Fallback, Route, TcpRoute } from '../core/route.ts'
import { CONNECT } from '../core/tunnel.ts'
import { type Chain, NO_FILTERS, withRouteFilters } from '../filter/chains.ts'
import { compileRoutes, type RouteTable } from '../router/compile.ts'
import { describeMatch } from '../router/describe.ts'
import type { CompileRegex } from '../router/predicate.ts'
import { type Destination, split } from '../router/split.ts'
import { type RequestStats, type RequestStatsDeps, requestStats } from '../telemetry/request-stats.ts'
import { type CountedTcp, type Series, tcpStats } from '../telemetry/stats.ts'
import type { Change } from './change.ts'
import { retryPolicy } from './retry-policy.ts'
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
  /** `filters`: of the listener. */
  table(direction: Direction, spec: ServiceSpec, filters: Chain): RouteTable
  tcp(direction: Direction, spec: ServiceSpec): TcpRoute
}

/** The routes of one service in one direction, and what they were compiled from. */
interface Compiled {
  readonly destinations: ReadonlyMap<string, ServiceCluster | undefined>
  readonly takesConnect: boolean
  /** One for each chain of listener filters that it was asked for with. */
  readonly tables: Map<string, RouteTable>
  /** Null: none was asked for. */
  tcp: TcpRoute | null
  /** What its requests are counted in, by route. */
  requests: ReadonlyMap<string, RequestStats>
  tunnels: CountedTcp | null
}

/**
 * Compiles the routes of services, and keeps them over snapshots: those of a service are compiled anew when the service
 * or one of those they lead to is another one, has come or has gone. What they are counted in stays as long as
 * the route does.
 */
export function serviceRoutes(deps: RequestStatsDeps): (from: RoutesOf) => ServiceRoutes {
  let inForce: ReadonlyMap<string, Compiled> = new Map()
  return from => {
    const before = inForce
    const next = new Map<string, Compiled>()
    return {
      ...compiling(from, deps, before, next),
      commit() {
        deps.stats.retire(onlyIn(before, next))
        inForce = next
      },
      abandon: () => deps.stats.retire(onlyIn(next, before)),
    }
  }
}

function compiling(
  from: RoutesOf,
  deps: RequestStatsDeps,
  inForce: ReadonlyMap<string, Compiled>,
  next: Map<string, Compiled>,
): Pick<ServiceRoutes, 'table' | 'tcp'> {
  const { snapshot, clusters, unchanged, regex } = from
  const takesConnect = snapshot.listeners.some(({ connect }) => connect !== null)

  function entryOf(key: string, spec: ServiceSpec): Compiled {
    let entry = next.get(key)
    if (entry === undefined) {
      entry = {
        ...clustersOf(spec),
        takesConnect,
        tables: new Map(),
        tcp: null,
        requests: new Map(),
        tunnels: null,
      }
      next.set(key, entry)
    }
    return entry
  }

  function clustersOf(spec: ServiceSpec): Pick<Compiled, 'destinations'> {
    const names = [spec.name, ...destinationsOf(spec)]
    return { destinations: new Map(names.map(each => [each, clusters.get(each)])) }
  }

  /** Null: what it was compiled from is not what it was. */
  function current(key: string, { name }: ServiceSpec): Compiled | null {
    const before = inForce.get(key)
    if (before === undefined || !unchanged.has(name) || before.takesConnect !== takesConnect) return null
    for (const [each, cluster] of before.destinations)
      if (clusters.get(each) !== cluster || (cluster !== undefined && !unchanged.has(each))) return null
    return before
  }

  function compileTable(
    direction: Direction,
    spec: ServiceSpec,
    key: string,
    entry: Compiled,
    filters: Chain,
  ): RouteTable {
    const before = inForce.get(key)?.requests
    // Listeners with other filters count in the same series.
    const requests = new Map(entry.requests)
    entry.requests = requests
    const count = ({ name: path }: RouteSpec): RequestStats => {
      const labels = { direction, service: spec.name, path }
      const series = requests.get(path) ?? before?.get(path) ?? requestStats(deps, labels)
      requests.set(path, series)
      return series
    }
    const candidates = spec.routes.map(route => ({
      match: route.match,
      route: {
        ...compileRoute(spec, route, withRouteFilters(filters, route, snapshot.services), from),
        stats: count(route),
      },
    }))
    const table = compileRoutes(candidates, regex)
    return spec.protocol === 'tcp' ? request => (request.upgrade === CONNECT ? table(request) : null) : table
  }

  function compileTcp(direction: Direction, spec: ServiceSpec, key: string, entry: Compiled): TcpRoute {
    const tunnels = inForce.get(key)?.tunnels ?? tcpStats(deps.stats, { direction, service: spec.name })
    entry.tunnels = tunnels
    const route = compileRoute(spec, firstCatchAll(spec) ?? everything(spec), NO_FILTERS, from)
    return { ...route, stats: UNCOUNTED, tcp: tunnels }
  }

  return {
    table(direction, spec, filters) {
      if (spec.protocol === 'tcp' && !takesConnect) return NO_REQUESTS
      const key = `${direction} ${spec.name}`
      const entry = entryOf(key, spec)
      const known = entry.tables.get(filters.key)
      if (known !== undefined) return known
      const before = current(key, spec)
      const kept = before?.tables.get(filters.key)
      if (before !== null && kept !== undefined) entry.requests = before.requests
      const table = kept ?? compileTable(direction, spec, key, entry, filters)
      entry.tables.set(filters.key, table)
      return table
    },
    tcp(direction, spec) {
      const key = `${direction} ${spec.name}`
      const entry = entryOf(key, spec)
      if (entry.tcp !== null) return entry.tcp
      const before = current(key, spec)
      if (before !== null && before.tcp !== null) entry.tunnels = before.tunnels
      entry.tcp = before?.tcp ?? compileTcp(direction, spec, key, entry)
      return entry.tcp
    },
  }
}

/** No request goes to a service that speaks TCP. */
const NO_REQUESTS: RouteTable = () => null
const UNCOUNTED = { count() {} }

/** The series of what is counted by one and not by the other, which end. */
function onlyIn(one: ReadonlyMap<string, Compiled>, other: ReadonlyMap<string, Compiled>): Series[] {
  const found: Series[] = []
  for (const [key, { requests, tunnels }] of one) {
    const there = other.get(key)
    if (tunnels !== null && there?.tunnels !== tunnels) found.push(...tunnels.series)
    if (there?.requests === requests) continue
    for (const [path, series] of requests) if (there?.requests.get(path) !== series) found.push(...series.end())
  }
  return found
}

function compileRoute(
  spec: ServiceSpec,
  route: RouteSpec,
  filters: Chain,
  { snapshot: { services }, clusters, regex }: RoutesOf,
): Omit<Route, 'stats'> {
  const timeouts = route.timeouts ?? spec.timeouts
  const retries = route.retries ?? spec.retries
  const destinations = route.to.map(to => destinationOf(to, services, clusters.get(to.service)))
  return {
    name: route.name,
    service: spec.name,
    condition: describeMatch(route.match),
    filters,
    requestTimeoutMs: timeouts.requestMs,
    perTryTimeoutMs: timeouts.perTryMs,
    idleTimeoutMs: timeouts.idleMs,
    maxStreamMs: timeouts.maxStreamMs ?? 0,
    deadline: timeouts.deadline ?? 'enforce',
    tunnelIdleMs: timeouts.tunnelMs,
    upgrades: new Set(spec.upgrades),
    grpcDeadline:
      timeouts.grpcTimeout === 'pass'
        ? null
        : { maxMs: timeouts.grpcTimeoutMaxMs, offsetMs: timeouts.grpcTimeoutOffsetMs },
    retry: retryPolicy(retries, spec.routes.length === 1, regex),
    destination: split(destinations),
    destinations,
    priority: priorityPolicy(route.priority, spec.priority),
    fallback: fallbackOf(route.fallback ?? spec.fallback, services, clusters),
  }
}

function priorityPolicy(own: PriorityName | undefined, spec: PrioritySpec | undefined): PriorityPolicy | null {
  if (own === undefined && spec === undefined) return null
  return { header: spec?.header ?? '', usual: priorities.indexOf(own ?? spec!.usual) as Priority }
}

function fallbackOf(
  spec: FallbackSpec | undefined,
  services: Snapshot['services'],
  clusters: ReadonlyMap<string, ServiceCluster>,
): Fallback | null {
  if (spec === undefined) return null
  const { on, reply, to } = spec
  const other = to === null ? null : destinationOf({ ...to, weight: 1 }, services, clusters.get(to.service))
  return {
    on: new Set(on.flatMap(each => covered[each].map(({ failure }) => failure))),
    reply:
      reply === null
        ? null
        : { status: reply.status, headers: reply.headers.flat(), body: Buffer.from(reply.body), failure: null },
    name: other?.name ?? '',
    cluster: () => other?.cluster() ?? null,
  }
}

/** The failures that the words of `fallback.on` stand for. */
const covered: Readonly<Record<FallbackSpec['on'][number], readonly Failure[]>> = {
  breaker: [failures.breakerOpen],
  overflow: [failures.poolOverflow, failures.concurrencyLimit],
  'no-healthy-upstream': [failures.noHealthyUpstream],
}

function destinationOf(
  to: DestinationSpec,
  services: Snapshot['services'],
  cluster: ServiceCluster | undefined,
): Destination {
  const subset = to.subset ?? own(services, to.service)?.resolve?.defaultSubset ?? null
  return {
    name: subset === null ? to.service : `${to.service}/${subset}`,
    weight: to.weight,
    cluster: () =>
      cluster === undefined ? null : subset === null ? cluster.whole : (cluster.subsets.get(subset) ?? null),
  }
}
