import type { UpstreamOptions } from '../core/codec.ts'

/** One object for all pools of a service: so a reload changes them all, and its limits count them together. */
export interface PoolSettings<P = unknown> {
  connectTimeoutMs: number
  idleTimeoutMs: number
  maxConnections: number
  maxPending: number
  /** Over all endpoints of the service on this data thread. */
  connections: number
  pending: number
  /** Those that share the limits: a connection that nobody needs at one endpoint gives its place to a request that waits for another. */
  readonly pools: Set<P>
  upstream: UpstreamOptions
}
