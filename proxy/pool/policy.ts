import type { QueueSpec } from '../../mesh-config/snapshot.ts'
import type { Random } from '../core/clock.ts'
import type { UpstreamOptions } from '../core/codec.ts'

/** What carries requests. */
export type HttpProtocol = 'http1' | 'http2'

/** What a service's policy says of its connections. It never changes: a reload replaces the whole of it. */
export interface PoolPolicy {
  /** What endpoints speak, on a connection that does not say so itself (transport.ts). */
  readonly protocol: HttpProtocol | 'tcp'
  /** HTTP/1.1 may go as HTTP/2 to endpoints that are sidecars. */
  readonly multiplex: boolean
  /** To make a connection, and to wait for a permit. 0: no limit. */
  readonly connectTimeoutMs: number
  /** 0: no limit but what the endpoint shows. */
  readonly idleTimeoutMs: number
  /** An older connection gets no more requests. 0: off. */
  readonly connectionAgeMs: number
  /** Over all endpoints of the service and all data threads. */
  readonly maxConnections: number
  readonly maxPending: number
  /** How requests wait for a connection that is not being made; null: for `connectTimeoutMs`. */
  readonly queue: QueueSpec | null
  readonly upstream: UpstreamOptions
}

/** When a connection made now is too old, a tenth sooner or later: those made together are not replaced together. */
export function connectionDue({ connectionAgeMs }: PoolPolicy, now: number, random: Random): number {
  return connectionAgeMs === 0 ? Number.POSITIVE_INFINITY : now + connectionAgeMs * (0.9 + 0.2 * random())
}
