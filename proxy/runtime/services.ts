import { own as ownOf } from '../../mesh-config/own.ts'
import type { EndpointSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { policies } from '../balancer/policies.ts'
import { BREAKER_WORDS, Breaker } from '../cluster/breaker.ts'
import { type ClusterDeps, ServiceCluster } from '../cluster/cluster.ts'
import { CONCURRENCY_WORDS, Concurrency } from '../cluster/concurrency.ts'
import { usesOf } from '../cluster/limits.ts'
import { type AllMembers, membersOf } from '../cluster/members.ts'
import type { Locality } from '../cluster/zone.ts'
import type { Cells } from '../core/cells.ts'
import type { ByHandAnswer, ByHandQuestion, EndpointsDelta } from '../core/channel.ts'
import { ENDPOINT_WORDS } from '../core/ejection.ts'
import { Endpoint } from '../core/endpoint.ts'
import { EndpointLimits } from '../core/endpoint-limits.ts'
import type { Learnt } from '../core/learnt.ts'
import { isSame } from '../core/same.ts'
import { limited, SharedCounts } from '../core/shared-counts.ts'
import type { Counter, ProxyEvent } from '../core/telemetry.ts'
import { outlierDetector } from '../health/outlier.ts'
import { EndpointPool } from '../pool/endpoint-pool.ts'
import type { ServicePools } from '../pool/service-pools.ts'
import type { Transport } from '../pool/transport.ts'
import type { CompileRegex } from '../router/predicate.ts'
import { BreakerStats } from '../telemetry/breaker-stats.ts'
import { LimitStats } from '../telemetry/limit-stats.ts'
import { type Detections, detectionsOf } from '../telemetry/outlier-stats.ts'
import { endpointStats, type Series, type StatsWriter } from '../telemetry/stats.ts'
import type { Addresses } from './addresses.ts'
import type { Change } from './change.ts'
import { type PoolsOfDeps, policyOf, poolsOf, transportOf } from './pools-of.ts'

export interface ServicesDeps extends PoolsOfDeps {
  readonly stats: StatsWriter
  readonly cells: Cells
  readonly event: (event: ProxyEvent) => void
  /** Endpoints of the service were ejected or readmitted: other data threads are told. */
  readonly tellEjections: (service: string) => void
  /** Which service an address belongs to. */
  readonly addresses: Addresses
  /** By a process before this one. */
  readonly learnt?: Learnt | undefined
}

/** The services of a snapshot that is being prepared. */
export interface PreparedServices extends Change {
  /** By name. */
  readonly clusters: ReadonlyMap<string, ServiceCluster>
  /** Services of which nothing but endpoints differs from the snapshot in force. */
  readonly unchanged: ReadonlySet<string>
}

/** The services of a data thread: their clusters and pools, which live on over snapshots with all that was learnt. */
export interface Services {
  prepare(snapshot: Snapshot, regex: CompileRegex): PreparedServices
  /** Endpoints have changed since the snapshot. */
  change(service: string, delta: EndpointsDelta): void
  setOrigins(zones: Readonly<Record<string, number>>): void
  /** Another data thread has ejected or readmitted endpoints. */
  lookAgain(service: string): void
  /** An operator ejects or admits an endpoint. */
  byHand(question: ByHandQuestion): ByHandAnswer
  clusters(): ServiceCluster[]
  /** Of all services, for a process that takes over. */
  learnt(): Learnt
}

interface Entry {
  readonly limits: LimitStats
  readonly breaker: BreakerStats
  readonly detections: Detections
  readonly cluster: ServiceCluster
  readonly pools: ServicePools
}

type Entries = ReadonlyMap<string, Entry>

const NONE: Entries = new Map()
const NOWHERE: Counter = { values: new Float64Array(1), index: 0 }
/** How often gauges of limits are set. */
const SHOW_MS = 1000

export function services(deps: ServicesDeps): Services {
  let inForce = NONE
  let zone = ''
  let origins: Readonly<Record<string, number>> = {}

  /** From here on the services are as the snapshot says; those it no longer has are let go. */
  function configure(
    snapshot: Snapshot,
    entries: Entries,
    unchanged: ReadonlySet<string>,
    members: ReadonlyMap<string, AllMembers>,
    transports: ReadonlyMap<string, Transport>,
  ): void {
    const isElsewhere = zone !== snapshot.zone
    for (const [name, { cluster, pools }] of entries) {
      const spec = snapshot.services[name]!
      if (unchanged.has(name) && !isElsewhere) cluster.update(spec.endpoints)
      else {
        pools.configure(policyOf(spec), transports.get(name))
        cluster.configure(spec, snapshot.zone, members.get(name))
      }
    }
    for (const [name, entry] of inForce) if (entries.get(name) !== entry) retire(entry)
    inForce = entries
    zone = snapshot.zone
    keepAddresses(snapshot)
  }

  /** Only where connections are redirected here. */
  function keepAddresses({ listeners }: Snapshot): void {
    const { addresses } = deps
    const isOn = listeners.some(({ transparent }) => transparent !== undefined)
    if (isOn === addresses.isOn) return
    if (!isOn) return addresses.turnOff()
    addresses.turnOn()
    for (const { cluster } of inForce.values())
      if (cluster.spec.kind === 'named')
        for (const { name, spec } of cluster.endpoints) addresses.add({ name, virtual: spec.virtual }, cluster.name)
  }

  if (deps.cells.thread === 0) {
    const timer = deps.clock.timer(() => {
      for (const entry of inForce.values()) show(entry)
      timer.arm(SHOW_MS)
    })
    timer.arm(SHOW_MS)
  }

  return {
    prepare(snapshot, regex) {
      const entries = new Map<string, Entry>()
      const added: Entry[] = []
      const unchanged = new Set<string>()
      const members = new Map<string, AllMembers>()
      const transports = new Map<string, Transport>()
      for (const spec of Object.values(snapshot.services)) {
        const known = inForce.get(spec.name)
        const isUnchanged = known !== undefined && isSamePolicy(known.cluster.spec, spec)
        // Only what names a filter or failover needs patterns or anything made of them.
        const own = isUnchanged || spec.resolve === undefined ? undefined : membersOf(spec, regex)
        if (own !== undefined) members.set(spec.name, own)
        // Here, because certificates may turn out to be unusable.
        if (known !== undefined && !isUnchanged && isOtherTransport(known.cluster.spec, spec))
          transports.set(spec.name, transportOf(spec, deps))
        const entry = known ?? newEntry(spec, { zone: snapshot.zone, origins }, deps, own)
        // Only the first snapshot is of services that an earlier process may have had.
        if (inForce === NONE && deps.learnt !== undefined) entry.cluster.restore(ownOf(deps.learnt, spec.name) ?? [])
        if (known === undefined) added.push(entry)
        else if (isUnchanged) unchanged.add(spec.name)
        entries.set(spec.name, entry)
      }
      return {
        clusters: new Map([...entries].map(([name, { cluster }]) => [name, cluster])),
        unchanged,
        commit: () => configure(snapshot, entries, unchanged, members, transports),
        abandon() {
          for (const entry of added) retire(entry)
        },
      }
    },
    change: (service, delta) => inForce.get(service)?.cluster.change(delta),
    setOrigins(zones) {
      origins = zones
      for (const { cluster } of inForce.values()) cluster.setOrigins(zones)
    },
    lookAgain: service => inForce.get(service)?.cluster.lookAgain(),
    byHand: question =>
      inForce.get(question.service)?.cluster.byHand(question) ?? {
        done: false,
        why: `there is no service ${question.service}`,
      },
    clusters: () => [...inForce.values()].map(({ cluster }) => cluster),
    learnt: () => Object.fromEntries([...inForce].map(([name, { cluster }]) => [name, cluster.learnt()])),
  }
}

function retire({ cluster, limits, breaker, detections }: Entry): void {
  cluster.retire()
  detections.retire()
  limits.retire()
  breaker.retire()
}

/** What is left of the limits of a service that has been used, and how its breaker stands. */
function show({ cluster: { spec, admission }, limits, breaker: stats }: Entry): void {
  const { counts, uses, breaker } = admission
  if (breaker === null) stats.hide()
  else stats.show(breaker.state)
  limits.concurrency(admission.concurrency?.limit ?? null)
  if (uses === 0) return
  if (spec.limits.retries === undefined) limits.hide('retries')
  for (const { limit, used, most } of usesOf(spec.limits, counts)) limits.show(limit, most - used)
}

function newEntry(spec: ServiceSpec, locality: Locality, deps: ServicesDeps, members: AllMembers | undefined): Entry {
  const pools = poolsOf(spec, deps, new SharedCounts(`limits ${spec.name}`, deps.cells))
  const stats = {
    limits: new LimitStats(deps.stats, spec.name),
    breaker: new BreakerStats(deps.stats, spec.name),
    detections: detectionsOf(deps.stats, spec.name),
  }
  return { cluster: clusterOf(spec, locality, pools, stats, deps, members), pools, ...stats }
}

/** With its endpoints: a new port may take its first request before the last one is open. */
function clusterOf(
  spec: ServiceSpec,
  locality: Locality,
  pools: ServicePools,
  counted: Pick<Entry, 'breaker' | 'detections'>,
  { clock, random, stats, cells, event, tellEjections, addresses }: ServicesDeps,
  members: AllMembers | undefined,
): ServiceCluster {
  const series = new Map<string, readonly Series[]>()
  const deps: ClusterDeps = {
    clock,
    random,
    cells,
    policy: type => policies[type],
    locality,
    thread: cells.thread,
    counts: pools.permits.counts,
    createEndpoint(endpoint: EndpointSpec, name: string) {
      const own = endpointStats(stats, spec.name, name)
      series.set(name, own.series)
      if (spec.kind === 'named') addresses.add({ name, virtual: endpoint.virtual }, spec.name)
      // Gauges of data threads are added up, and all of them have an endpoint ejected: the first says so.
      const told = cells.thread === 0 ? own : { ...own, ejected: NOWHERE }
      const pool = new EndpointPool(endpoint.address, endpoint.port, pools, own)
      return new Endpoint(endpoint, name, pool, told, cells.open(`endpoint ${name} of ${spec.name}`, ENDPOINT_WORDS))
    },
    breaker: its =>
      new Breaker(its, {
        cell: cells.open(`breaker ${spec.name}`, BREAKER_WORDS),
        random,
        changed(to, reason, forMs) {
          counted.breaker.changed(to)
          event({ kind: 'breaker', cluster: spec.name, to, reason, forMs })
        },
      }),
    concurrency: its =>
      new Concurrency(its, { cell: cells.open(`concurrency ${spec.name}`, CONCURRENCY_WORDS), random }),
    limitEndpoint({ name, pool, active }, limits) {
      if (pool.room.limits !== null && limits !== undefined) pool.room.limits.spec = limits
      else pool.room.limits?.counts.close()
      if (limits === undefined) return pool.room.limitTo(null, 0, 0)
      const counts = pool.room.limits?.counts ?? new SharedCounts(`limits ${spec.name}/${name}`, cells)
      if (pool.room.limits === null) counts.begin(limited.requests, active)
      pool.room.limitTo(pool.room.limits ?? new EndpointLimits(counts, limits), pool.connections, pool.pending)
    },
    retireEndpoint(endpoint) {
      endpoint.pool.room.limits?.counts.close()
      endpoint.pool.drain()
      if (spec.kind === 'named') addresses.remove({ name: endpoint.name, virtual: endpoint.spec.virtual }, spec.name)
      stats.retire(series.get(endpoint.name) ?? [])
      series.delete(endpoint.name)
    },
    outliers: (changed, sets) =>
      outlierDetector(spec.name, {
        clock,
        random,
        cells,
        event,
        changed,
        sets,
        tell: () => tellEjections(spec.name),
        detected: counted.detections.count,
      }),
  }
  return new ServiceCluster(spec, deps, members)
}

function isOtherTransport(a: ServiceSpec, b: ServiceSpec): boolean {
  return !isSame([a.tls, a.protocol, a.kind], [b.tls, b.protocol, b.kind])
}

/** Endpoints are no policy: they change far more often. */
function isSamePolicy(a: ServiceSpec, b: ServiceSpec): boolean {
  return a === b || isSame({ ...a, endpoints: null }, { ...b, endpoints: null })
}
