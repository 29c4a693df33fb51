import { addressBytes } from '../../mesh-config/address.ts'
import { hostOf, portOf } from '../../mesh-config/host-name.ts'
import { serviceReference } from '../../mesh-config/kubernetes-name.ts'
import type { RegisteredNames } from '../../mesh-config/snapshot.ts'

/** From a Host / :authority to the name of a service. */
export type HostTable = (authority: string) => string | null

/**
 * Accepts `orders`, `orders:80`, `orders.service.consul` (and with a datacenter: `orders.service.dc1.consul`), then the
 * names of `hosts:`. Case, the port and a dot at the end do not count. A wildcard `*.example.com` matches any name with
 * that end; the longest wins. Names of a Service of Kubernetes come last, and there the port says which of its ports.
 */
export function hostTable(
  services: readonly {
    readonly name: string
    readonly hosts: readonly string[]
    readonly registered?: RegisteredNames
  }[],
): HostTable {
  const exact = new Map<string, string>()
  const wildcards: { readonly suffix: string; readonly service: string }[] = []
  for (const { name } of services) exact.set(name.toLowerCase(), name)
  for (const { name, hosts } of services) {
    for (const host of hosts) {
      const lower = host.toLowerCase()
      if (lower.startsWith('*.')) wildcards.push({ suffix: lower.slice(1), service: name })
      else exact.set(lower, name)
    }
  }
  const ports = addRegistered(services, exact)
  wildcards.sort((a, b) => b.suffix.length - a.suffix.length)
  return authority => {
    // The common case costs one look-up and no string.
    const direct = exact.get(authority)
    if (direct !== undefined) return direct
    const host = hostOf(authority)
    if (ports !== null) {
      const byPort = ports.get(host)?.get(portOf(authority))
      if (byPort !== undefined) return byPort
    }
    const found = exact.get(host)
    if (found !== undefined) return found
    const consul = /^([^.]+)\.service(?:\.[^.]+)?\.consul$/.exec(host)?.[1]
    if (consul !== undefined) return exact.get(consul) ?? null
    for (const { suffix, service } of wildcards)
      if (host.endsWith(suffix) && host.length > suffix.length) return service
    return null
  }
}

/** By host and port; null as a service: a port of the Service that nothing here stands for. */
type ByPort = Map<string, Map<string, string | null>>

/** Null: no service is known by its port. */
function addRegistered(
  services: readonly { readonly name: string; readonly registered?: RegisteredNames }[],
  exact: Map<string, string>,
): ByPort | null {
  const known = services.flatMap(({ name, registered }) => (registered === undefined ? [] : [{ name, ...registered }]))
  if (known.length === 0) return null
  const ports: ByPort = new Map()
  const at = (host: string) => {
    const there = ports.get(host) ?? new Map<string, string | null>()
    ports.set(host, there)
    return there
  }
  for (const { name, hosts, port, isUsual, addresses } of known) {
    for (const host of hosts) {
      if (port > 0) at(host).set(String(port), name)
      if (isUsual && !exact.has(host)) exact.set(host, name)
    }
    for (const address of addresses) if (!exact.has(address)) exact.set(address, name)
  }
  for (const { hosts, otherPorts } of known)
    for (const host of hosts)
      for (const port of otherPorts) if (!at(host).has(String(port))) at(host).set(String(port), null)
  return ports
}

/**
 * The service that a host means in Consul: `orders`, `orders:80`, `orders.service.consul`. Null: none, such as
 * `www.example.com` or an address.
 */
export function serviceOfHost(authority: string): string | null {
  const host = hostOf(authority)
  return /^([a-z0-9](?:[a-z0-9_-]{0,126}[a-z0-9])?)(?:\.service(?:\.[a-z0-9-]+)?\.consul)?$/.exec(host)?.[1] ?? null
}

/**
 * The name by which Kubernetes is asked: `orders`, `orders.shop:9090`, or the address that a connection was made to.
 * Null: it cannot know it.
 */
export function askableName(authority: string, clusterDomain: string): string | null {
  const meant = serviceReference(authority, clusterDomain)
  if (meant === null) return isAddress(authority) ? authority : null
  const { name, namespace, port } = meant
  return `${namespace === null ? name : `${name}.${namespace}`}${port === null ? '' : `:${port}`}`
}

function isAddress(authority: string): boolean {
  return portOf(authority) !== '' && addressBytes(hostOf(authority).replace(/^\[|\]$/g, '')) !== null
}
