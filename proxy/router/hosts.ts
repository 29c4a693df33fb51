import { hostOf } from '../../mesh-config/host-name.ts'

/** From a Host / :authority to the name of a service. */
export type HostTable = (authority: string) => string | null

/**
 * Accepts `orders`, `orders:80`, `orders.service.consul` (and with a datacenter: `orders.service.dc1.consul`), then the
 * names of `hosts:`. Case, the port and a dot at the end do not count. A wildcard `*.example.com` matches any name with
 * that end; the longest wins.
 */
export function hostTable(
  services: readonly { readonly name: string; readonly hosts: readonly string[] }[],
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
  wildcards.sort((a, b) => b.suffix.length - a.suffix.length)
  return authority => {
    // The common case costs one look-up and no string.
    const direct = exact.get(authority)
    if (direct !== undefined) return direct
    const host = hostOf(authority)
    const found = exact.get(host)
    if (found !== undefined) return found
    const consul = /^([^.]+)\.service(?:\.[^.]+)?\.consul$/.exec(host)?.[1]
    if (consul !== undefined) return exact.get(consul) ?? null
    for (const { suffix, service } of wildcards)
      if (host.endsWith(suffix) && host.length > suffix.length) return service
    return null
  }
}

/**
 * The service that a host means in Consul: `orders`, `orders:80`, `orders.service.consul`. Null: none, such as
 * `www.example.com` or an address.
 */
export function serviceOfHost(authority: string): string | null {
  const host = hostOf(authority)
  return /^([a-z0-9](?:[a-z0-9_-]{0,126}[a-z0-9])?)(?:\.service(?:\.[a-z0-9-]+)?\.consul)?$/.exec(host)?.[1] ?? null
}
