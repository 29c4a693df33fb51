import type {
  ConsulServiceSpec,
  ConsulSpec,
  DiscoverySpec,
  EndpointSpec,
  ServiceSpec,
  Snapshot,
} from '../../mesh-config/snapshot.ts'
import type { Unknown } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import { deltaOf } from '../core/endpoints-delta.ts'
import type { Log } from '../core/log.ts'
import type { ServiceStatus } from '../core/source.ts'
import { agentZone, catalogNames } from '../discovery/consul/agent.ts'
import { type ConsulClient, consulClient } from '../discovery/consul/client.ts'
import { consulSource } from '../discovery/consul/source.ts'
import { discovery } from '../discovery/discovery.ts'
import { dnsSource } from '../discovery/dns.ts'
import { fileSource } from '../discovery/file.ts'
import type { LastKnown } from '../discovery/last-known.ts'
import type { DiscoveredService, ServiceSource } from '../discovery/service-endpoints.ts'
import { resolver } from '../system/dns.ts'
import { lookupName } from '../system/names.ts'
import { probe } from '../system/probe.ts'
import { endpointReader } from './endpoint-reader.ts'
import { onDemand } from './on-demand.ts'
import { signatureOf, watchFiles } from './watch-files.ts'
import type { DataThreads, Peers } from './workers.ts'

/** Our own service, watched to know where its other instances stand: no name a service can have. */
const OWN = '(own service)'
/** Services found on demand are looked at so often within the time they may be idle. */
const SWEEPS = 5
const ZONE_MS = 100

export interface PeersOptions {
  /** The service this sidecar stands beside, as Consul knows it. */
  readonly service: string
  readonly lastKnown: LastKnown
  readonly threads: Pick<DataThreads, 'tell' | 'answer' | 'ask'>
  /** Applies the snapshot in force anew: services were found or let go, or our zone was learnt. */
  readonly reapply: () => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** What a configuration asks of discovery. */
export interface PeersConfig {
  readonly discovery: DiscoverySpec
  readonly snapshot: Snapshot
}

/** Joins discovery with the data threads: who there is, in every snapshot and as it changes. */
export interface PeersOfServices {
  /**
   * What `next` needs is watched from now on, besides what is in force; ready when it has answered, or has had its
   * time.
   */
  prepare(next: PeersConfig): Promise<void>
  /** It is in force: nothing else is watched any longer. */
  commit(config: PeersConfig): void
  /** It is not: as before. */
  abandon(): void
  /** With the services found on demand, and our zone where no file says it. */
  extend(snapshot: Snapshot, spec: DiscoverySpec): Snapshot
  /** With the endpoints as they are now. */
  fill(snapshot: Snapshot): Peers
  want(thread: number, service: string): void
  status(): readonly ServiceStatus[]
  stop(): Promise<void>
}

export function peers(options: PeersOptions): PeersOfServices {
  const { threads, clock, random, log } = options
  let inForce: PeersConfig | null = null
  let preparing: PeersConfig | null = null
  let massRemovalPercent = 100
  let client: { readonly key: string; readonly client: ConsulClient } | null = null
  let zone = ''
  let origins: Readonly<Record<string, number>> = {}
  /** Services whose endpoints are discovered. */
  let watched = new Set<string>()
  /** What the data threads were told last, by service. */
  const told = new Map<string, readonly EndpointSpec[]>()
  /** Raised when what is not in the files changes the snapshot: a version is one content. */
  let revision = 0

  const readEndpointText = endpointReader(clock)
  const found = onDemand({
    clock,
    async lookUp(service) {
      const spec = inForce?.discovery
      const own = client?.client ?? null
      if (inForce === null || spec?.consul?.onDemand == null || own === null) return unknownByFiles(service)
      watched.add(service)
      discovered.add(discoveredService(service, null, spec, own))
      await discovered.firstAnswers([service], inForce.snapshot.onDemandMs)
      return discovered.endpointsOf(service).length > 0 ? 'found' : whyNot(service)
    },
    async names() {
      const limit = new AbortController()
      const timer = clock.timer(() => limit.abort())
      timer.arm(inForce?.snapshot.onDemandMs ?? 0)
      try {
        if (client === null) throw new Error('no registry is configured')
        return await catalogNames(client.client, limit.signal)
      } finally {
        timer.cancel()
      }
    },
    changed() {
      revision++
      options.reapply()
    },
    drop(service) {
      if (isNamed(inForce, service) || isNamed(preparing, service)) return
      watched.delete(service)
      discovered.remove(service)
    },
  })

  /** Only what the registry itself said is certain: not that it was not asked, or gave no answer. */
  function whyNot(service: string): Unknown {
    const sources = discovered.status(service)?.sources ?? []
    const trouble = sources.find(({ state }) => state !== 'fresh')
    if (sources.length > 0 && trouble === undefined)
      return { certain: true, reason: `Consul knows no instance of "${service}"` }
    return {
      certain: false,
      reason: `"${service}" could not be looked up: ${trouble?.trouble || 'Consul gave no answer in time'}`,
    }
  }

  const discovered = discovery({
    clock,
    log,
    probe,
    lastKnown: options.lastKnown,
    random,
    massRemovalPercent: () => massRemovalPercent,
    changed(service, endpoints) {
      if (service === OWN) return setOrigins(endpoints)
      const before = told.get(service)
      // Not in a snapshot yet: it will come with one.
      if (before === undefined) return
      const delta = deltaOf(before, endpoints)
      told.set(service, endpoints)
      if (delta !== null) threads.tell({ kind: 'endpoints', service, delta })
    },
  })

  function setOrigins(endpoints: readonly EndpointSpec[]): void {
    const counts = new Map<string, number>()
    for (const { health, zone: its } of endpoints)
      if (health === 'passing' && its !== '') counts.set(its, (counts.get(its) ?? 0) + 1)
    const zones = Object.fromEntries(counts)
    if (JSON.stringify(zones) === JSON.stringify(origins)) return
    origins = zones
    threads.tell({ kind: 'origins', zones })
  }

  /** Watches what a configuration needs, what was found or is being looked up, and nothing else but `besides`. */
  function watch(config: PeersConfig, besides: readonly DiscoveredService[] = []): void {
    const wanted = servicesOf(config)
    watched = new Set(wanted.map(({ name }) => name))
    discovered.configure([...besides.filter(({ name }) => !watched.has(name)), ...wanted])
  }

  function servicesOf(config: PeersConfig): DiscoveredService[] {
    const { discovery: spec, snapshot } = config
    const own = connect(spec.consul)
    const onDemandNames =
      spec.consul?.onDemand == null
        ? []
        : [...found.names(), ...found.lookedUp()].filter(name => !isNamed(config, name))
    const services = Object.values(snapshot.services).map(service =>
      discoveredService(service.name, service, spec, own),
    )
    for (const name of onDemandNames) services.push(discoveredService(name, null, spec, own))
    if (own !== null && (zone !== '' || snapshot.zone !== ''))
      services.push({
        name: OWN,
        fixed: [],
        sources: [consulSourceOf(inConsul(OWN, options.service, spec.consul!), own)],
        subsetSize: 0,
        subsets: {},
      })
    // Those with nothing but fixed endpoints are in the snapshot as they are.
    return services.filter(({ sources, subsetSize }) => sources.length > 0 || subsetSize > 0)
  }

  function discoveredService(
    name: string,
    service: ServiceSpec | null,
    spec: DiscoverySpec,
    own: ConsulClient | null,
  ): DiscoveredService {
    const sources: ServiceSource[] = [
      ...spec.files
        .filter(file => file.service === name)
        .map(file => ({
          key: JSON.stringify(file),
          source: fileSource(file, { clock, watchFiles, signatureOf, readEndpointText }),
        })),
      ...spec.dns
        .filter(dns => dns.service === name)
        .map(dns => ({ key: JSON.stringify(dns), source: dnsSource(dns, { clock, random, resolver }) })),
    ]
    const listed =
      service === null ? inConsul(name, name, spec.consul!) : spec.consul?.services.find(each => each.service === name)
    if (listed !== undefined && own !== null) sources.push(consulSourceOf(listed, own))
    return {
      name,
      fixed: service?.endpoints ?? [],
      sources,
      subsetSize: service?.balancer.subsetSize ?? 0,
      subsets: service?.subsets ?? {},
    }
  }

  function consulSourceOf(service: ConsulServiceSpec, own: ConsulClient): ServiceSource {
    return { key: JSON.stringify([service, client!.key]), source: consulSource(service, own, { clock, random, log }) }
  }

  /** One client as long as the way to Consul is the same. */
  function connect(spec: ConsulSpec | null): ConsulClient | null {
    if (spec === null) {
      client?.client.close()
      client = null
      return null
    }
    const { services: _services, onDemand: _onDemand, idleMs: _idle, ...way } = spec
    const key = JSON.stringify(way)
    if (client?.key !== key) {
      client?.client.close()
      client = { key, client: consulClient(spec, { clock, random, log, lookup: lookupName }) }
      void learnZone(client.client)
    }
    return client.client
  }

  let zoneLearnt: Promise<void> = Promise.resolve()
  function learnZone(own: ConsulClient): Promise<void> {
    zoneLearnt = agentZone(own, { clock, random, log }).then(learnt => {
      if (learnt === null || learnt === zone) return
      zone = learnt
      revision++
      if (inForce === null) return
      watch(inForce)
      options.reapply()
    })
    return zoneLearnt
  }

  const sweep = clock.timer(async () => {
    const idleMs = inForce?.discovery.consul?.idleMs ?? 0
    if (idleMs > 0 && found.names().length > 0) {
      const uses = new Map<string, number>()
      for (const { answer } of await threads.ask({ what: 'uses' })) {
        if (answer === null || !('uses' in answer)) continue
        for (const [service, count] of Object.entries(answer.uses)) uses.set(service, (uses.get(service) ?? 0) + count)
      }
      found.sweep(uses, idleMs)
    }
    sweep.arm(Math.max(1_000, (idleMs || 60_000) / SWEEPS))
  })
  sweep.arm(1_000)

  return {
    async prepare(next) {
      massRemovalPercent = next.discovery.massRemovalPercent
      preparing = next
      watch(next, inForce === null ? [] : servicesOf(inForce))
      await discovered.firstAnswers(null, next.discovery.startTimeoutMs)
      // Where Consul answers it comes about now; where it does not, there is no point in waiting.
      await Promise.race([zoneLearnt, after(clock, ZONE_MS)])
    },
    commit(config) {
      inForce = config
      preparing = null
      watch(config)
    },
    abandon() {
      preparing = null
      if (inForce === null) return
      watch(inForce)
      options.reapply()
    },
    extend(snapshot, spec) {
      const more = found.extend(snapshot, spec.consul?.onDemand ?? null)
      if (more === snapshot && (zone === '' || snapshot.zone !== '')) return snapshot
      return { ...more, zone: snapshot.zone || zone, version: `${snapshot.version}+${revision}` }
    },
    fill(snapshot) {
      const services = Object.entries(snapshot.services).map(([name, service]): [string, ServiceSpec] => {
        const endpoints = watched.has(name) ? discovered.endpointsOf(name) : service.endpoints
        told.set(name, endpoints)
        return [name, { ...service, endpoints }]
      })
      for (const name of told.keys()) if (!Object.hasOwn(snapshot.services, name)) told.delete(name)
      return { snapshot: { ...snapshot, services: Object.fromEntries(services) }, origins }
    },
    want: (thread, service) =>
      found.want(service, why => threads.answer(thread, { kind: 'unknown-service', service, why })),
    // A name that is only being looked up may be made up: it is no service yet.
    status() {
      const lookedUp = new Set(found.lookedUp())
      return discovered.statuses().filter(({ name }) => !lookedUp.has(name) || isNamed(inForce, name))
    },
    async stop() {
      sweep.cancel()
      await discovered.stop()
      client?.client.close()
    },
  }
}

function isNamed(config: PeersConfig | null, service: string): boolean {
  return config !== null && Object.hasOwn(config.snapshot.services, service)
}

function unknownByFiles(service: string): Unknown {
  return { certain: true, reason: `no service is known as "${service}"` }
}

/** `name`: as Consul knows it. */
function inConsul(service: string, name: string, { datacenter, addressKind }: ConsulSpec): ConsulServiceSpec {
  return { service, name, datacenter, tags: [], addressKind, failover: [] }
}

function after(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise(resolve => clock.timer(resolve).arm(milliseconds))
}
