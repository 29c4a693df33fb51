import { formatAddress } from '../../../mesh-config/address.ts'
import { longNames, serviceReference } from '../../../mesh-config/kubernetes-name.ts'
import type { KubernetesServiceSpec, KubernetesSpec, RegisteredNames } from '../../../mesh-config/snapshot.ts'
import type { Unknown } from '../../core/channel.ts'
import type { EndpointWatcher } from '../../core/source.ts'
import { messageOf } from '../words.ts'
import { type ApiDeps, kubernetesApi } from './api.ts'
import { type Finder, findService } from './find-service.ts'
import { type NamespaceWatch, namespaceWatch } from './namespace.ts'
import type { ServiceRecord } from './objects.ts'
import { portOf, protocolOf, usualPort } from './ports.ts'
import { type SourceDeps, watchService } from './source.ts'
import { type Way, wayOf } from './way.ts'

/** The Services of a cluster, as far as they are used here. */
export interface KubernetesRegistry {
  watch(service: KubernetesServiceSpec, watcher: EndpointWatcher, signal: AbortSignal): void
  /**
   * The service that a name means, which may be `orders.shop:9090`, or an `address:port` that a connection was made to:
   * by the one name that it has here.
   */
  find(name: string): Promise<{ readonly service: string } | Unknown>
  /** What else callers may name it; null: nothing is known of it. */
  registered(service: KubernetesServiceSpec): Registered
  /** The API server has listed such a service. */
  has(service: string): boolean
  close(): void
}

export interface Registered extends RegisteredNames {
  /** What the Service says is spoken there; null: nothing. */
  readonly protocol: 'http2' | 'grpc' | 'tcp' | null
}

export interface RegistryDeps extends ApiDeps, SourceDeps {
  readonly env: NodeJS.ProcessEnv
  /** Absent: that of a pod. */
  readonly account?: string
  /** What `registered` says may have changed. */
  readonly changed: () => void
}

/** A namespace that nothing is used of is watched for so long. */
const IDLE_MS = 60_000

export function kubernetesRegistry(spec: KubernetesSpec, deps: RegistryDeps): KubernetesRegistry {
  let way: Way
  try {
    way = wayOf(spec, deps.env, deps.account)
  } catch (error) {
    return unreachable(messageOf(error))
  }
  const { clock } = deps
  const api = kubernetesApi(way, deps)
  const namespaces = new Map<string, NamespaceWatch>()
  const finder: Finder = findService({
    own: way.namespace,
    clusterDomain: spec.clusterDomain,
    api,
    clock,
    watched: name => namespaces.get(name),
    all: () => namespaces.values(),
    open,
  })
  const idle = clock.timer(() => {
    for (const [name, each] of namespaces) {
      if (each.isFollowed() || (name === way.namespace && spec.onDemand !== null)) continue
      each.stop()
      namespaces.delete(name)
    }
    idle.arm(IDLE_MS)
  })
  idle.arm(IDLE_MS)

  function open(name: string): NamespaceWatch {
    const known = namespaces.get(name)
    if (known !== undefined) return known
    const made = namespaceWatch(
      { name, onServices: deps.changed, onSettled: () => finder.settled(name) },
      { ...deps, api },
    )
    namespaces.set(name, made)
    return made
  }

  const namespaceOf = ({ namespace }: KubernetesServiceSpec) => namespace ?? way.namespace
  // Names that callers use are looked up there.
  if (spec.onDemand !== null) open(way.namespace)

  return {
    watch(service, watcher, signal) {
      watchService(service, open(namespaceOf(service)), spec, watcher, deps, signal)
    },
    find: finder.find,
    registered(service) {
      const namespace = namespaceOf(service)
      const record = namespaces.get(namespace)?.services().get(service.name)
      const hosts = longNames(service.name, namespace, spec.clusterDomain)
      if (namespace === way.namespace) hosts.unshift(service.name)
      return { hosts, ...portOfService(service.port, record) }
    },
    has(service) {
      const meant = serviceReference(service, spec.clusterDomain)
      return (
        meant !== null &&
        (namespaces
          .get(meant.namespace ?? way.namespace)
          ?.services()
          .has(meant.name) ??
          false)
      )
    },
    close() {
      idle.cancel()
      for (const each of namespaces.values()) each.stop()
      api.close()
    },
  }
}

function portOfService(wanted: number | string | null, record: ServiceRecord | undefined): Omit<Registered, 'hosts'> {
  const port = record === undefined ? null : portOf(record, wanted)
  if (record === undefined || port === null) {
    const number = typeof wanted === 'number' ? wanted : 0
    return { port: number, isUsual: wanted === null, otherPorts: [], addresses: [], protocol: null }
  }
  const others = record.ports.filter(each => each !== port)
  return {
    port: port.port,
    isUsual: port === usualPort(record),
    otherPorts: others.map(each => each.port),
    addresses: record.addresses.map(address => formatAddress({ address, port: port.port })),
    protocol: protocolOf(port),
  }
}

/** Nothing can be asked, and everything that is asked is told why. */
function unreachable(reason: string): KubernetesRegistry {
  const names = { hosts: [], port: 0, isUsual: true, otherPorts: [], addresses: [], protocol: null }
  return {
    watch: (_service, watcher) => watcher.onTrouble(reason),
    find: name => Promise.resolve({ certain: false, reason: `"${name}" could not be looked up: ${reason}` }),
    registered: () => names,
    has: () => false,
    close() {},
  }
}
