import type { EndpointLimits } from './endpoint-limits.ts'
import type { Failure } from './failure.ts'
import type { RequestHead, UpstreamStream } from './message.ts'
import type { Wire } from './wire.ts'

/**
 * What waits for a stream. A callback and not a promise, because a wait must be cancellable when the caller goes away.
 */
export interface PoolWaiter {
  /** What the stream is for: not every one can carry everything. */
  readonly request: RequestHead
  acquired(stream: UpstreamStream): void
  acquireFailed(failure: Failure, detail: string): void
}

/** A tunnel that waits for a connection of its own. */
export interface ConnectWaiter {
  connected(wire: Wire): void
  connectFailed(failure: Failure, detail: string): void
}

/** Makes connections to one endpoint that carry one tunnel each, within the limits that hold for all others. */
export interface Connector {
  /**
   * A failure at once when a limit is reached; else null, and one method of the waiter is called later. Whoever was
   * given a wire says when it is `closed`.
   */
  connect(waiter: ConnectWaiter): Failure | null
  /** The waiter no longer waits. */
  giveUp(waiter: ConnectWaiter): void
  closed(): void
}

/** The connections to one endpoint. */
export interface Pool extends Connector {
  /**
   * A stream at once when a connection is idle; a failure at once when a limit is reached; else null, and one method of
   * the waiter is called later. `fresh`: on a connection that never carried a stream.
   */
  acquire(waiter: PoolWaiter, fresh: boolean): UpstreamStream | Failure | null
  /** The waiter no longer waits. */
  cancel(waiter: PoolWaiter): void
  /** Takes no more streams; closes each connection as its last stream ends. Tunnels go on. */
  drain(): void
  /**
   * What is spoken now, in words: `HTTP/1.1`, `HTTP/2`, `HTTP/2 hop` for HTTP/1.1 that goes as HTTP/2 to the next
   * sidecar, or `TCP`.
   */
  readonly protocol: string
  readonly idle: number
  /** Those of tunnels too. */
  readonly connections: number
  readonly pending: number
  readonly room: EndpointRoom
  /** It has as many requests as may be under way at it (`limits.perEndpoint`). */
  readonly hasAllRequests: boolean
  /** It is full, or has no connection and may not make one: another endpoint is taken, where one has room. */
  readonly isBusy: boolean
}

/** What limits an endpoint by itself. */
export interface EndpointRoom {
  /** Null: it has no limits of its own. */
  readonly limits: EndpointLimits | null
  /** Which limit was reached when a stream or connection was refused last. */
  readonly refusedBy: string
  /** `connections` and `pending`: those that there are already. */
  limitTo(limits: EndpointLimits | null, connections: number, pending: number): void
}
