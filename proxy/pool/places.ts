/** A pool that shares the limit of connections with others of its service. */
export interface Contender {
  /** How many wait for a place within the limit, and not for a dial. */
  readonly withoutDial: number
  /** Since when the first has waited; asked for only when somebody waits. */
  readonly waitingSince: number
  /** Makes another connection. */
  dial(): void
}

export interface Places<P extends Contender> {
  readonly connections: number
  readonly maxConnections: number
  readonly pending: number
  readonly pools: ReadonlySet<P>
}

/**
 * A place became free: those who wait for one, without a dial of their own, get it, who has waited the longest first.
 */
export function dialForWaiters<P extends Contender>(places: Places<P>): void {
  while (places.pending !== 0 && places.connections < places.maxConnections) {
    const pool = neediest(places)
    if (pool === null) return
    pool.dial()
  }
}

/** The pool whose first waiter has waited for a place the longest; null: nobody waits for one. */
export function neediest<P extends Contender>({ pools }: Places<P>): P | null {
  let found: P | null = null
  for (const pool of pools)
    if (pool.withoutDial > 0 && (found === null || pool.waitingSince < found.waitingSince)) found = pool
  return found
}
