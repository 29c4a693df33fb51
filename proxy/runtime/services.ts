import { own as ownOf } from '../../mesh-config/own.ts'
import type { EndpointSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { policies } from '../balancer/policies.ts'
import { type ClusterDeps, ServiceCluster } from '../cluster/cluster.ts'
import { type AllMembers, membersOf } from '../cluster/members.ts'
import type { Locality } from '../cluster/zone.ts'
import type { Cells } from '../core/cells.ts'
import type { EndpointsDelta } from '../core/channel.ts'
import { Endpoint } from '../core/endpoint.ts'
import type { Learnt } from '../core/learnt.ts'
import { isSame } from '../core/same.ts'
import type { ProxyEvent } from '../core/telemetry.ts'
import { outlierDetector } from '../health/outlier.ts'
import { EndpointPool } from '../pool/endpoint-pool.ts'
import type { ServicePools } from '../pool/service-pools.ts'
import type { Transport } from '../pool/transport.ts'
import type { CompileRegex } from '../router/predicate.ts'
import { endpointStats, type Series, type StatsWriter } from '../telemetry/stats.ts'
import type { Addresses } from './addresses.ts'
import type { Change } from './change.ts'
import { type PoolsOfDeps, policyOf, poolsOf, transportOf } from './pools-of.ts'

export interface ServicesDeps extends PoolsOfDeps {
  readonly stats: StatsWriter
  readonly cells: Cells
  readonly event: (event: ProxyEvent) => void
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
  clusters(): ServiceCluster[]
  /** Of all services, for a process that takes over. */
  learnt(): Learnt
}

interface Entry {
  readonly cluster: ServiceCluster
  readonly pools: ServicePools
}

type Entries = ReadonlyMap<string, Entry>

const NONE: Entries = new Map()

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
    for (const [name, entry] of inForce) if (entries.get(name) !== entry) entry.cluster.retire()
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
          for (const { cluster } of added) cluster.retire()
        },
      }
    },
    change: (service, delta) => inForce.get(service)?.cluster.change(delta),
    setOrigins(zones) {
      origins = zones
      for (const { cluster } of inForce.values()) cluster.setOrigins(zones)
    },
    clusters: () => [...inForce.values()].map(({ cluster }) => cluster),
    learnt: () => Object.fromEntries([...inForce].map(([name, { cluster }]) => [name, cluster.learnt()])),
  }
}

function newEntry(spec: ServiceSpec, locality: Locality, deps: ServicesDeps, members: AllMembers | undefined): Entry {
  const pools = poolsOf(spec, deps)
  return { cluster: clusterOf(spec, locality, pools, deps, members), pools }
}

/** With its endpoints: a new port may take its first request before the last one is open. */
function clusterOf(
  spec: ServiceSpec,
  locality: Locality,
  pools: ServicePools,
  { clock, random, stats, event, addresses }: ServicesDeps,
  members: AllMembers | undefined,
): ServiceCluster {
  const series = new Map<string, readonly Series[]>()
  const deps: ClusterDeps = {
    clock,
    random,
    policy: type => policies[type],
    locality,
    createEndpoint(endpoint: EndpointSpec, name: string) {
      const own = endpointStats(stats, spec.name, name)
      series.set(name, own.series)
      if (spec.kind === 'named') addresses.add({ name, virtual: endpoint.virtual }, spec.name)
      return new Endpoint(endpoint, name, new EndpointPool(endpoint.address, endpoint.port, pools, own), own)
    },
    retireEndpoint(endpoint) {
      endpoint.pool.drain()
      if (spec.kind === 'named') addresses.remove({ name: endpoint.name, virtual: endpoint.spec.virtual }, spec.name)
      stats.retire(series.get(endpoint.name) ?? [])
      series.delete(endpoint.name)
    },
    outliers: (changed, sets) => outlierDetector(spec.name, { clock, event, changed, sets }),
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
