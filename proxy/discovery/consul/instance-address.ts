import type { AddressSpec, ConsulAddressKind } from '../../../mesh-config/snapshot.ts'
import type { Entry, ServiceEntry } from './entry.ts'

/** The names under which Consul keeps each kind of address, best first. */
const KEYS: Readonly<Record<ConsulAddressKind, readonly string[]>> = {
  service: [],
  lan: ['lan', 'lan_ipv4', 'lan_ipv6'],
  wan: ['wan', 'wan_ipv4', 'wan_ipv6'],
  virtual: ['virtual', 'consul-virtual'],
}

/**
 * The address of an instance: its own address of that kind, else its own address, else that kind of its node, else the
 * address of its node. A tagged address may have a port of its own. Null: there is no usable port, or no address that
 * is an IP address or a host name.
 */
export function addressOfInstance(
  { Node, Service }: Entry & { readonly Service: ServiceEntry },
  kind: ConsulAddressKind,
): AddressSpec | null {
  const tagged = KEYS[kind].map(key => Service.TaggedAddresses?.[key]).find(found => found?.Address)
  const ofNode = KEYS[kind].map(key => Node?.TaggedAddresses?.[key]).find(found => found)
  const address = tagged?.Address || Service.Address || ofNode || Node?.Address || ''
  const port = tagged?.Port || Service.Port || 0
  const host = address.replace(/^\[|\]$/g, '').toLowerCase()
  if (!/^[a-z0-9_.:%-]{1,253}$/.test(host) || !Number.isInteger(port) || port < 1 || port > 65_535) return null
  return { address: host, port }
}
