import type { Random } from '../core/clock.ts'
import type { UpstreamOptions } from '../core/codec.ts'

/** One object for all pools of a service: so a reload changes them all, and its limits count them together. */
export interface PoolSettings<P = unknown> {
  connectTimeoutMs: number
  idleTimeoutMs: number
  /** An older connection gets no more requests. 0: off. */
  connectionAgeMs: number
  maxConnections: number
  maxPending: number
  /** Over all endpoints of the service on this data thread. */
  connections: number
  pending: number
  /**
   * Those that share the limits: a connection that nobody needs at one endpoint gives its place to a request that waits
   * for another.
   */
  readonly pools: Set<P>
  upstream: UpstreamOptions
  /** A place became free: for tunnels that wait for one. */
  freed?: () => void
}

/** A pool as the tunnels see it that share its limits. */
export interface SharesPlaces {
  /** Closes a connection that nobody needs now, at whatever endpoint of the service. */
  makeRoom(): void
  /** For requests that wait for a place. */
  placeFreed(): void
}

/** When a connection made now is too old, a tenth sooner or later: those made together are not replaced together. */
export function connectionDue({ connectionAgeMs }: PoolSettings, now: number, random: Random): number {
  return connectionAgeMs === 0 ? Number.POSITIVE_INFINITY : now + connectionAgeMs * (0.9 + 0.2 * random())
}
