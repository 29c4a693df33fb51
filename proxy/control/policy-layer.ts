import { destinationsOf } from '../../mesh-config/destinations.ts'
import { serviceMeant } from '../../mesh-config/kubernetes-name.ts'
import { own } from '../../mesh-config/own.ts'
import type {
  ConsulServiceSpec,
  ConsulSpec,
  DiscoverySpec,
  KubernetesServiceSpec,
  ServiceSpec,
  Snapshot,
} from '../../mesh-config/snapshot.ts'
import type { AgentDiscovery, AgentPolicy, Policies } from '../core/agent-policy.ts'
import { hash32 } from '../core/hash.ts'
import { isSame } from '../core/same.ts'
import { templateOf } from './on-demand-registry.ts'
import type { WatchedConfig } from './watched-services.ts'

/** A configuration with what the agent says of its services. */
export interface Layered {
  /** What is asked of discovery: with the services that policies lead to. */
  readonly watched: WatchedConfig
  /** For the data threads. */
  readonly snapshot: Snapshot
  /** Why the policies of these services do not count, by service. */
  readonly refused: ReadonlyMap<string, string>
}

/**
 * `extended`: the snapshot of `config` with the services found on demand. A policy takes the place of what the files
 * say of its service, but for the endpoints; a service that its routes lead to is looked up in Consul where the
 * sidecar may do that for any name.
 */
export function layered(config: WatchedConfig, extended: Snapshot, policies: Policies): Layered {
  const names = Object.keys(extended.services).filter(name => isGoverned(name, extended, policies))
  const refused = new Map<string, string>()
  if (names.length === 0) return { watched: config, snapshot: extended, refused }
  const { consul, kubernetes } = config.discovery
  const template = templateOf(config.discovery)
  const services: Record<string, ServiceSpec> = { ...extended.services }
  /** Services that no file names, and where they are. */
  const added = new Map<string, ConsulServiceSpec>()
  const inCluster = new Map<string, KubernetesServiceSpec>()
  const inForce = new Map<string, AgentPolicy>()
  // A service that a route leads to may have a policy too, so the list grows while it is walked.
  for (const name of names) {
    const policy = policies.get(name)!
    const missing = destinationsOf(policy.spec!).filter(to => !Object.hasOwn(services, to))
    if (missing.length > 0 && template === null) {
      refused.set(name, unknownTo(missing))
      continue
    }
    for (const to of missing) {
      services[to] = named(template!, to)
      if (kubernetes?.onDemand != null) inCluster.set(to, serviceMeant(to, kubernetes.clusterDomain))
      else added.set(to, inConsul(to, consul!))
      if (isGoverned(to, { services }, policies)) names.push(to)
    }
    services[name] = { ...policy.spec!, endpoints: services[name]!.endpoints }
    inForce.set(name, policy)
    const saysWhere = policy.discovery?.consul != null || policy.spec!.resolve !== undefined
    if (saysWhere && consul !== null && !Object.hasOwn(config.snapshot.services, name))
      added.set(name, added.get(name) ?? inConsul(name, consul))
  }
  const isWatched = (name: string) =>
    Object.hasOwn(config.snapshot.services, name) || added.has(name) || inCluster.has(name)
  const watchedServices = Object.fromEntries(Object.entries(services).filter(([name]) => isWatched(name)))
  return {
    watched: {
      snapshot: { ...config.snapshot, services: watchedServices },
      discovery: discoveryWith(
        config.discovery,
        { consul: [...added.values()], kubernetes: [...inCluster.values()] },
        inForce,
      ),
    },
    snapshot: { ...extended, services, version: `${extended.version}~${hashOf(inForce)}` },
    refused,
  }
}

/** Services of which discovery is asked other things than before; null: it is asked the same in all. */
export function askedAnew(before: WatchedConfig, after: WatchedConfig): readonly string[] | null {
  const [a, b] = [before.snapshot.services, after.snapshot.services]
  if (a === b && before.discovery === after.discovery) return null
  const isAsIs = (name: string) => {
    const [one, other] = [own(a, name), own(b, name)]
    if (one === undefined || other === undefined) return false
    return (
      one.balancer.subsetSize === other.balancer.subsetSize &&
      (one.subsets === other.subsets || isSame(one.subsets, other.subsets)) &&
      isSame(one.resolve ?? null, other.resolve ?? null) &&
      isSame(sourcesOf(name, before.discovery), sourcesOf(name, after.discovery))
    )
  }
  const changed = Object.keys(b).filter(name => !isAsIs(name))
  const gone = Object.keys(a).some(name => !Object.hasOwn(b, name))
  return changed.length === 0 && !gone ? null : changed
}

function sourcesOf(name: string, { consul, dns, kubernetes }: DiscoverySpec): unknown {
  const own = (sources: readonly { readonly service: string }[] | undefined) =>
    sources?.filter(({ service }) => service === name)
  return [own(consul?.services), own(dns), own(kubernetes?.services)]
}

function isGoverned(name: string, { services }: Pick<Snapshot, 'services'>, policies: Policies): boolean {
  return services[name]!.kind === 'named' && policies.get(name)?.spec != null
}

function unknownTo(names: readonly string[]): string {
  return `its routes lead to ${names.join(', ')}, which this sidecar does not know: name it under services: with its endpoints, or let the sidecar find services on demand (onDemand of discovery.consul or discovery.kubernetes)`
}

function named(template: ServiceSpec, name: string): ServiceSpec {
  return {
    ...template,
    name,
    routes: template.routes.map(route => ({ ...route, to: route.to.map(to => ({ ...to, service: name })) })),
  }
}

function inConsul(name: string, { datacenter, addressKind }: ConsulSpec): ConsulServiceSpec {
  return { service: name, name, datacenter, tags: [], addressKind, failover: [] }
}

function discoveryWith(
  discovery: DiscoverySpec,
  added: { readonly consul: readonly ConsulServiceSpec[]; readonly kubernetes: readonly KubernetesServiceSpec[] },
  policies: ReadonlyMap<string, AgentPolicy>,
): DiscoverySpec {
  const said = [...policies].flatMap(([name, policy]): [string, AgentDiscovery][] =>
    policy.discovery === null ? [] : [[name, policy.discovery]],
  )
  if (added.consul.length + added.kubernetes.length + said.length === 0) return discovery
  const over = <Source extends { readonly service: string }>(
    sources: readonly Source[],
    of: (part: AgentDiscovery) => readonly Source[] | null,
  ): readonly Source[] => {
    const replaced = new Map(said.flatMap(([name, part]) => (of(part) === null ? [] : [[name, of(part)!]])))
    return [...sources.filter(({ service }) => !replaced.has(service)), ...[...replaced.values()].flat()]
  }
  const { consul, dns, kubernetes } = discovery
  return {
    ...discovery,
    consul:
      consul === null
        ? null
        : { ...consul, services: over([...consul.services, ...added.consul], part => part.consul) },
    kubernetes: kubernetes === null ? null : { ...kubernetes, services: [...kubernetes.services, ...added.kubernetes] },
    dns: over(dns, part => part.dns),
  }
}

function hashOf(policies: ReadonlyMap<string, AgentPolicy>): string {
  const versions = [...policies].map(([name, { version }]) => `${name} ${version}`).sort()
  return hash32(versions.join('\n')).toString(16).padStart(8, '0')
}
