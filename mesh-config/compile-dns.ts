import { addressOf } from './address.ts'
import { listenOf } from './compile-listeners.ts'
import { durationMs } from './duration.ts'
import type { SidecarDocument } from './sidecar.ts'
import type { NameServerSpec } from './snapshot.ts'

export function compileNameServer(dns: SidecarDocument['dns']): NameServerSpec | null {
  if (dns === undefined) return null
  const { remote, domain, addresses, ipv6, queries, connections } = dns
  return {
    listen: listenOf(dns.listen),
    remote,
    servers: dns.servers.map(addressOf),
    domain,
    addresses,
    ipv6: ipv6.toLowerCase(),
    ttlMs: durationMs(dns.ttl),
    timeoutMs: durationMs(dns.timeout),
    queries,
    perClient: Math.min(dns.perClient, queries),
    connections,
  }
}
