import type { Snapshot } from '../../mesh-config/snapshot.ts'
import type { Unknown } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import { askableName, hostTable, serviceOfHost } from '../router/hosts.ts'
import { reachableFrom } from '../router/reachable.ts'
import type { Wanted } from './wanted.ts'

/** How long a name counts as unknown, and how many do: names come from clients. */
const UNKNOWN_MS = 2_000
const MOST_UNKNOWN = 1_000

export interface Discover {
  /** Resolves when the service of a host is there (null), or with the reason why not. Null: nothing could know it. */
  discover(authority: string): Promise<Unknown | null> | null
  /**
   * The same, where a connection has somewhere else to go: a name that has just been asked for in vain, for whatever
   * reason, is not asked for again and delays nothing.
   */
  discoverAhead(authority: string): Promise<Unknown | null> | null
}

/** What of a snapshot says which services are found on demand. */
export type OnDemandSpec = Pick<Snapshot, 'onDemandMs' | 'clusterDomain'>

/** `spec`: as it is now; null: nothing is found on demand. */
export function discoverer(waiting: Wanted, clock: Clock, spec: () => OnDemandSpec | null): Discover {
  /** Until when. */
  const unknown = new Map<string, number>()

  function ask(authority: string): { readonly service: string; readonly limit: number } | null {
    const now = spec()
    if (now === null || now.onDemandMs === 0) return null
    const { onDemandMs: limit, clusterDomain } = now
    const service = clusterDomain === null ? serviceOfHost(authority) : askableName(authority, clusterDomain)
    return service === null ? null : { service, limit }
  }

  function remember(service: string): void {
    if (unknown.size >= MOST_UNKNOWN) unknown.delete(unknown.keys().next().value!)
    unknown.set(service, clock.now() + UNKNOWN_MS)
  }

  return {
    discover(authority) {
      const asked = ask(authority)
      return asked === null ? null : waiting.want(asked.service, asked.limit)
    },
    discoverAhead(authority) {
      const asked = ask(authority)
      if (asked === null) return null
      const { service, limit } = asked
      const until = unknown.get(service)
      if (until !== undefined && until > clock.now()) return null
      unknown.delete(service)
      return waiting.want(service, limit).then(why => {
        if (why !== null) remember(service)
        return why
      })
    },
  }
}

/** A name that the snapshot knows is waited for no longer. */
export function settleKnown(waiting: Wanted, snapshot: Snapshot): void {
  const names = waiting.names()
  if (names.length === 0) return
  const hosts = hostTable(reachableFrom(snapshot))
  for (const name of names)
    if (Object.hasOwn(snapshot.services, name) || hosts(name) !== null) waiting.settle(name, null)
}
