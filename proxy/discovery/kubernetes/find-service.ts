import { formatAddress } from '../../../mesh-config/address.ts'
import { serviceReference, shortName } from '../../../mesh-config/kubernetes-name.ts'
import type { Unknown } from '../../core/channel.ts'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../words.ts'
import type { KubernetesApi } from './api.ts'
import type { NamespaceWatch } from './namespace.ts'
import { nameOfPort, portOf, portsText, usualPort } from './ports.ts'
import { isDenied, KubernetesTrouble } from './trouble.ts'

/** Finds the Service that a caller's name means. Names come from callers, who can make them up. */
export interface Finder {
  find(name: string): Promise<{ readonly service: string } | Unknown>
  /** The Services of a namespace are known, or cannot be. */
  settled(namespace: string): void
}

export interface FinderOptions {
  /** Our namespace. */
  readonly own: string
  readonly clusterDomain: string
  readonly api: Pick<KubernetesApi, 'get'>
  readonly clock: Clock
  readonly watched: (namespace: string) => NamespaceWatch | undefined
  readonly all: () => Iterable<NamespaceWatch>
  readonly open: (namespace: string) => NamespaceWatch
}

/** Of names in namespaces that are not watched: how many are asked for at a time, and in a second. */
const MOST_ASKED = 16
const ASKED_PER_SECOND = 32
/** Such namespaces found for callers' names are watched. */
const MOST_NAMESPACES = 100
/** How long such an answer is believed, and of how many names: `github.com` may be asked for all the time. */
const BELIEVED_MS = 10_000
const MOST_BELIEVED = 1_000

export function findService(options: FinderOptions): Finder {
  const { own, clusterDomain, api, clock, watched, all, open } = options
  const waiting = new Map<string, (() => void)[]>()
  /** Why names in other namespaces are not known. */
  const answered = new Map<string, { readonly why: Unknown; readonly until: number }>()
  /** By `address:port`; null: not made since they changed. */
  let addresses: Map<string, string> | null = null
  const never = new AbortController().signal
  let asking = 0
  let credit = ASKED_PER_SECOND
  let creditAt = clock.now()

  function mayAsk(): boolean {
    const now = clock.now()
    credit = Math.min(ASKED_PER_SECOND, credit + ((now - creditAt) * ASKED_PER_SECOND) / 1_000)
    creditAt = now
    return credit >= 1 && asking < MOST_ASKED
  }

  /** Whether there is such a Service in a namespace that is not watched: one question, whatever names callers make up. */
  async function ask(name: string, namespace: string): Promise<Unknown | null> {
    const key = `${namespace}/${name}`
    const before = answered.get(key)
    if (before !== undefined && before.until > clock.now()) return before.why
    answered.delete(key)
    if (!mayAsk() || [...all()].length > MOST_NAMESPACES)
      return uncertain(name, 'too many names in other namespaces are being looked up')
    asking++
    credit--
    try {
      const path = `/api/v1/namespaces/${namespace}/services/${name}?resourceVersion=0`
      await api.get(path, `get on services in the namespace ${namespace}`, never)
      return null
    } catch (error) {
      const isAbsent = error instanceof KubernetesTrouble && error.status === 404
      const why = isAbsent ? nowhere(name, namespace) : uncertain(name, messageOf(error))
      if (isAbsent || isDenied(error)) {
        if (answered.size >= MOST_BELIEVED) answered.delete(answered.keys().next().value!)
        answered.set(key, { why, until: clock.now() + BELIEVED_MS })
      }
      return why
    } finally {
      asking--
    }
  }

  /** Resolves when its Services are known, or there is trouble. */
  function known(namespace: NamespaceWatch): Promise<void> {
    if (namespace.areServicesKnown() || namespace.trouble() !== '') return Promise.resolve()
    return new Promise(resolve => {
      waiting.set(namespace.name, [...(waiting.get(namespace.name) ?? []), resolve])
    })
  }

  async function byName(name: string, where: string, wanted: number | null) {
    if (watched(where) === undefined) {
      const why = await ask(name, where)
      if (why !== null) return why
    }
    const namespace = open(where)
    await known(namespace)
    const record = namespace.services().get(name)
    if (record === undefined) {
      const trouble = namespace.trouble()
      return trouble === '' ? nowhere(name, where) : uncertain(name, trouble)
    }
    // A name with a port that the Service has not is mostly one with the port of a proxy.
    const port = (wanted === null ? null : portOf(record, wanted)) ?? usualPort(record)
    if (port !== null) return { service: nameOfPort(record, port, where, own) }
    const short = shortName(name, where, own)
    if (record.externalName !== '') return { service: short }
    if (record.ports.length === 0 && wanted !== null) return { service: `${short}:${wanted}` }
    const reason = `the Service ${name} has the ports ${portsText(record)}: name one of them, as in ${name}:${record.ports[0]?.port ?? 8080}`
    return { certain: true, reason }
  }

  async function byAddress(address: string) {
    const namespaces = [...all()]
    await Promise.all(namespaces.map(known))
    addresses ??= addressesOf(namespaces, own)
    const service = addresses.get(address)
    if (service !== undefined) return { service }
    const trouble = namespaces.map(each => each.trouble()).find(text => text !== '')
    return trouble === undefined
      ? { certain: true, reason: `${address} belongs to no Service that is watched` }
      : uncertain(address, trouble)
  }

  return {
    async find(name) {
      const meant = serviceReference(name, clusterDomain)
      return meant === null ? byAddress(name) : byName(meant.name, meant.namespace ?? own, meant.port)
    },
    settled(namespace) {
      addresses = null
      const resolves = waiting.get(namespace) ?? []
      waiting.delete(namespace)
      for (const resolve of resolves) resolve()
    },
  }
}

/** Virtual addresses of Services, with the names that their ports have here. */
function addressesOf(namespaces: readonly NamespaceWatch[], own: string): Map<string, string> {
  const addresses = new Map<string, string>()
  for (const namespace of namespaces)
    for (const record of namespace.services().values())
      for (const address of record.addresses)
        for (const port of record.ports)
          addresses.set(formatAddress({ address, port: port.port }), nameOfPort(record, port, namespace.name, own))
  return addresses
}

function nowhere(name: string, namespace: string): Unknown {
  return { certain: true, reason: `there is no Service ${name} in the namespace ${namespace}` }
}

function uncertain(name: string, why: string): Unknown {
  return { certain: false, reason: `"${name}" could not be looked up: ${why}` }
}
