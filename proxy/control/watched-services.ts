import type { DiscoverySpec, EndpointSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Unknown } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { ServiceStatus } from '../core/source.ts'
import { discovery } from '../discovery/discovery.ts'
import type { LastKnown } from '../discovery/last-known.ts'
import type { DiscoveredService } from '../discovery/service-endpoints.ts'
import { probe } from '../system/probe.ts'
import type { ActiveChecks } from './active-checks.ts'
import { consulLink } from './consul-link.ts'
import { sweepIdle } from './idle-sweep.ts'
import { kubernetesLink } from './kubernetes-link.ts'
import { unknownByFiles } from './look-up.ts'
import { type LookUp, onDemand } from './on-demand.ts'
import { type OnDemandRegistry, onDemandRegistry, templateOf } from './on-demand-registry.ts'
import { registeredNames } from './registered-names.ts'
import { serviceSources } from './service-sources.ts'
import { toldEndpoints } from './told-endpoints.ts'
import type { DataThreads, FilledSnapshot } from './workers.ts'

/** Our own service, watched to know where its other instances stand: no name a service can have. */
const OWN = '(own service)'
const ZONE_MS = 100

export interface WatchedServicesOptions {
  /** The service this sidecar stands beside, as Consul knows it. */
  readonly service: string
  readonly lastKnown: LastKnown
  readonly threads: Pick<DataThreads, 'tell' | 'answer' | 'ask'>
  /** Brings the snapshot in force to the data threads anew: services were found or let go, or our zone was learnt. */
  readonly refresh: () => void
  readonly checks: Pick<ActiveChecks, 'follow' | 'overlay'>
  /** Services that a process before this one had found on demand. */
  readonly found?: readonly string[] | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** What a configuration asks of discovery. */
export interface WatchedConfig {
  readonly discovery: DiscoverySpec
  readonly snapshot: Snapshot
}

/** The services whose endpoints are watched: their sources, and what of them the data threads are told. */
export interface WatchedServices {
  /**
   * What `next` needs is watched from now on, besides what is in force; ready when these services have answered (null:
   * all), or have had their time.
   */
  prepare(next: WatchedConfig, services: readonly string[] | null): Promise<void>
  /** It is in force: nothing else is watched any longer. */
  commit(config: WatchedConfig): void
  /** It is not: as before. */
  abandon(): void
  /** With the services found on demand, and our zone where no file says it. */
  extend(snapshot: Snapshot, spec: DiscoverySpec): Snapshot
  /** With what its registry calls each service. */
  withNames(snapshot: Snapshot, spec: DiscoverySpec): Snapshot
  /** With the endpoints as they are now. */
  fill(snapshot: Snapshot): FilledSnapshot
  /** The endpoints of a service as discovery has them. */
  endpointsOf(service: ServiceSpec): readonly EndpointSpec[]
  /** Our checks say something else of a service. */
  checked(service: string): void
  /** The endpoints of a service that are not `passing`, by `address:port`, as the data threads know them. */
  unhealthy(service: string): ReadonlyMap<string, EndpointSpec>
  want(thread: number, service: string): void
  /**
   * The same for others than data threads: `answer` is told why it is not known; where it is found, the snapshot that
   * has it is the answer.
   */
  ask(service: string, answer: (why: Unknown) => void): void
  /** Of our agent in Consul; empty: not known. */
  datacenter(): string
  status(): readonly ServiceStatus[]
  /** Services found on demand. */
  found(): readonly string[]
  stop(): Promise<void>
}

export function watchedServices(options: WatchedServicesOptions): WatchedServices {
  const { threads, checks, clock, random, log, refresh } = options
  let inForce: WatchedConfig | null = null
  let preparing: WatchedConfig | null = null
  /** Services whose endpoints are discovered. */
  let watched = new Set<string>()
  /** Raised when what is not in the files changes the snapshot: a version is one content. */
  let revision = 0
  const sources = serviceSources({ clock, random, log })
  const told = toldEndpoints(threads, checks.overlay)
  const link = consulLink({
    clock,
    random,
    log,
    zoneChanged() {
      revision++
      if (inForce === null) return
      watch(inForce)
      refresh()
    },
  })
  const cluster = kubernetesLink({
    clock,
    random,
    log,
    changed: namesChanged,
  })
  const names = registeredNames(cluster.now, () =>
    inForce?.discovery.kubernetes?.onDemand == null ? [] : found.names(),
  )
  const discovered = discovery({
    clock,
    log,
    probe,
    lastKnown: options.lastKnown,
    random,
    massRemovalPercent: () => (preparing ?? inForce)?.discovery.massRemovalPercent ?? 100,
    changed(service, endpoints) {
      if (service === OWN) return told.ownChanged(endpoints)
      checks.follow(service, endpoints)
      told.changed(service, endpoints)
    },
  })
  const found = onDemand({
    clock,
    before: options.found ?? [],
    lookUp,
    names: async () => {
      const asked = registry()
      if (asked === null) throw new Error('no registry is configured')
      return asked.names(inForce?.snapshot.onDemandMs ?? 0)
    },
    registry: () => registry()?.name ?? 'the registry',
    changed() {
      revision++
      refresh()
    },
    drop(service) {
      if (isNamed(inForce, service) || isNamed(preparing, service)) return
      watched.delete(service)
      discovered.remove(service)
    },
  })
  const stopSweeping = sweepIdle(found, threads, () => registry()?.idleMs ?? 0, clock)

  function namesChanged(): void {
    if (inForce === null || !names.areOld(inForce.discovery)) return
    revision++
    refresh()
  }

  async function lookUp(service: string): Promise<LookUp> {
    const asked = registry()
    if (inForce === null || asked === null) return unknownByFiles(service)
    watched.add(service)
    discovered.add(asked.service(service))
    await discovered.firstAnswers([service], inForce.snapshot.onDemandMs)
    return asked.lookedUp(service, discovered.endpointsOf(service).length, discovered.status(service))
  }

  /** Of the configuration in force; null: services are not found on demand. */
  function registry(): OnDemandRegistry | null {
    return inForce === null ? null : onDemandRegistry(inForce.discovery, open(), sources, clock)
  }

  /** Null: none are discovered. */
  const discoveredOf = (service: string) => (watched.has(service) ? discovered.endpointsOf(service) : null)
  const open = () => ({ consul: link.now(), kubernetes: cluster.now() })

  async function ask(name: string, answer: (why: Unknown) => void): Promise<void> {
    const find = registry()?.find
    if (find == null) return found.want(name, answer)
    const meant = await find(name)
    if (!('service' in meant)) return answer(meant)
    if (!isNamed(inForce, meant.service)) return found.want(meant.service, answer)
    const isThere = inForce?.discovery.kubernetes?.services.some(each => each.service === meant.service) ?? false
    if (!isThere) return answer({ certain: true, reason: `"${meant.service}" is another service in the files` })
    // It is about to be known by that name too.
    revision++
    refresh()
  }

  /** Watches what a configuration needs, what was found or is being looked up, and nothing else but `besides`. */
  function watch(config: WatchedConfig, besides: readonly DiscoveredService[] = []): void {
    const wanted = servicesOf(config)
    watched = new Set(wanted.map(({ name }) => name))
    discovered.configure([...besides.filter(({ name }) => !watched.has(name)), ...wanted])
  }

  function servicesOf(config: WatchedConfig): DiscoveredService[] {
    const { discovery: spec, snapshot } = config
    link.follow(spec.consul)
    cluster.follow(spec.kubernetes)
    const named = Object.values(snapshot.services).map(service => sources.named(service, spec, open()))
    // Those with nothing but fixed endpoints are in the snapshot as they are.
    const services = named.filter(each => each.sources.length > 0 || each.subsetSize > 0)
    const asked = onDemandRegistry(spec, open(), sources, clock)
    if (asked !== null)
      for (const name of [...found.names(), ...found.lookedUp()])
        if (!isNamed(config, name)) services.push(asked.service(name))
    if (link.zone() !== '' || snapshot.zone !== '') services.push(...ownService(spec))
    return services
  }

  function ownService(spec: DiscoverySpec): DiscoveredService[] {
    const { consul, kubernetes } = open()
    if (spec.consul !== null && consul !== null) return [sources.inConsul(options.service, spec.consul, consul, OWN)]
    return kubernetes === null ? [] : [sources.inKubernetes(options.service, kubernetes, OWN)]
  }

  return {
    async prepare(next, services) {
      preparing = next
      watch(next, inForce === null ? [] : servicesOf(inForce))
      await discovered.firstAnswers(services, next.discovery.startTimeoutMs)
      // Where Consul answers it comes about now; where it does not, there is no point in waiting.
      await Promise.race([link.zoneAsked(), after(clock, ZONE_MS)])
    },
    commit(config) {
      inForce = config
      preparing = null
      watch(config)
      namesChanged()
    },
    abandon() {
      preparing = null
      if (inForce === null) return
      watch(inForce)
      refresh()
    },
    extend(snapshot, spec) {
      const more = found.extend(snapshot, templateOf(spec))
      const zone = link.zone()
      if (more === snapshot && (zone === '' || snapshot.zone !== '')) return snapshot
      return { ...more, zone: snapshot.zone || zone, version: `${snapshot.version}+${revision}` }
    },
    withNames(snapshot, spec) {
      const named = names.add(snapshot, spec)
      return named === snapshot ? snapshot : { ...named, version: `${snapshot.version}^${revision}` }
    },
    fill: snapshot => told.fill(snapshot, discoveredOf),
    endpointsOf: service => discoveredOf(service.name) ?? service.endpoints,
    checked: told.checked,
    unhealthy: told.unhealthy,
    want: (thread, service) =>
      void ask(service, why => threads.answer(thread, { kind: 'unknown-service', service, why })),
    ask: (service, answer) => void ask(service, answer),
    datacenter: link.datacenter,
    found: found.names,
    // A name that is only being looked up may be made up: it is no service yet.
    status() {
      const lookedUp = new Set(found.lookedUp())
      return discovered.statuses().filter(({ name }) => !lookedUp.has(name) || isNamed(inForce, name))
    },
    async stop() {
      stopSweeping()
      await discovered.stop()
      link.close()
      cluster.close()
    },
  }
}

function isNamed(config: WatchedConfig | null, service: string): boolean {
  return config !== null && Object.hasOwn(config.snapshot.services, service)
}

function after(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise(resolve => clock.timer(resolve).arm(milliseconds))
}
