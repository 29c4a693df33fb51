import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'

/** A server that gave no answer is asked after the others for so long. */
const FAILED_MS = 10_000
/** The list of the system is read again when it is older than this. */
const FRESH_MS = 1_000
const DNS_PORT = 53
const MOST = 8

/** The name servers that queries are forwarded to. */
export interface NameServers {
  /** Null: the list is as new as can be. */
  refresh(): Promise<void> | null
  /** Those that answered before those that did not; otherwise in the order of the list. */
  inOrder(): readonly AddressSpec[]
  failed(server: AddressSpec): void
  answered(server: AddressSpec): void
}

export interface NameServersOptions {
  /** Empty: those of the system. */
  readonly configured: readonly AddressSpec[]
  /** The text of resolv.conf; empty where there is none. */
  readonly resolvConf: () => Promise<string>
  /** The name server of this sidecar itself: forwarding to it would go round in circles. */
  readonly isSelf: (server: AddressSpec) => boolean
  readonly changed: (servers: readonly AddressSpec[]) => void
  readonly clock: Pick<Clock, 'now'>
}

export function nameServers({ configured, resolvConf, isSelf, changed, clock }: NameServersOptions): NameServers {
  let servers = configured.filter(server => !isSelf(server))
  let text: string | null = null
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | null = null
  /** By `address port`. */
  const failedUntil = new Map<string, number>()

  async function read(): Promise<void> {
    const now = await resolvConf()
    readAt = clock.now()
    reading = null
    if (now === text) return
    text = now
    servers = serversOf(now).filter(server => !isSelf(server))
    failedUntil.clear()
    changed(servers)
  }

  return {
    refresh() {
      if (configured.length > 0 || clock.now() - readAt < FRESH_MS) return null
      reading ??= read()
      return reading
    },
    inOrder() {
      if (failedUntil.size === 0) return servers
      const now = clock.now()
      const hasFailed = (server: AddressSpec) => (failedUntil.get(key(server)) ?? 0) > now
      return [...servers.filter(server => !hasFailed(server)), ...servers.filter(hasFailed)]
    },
    failed: server => void failedUntil.set(key(server), clock.now() + FAILED_MS),
    answered: server => void failedUntil.delete(key(server)),
  }
}

function key({ address, port }: AddressSpec): string {
  return `${address} ${port}`
}

/** The lines `nameserver` of resolv.conf(5). */
export function serversOf(text: string): AddressSpec[] {
  const servers: AddressSpec[] = []
  for (const line of text.split('\n')) {
    const address = /^\s*nameserver\s+(\S+)/.exec(line)?.[1]
    if (address === undefined || !/^[0-9a-fA-F.:]+(%\S+)?$/.test(address) || servers.length >= MOST) continue
    if (!servers.some(known => known.address === address)) servers.push({ address, port: DNS_PORT })
  }
  return servers
}
