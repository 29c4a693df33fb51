import type { Clock } from '../../core/clock.ts'

/**
 * A query that waits at Consul holds a connection, and an agent takes 200 from a host, over all its sidecars
 * (`limits.http_max_conns_per_client`). So the number of waiting queries is limited; further services are watched
 * together (crowd.ts). The agent may refuse even so, when other processes hold many: then the limit is halved for a
 * while.
 */
export interface Parking {
  /**
   * Whether this holder's query may wait on a connection of its own now; it stays admitted until it leaves or the limit
   * falls below it.
   */
  mayPark(holder: object): boolean
  leave(holder: object): void
  /** The agent's limit for a host; 0: none. */
  allow(connections: number): void
  /** The agent has refused a connection. */
  crowdedOut(): void
  limit(): number
}

/** The limit while the agent's is not known. */
const UNKNOWN_ALLOWED = 200
/** The share of the agent's limit: the other half is for other sidecars and for people. */
const SHARE = 0.5
const MOST = 1_000
const LEAST = 4
/** After a refusal the limit doubles at this interval. */
const REGROW_MS = 300_000

export function parking(clock: Clock): Parking {
  const holders = new Set<object>()
  let most = limitOf(UNKNOWN_ALLOWED)
  let limit = most
  let changedAt = 0

  function regrow(): void {
    if (limit >= most || clock.now() - changedAt < REGROW_MS) return
    limit = Math.min(most, limit * 2)
    changedAt = clock.now()
  }

  return {
    mayPark(holder) {
      regrow()
      if (holders.has(holder)) {
        if (holders.size <= limit) return true
        holders.delete(holder)
        return false
      }
      if (holders.size >= limit) return false
      holders.add(holder)
      return true
    },
    leave: holder => void holders.delete(holder),
    allow(connections) {
      const before = most
      most = limitOf(connections)
      limit = limit === before ? most : Math.min(limit, most)
    },
    crowdedOut() {
      // Many refusals at the same moment count as one.
      if (limit < most && clock.now() - changedAt < 1_000) return
      limit = Math.max(LEAST, Math.min(limit, holders.size) >> 1)
      changedAt = clock.now()
    },
    limit: () => limit,
  }
}

function limitOf(allowed: number): number {
  return allowed <= 0 ? MOST : Math.min(MOST, Math.max(LEAST, Math.floor(allowed * SHARE)))
}
