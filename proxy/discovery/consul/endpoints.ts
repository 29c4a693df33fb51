import { formatAddress } from '../../../mesh-config/address.ts'
import type { Fact } from '../../../mesh-config/filter-expression.ts'
import type { ConsulServiceSpec, EndpointHealth, EndpointSpec } from '../../../mesh-config/snapshot.ts'
import { firstLine } from '../words.ts'
import { type Entry, entriesOf, type ServiceEntry } from './entry.ts'
import { judge } from './health.ts'
import { addressOfInstance } from './instance-address.ts'
import { zoneOf } from './zone.ts'

export interface Instances {
  /** By address. */
  readonly endpoints: EndpointSpec[]
  /** Why instances cannot be called, in words. */
  readonly skipped: readonly string[]
}

/** Kinds that accept only other sidecars, in mutual TLS. */
const NOT_CALLED = new Set(['connect-proxy', 'mesh-gateway', 'terminating-gateway'])

/** An address may be registered twice, mostly by a process that came back under another id: the better one counts. */
const RANK: Readonly<Record<EndpointHealth, number>> = {
  passing: 0,
  failing: 1,
  draining: 2,
  maintenance: 3,
  critical: 4,
}

/**
 * Turns Consul's answer for a service into endpoints. Throws an Error with a message for people when it is something
 * else.
 */
export function instancesOf(
  json: unknown,
  { tags, addressKind, facts = false }: Pick<ConsulServiceSpec, 'tags' | 'addressKind' | 'facts'>,
  priority: number,
  from?: string,
): Instances {
  const byAddress = new Map<string, EndpointSpec>()
  const skipped: string[] = []
  for (const entry of entriesOf(json)) {
    const { Kind = '', Tags, ID } = entry.Service
    if (NOT_CALLED.has(Kind) || !tags.every(tag => Tags?.includes(tag))) continue
    const endpoint = endpointOf(entry, addressKind, priority, facts)
    if (endpoint === null) {
      skipped.push(`${firstLine(String(ID ?? ''), 80)} has no port or no address`)
      continue
    }
    const key = formatAddress(endpoint)
    const twin = byAddress.get(key)
    if (twin === undefined || RANK[endpoint.health] < RANK[twin.health])
      byAddress.set(key, from === undefined ? endpoint : { ...endpoint, from })
  }
  const endpoints = [...byAddress].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint)
  return { endpoints, skipped }
}

function endpointOf(
  entry: Entry & { readonly Service: ServiceEntry },
  kind: ConsulServiceSpec['addressKind'],
  priority: number,
  facts: boolean,
): EndpointSpec | null {
  const address = addressOfInstance(entry, kind)
  if (address === null) return null
  const { Node, Service } = entry
  const { health, reason, weight } = judge(entry)
  const zone = zoneOf(
    { meta: Service.Meta, locality: Service.Locality },
    { meta: Node?.Meta, locality: Node?.Locality },
  )
  const metadata = {
    ...Service.Meta,
    ...Object.fromEntries((Service.Tags ?? []).map(tag => [`tag.${tag}`, 'true'])),
    ...(facts ? factsOf(entry) : {}),
  }
  const endpoint = { ...address, weight, priority, zone, metadata, health, healthReason: reason }
  const virtual = virtualOf(Service)
  return virtual === null ? endpoint : { ...endpoint, virtual }
}

/** What stands for the whole service: set by its owner, or given by Consul. */
function virtualOf({ TaggedAddresses }: ServiceEntry): string | null {
  const tagged = TaggedAddresses?.virtual ?? TaggedAddresses?.['consul-virtual']
  const { Address = '', Port = 0 } = tagged ?? {}
  return Address === '' || Port === 0 ? null : formatAddress({ address: Address, port: Port })
}

/** What filters may look at besides meta and tags. No key of Consul's own meta has a point in it. */
function factsOf({ Node, Service }: Entry & { readonly Service: ServiceEntry }): Record<string, string> {
  const facts: Readonly<Record<Exclude<Fact, 'service.port'>, string>> = {
    'service.id': Service.ID ?? '',
    'service.name': Service.Service ?? '',
    'service.address': Service.Address ?? '',
    'node.id': Node?.ID ?? '',
    'node.name': Node?.Node ?? '',
    'node.address': Node?.Address ?? '',
    'node.datacenter': Node?.Datacenter ?? '',
  }
  const meta = Object.entries(Node?.Meta ?? {}).map(([key, value]) => [`node.meta.${key}`, value])
  return { ...facts, ...Object.fromEntries(meta) }
}
