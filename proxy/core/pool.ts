import type { Failure } from './failure.ts'
import type { UpstreamStream } from './message.ts'

/** Who waits for a stream. A callback and not a promise, because a wait must be cancellable when the caller goes away. */
export interface PoolWaiter {
  acquired(stream: UpstreamStream): void
  acquireFailed(failure: Failure, detail: string): void
}

/** The connections to one endpoint in one protocol. */
export interface Pool {
  /**
   * A stream at once when a connection is idle; a failure at once when a limit is reached; else null, and one method of the waiter is called later. `fresh`: on a
   * connection that never carried a stream.
   */
  acquire(waiter: PoolWaiter, fresh: boolean): UpstreamStream | Failure | null
  /** The waiter no longer waits. */
  cancel(waiter: PoolWaiter): void
  /** Takes no more streams; closes each connection as its last stream ends. */
  drain(): void
  readonly idle: number
  readonly connections: number
  readonly pending: number
}
