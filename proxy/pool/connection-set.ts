import type { Clock, Random } from '../core/clock.ts'
import type { UpstreamConnection } from '../core/codec.ts'
import type { PoolWaiter } from '../core/pool.ts'
import type { Wire } from '../core/wire.ts'
import type { IdleClock } from './idle-clock.ts'
import type { Contender } from './permits.ts'
import type { HttpProtocol, PoolPolicy } from './policy.ts'

/** The connections to one endpoint that speak one protocol and were made by one transport. */
export interface ConnectionSet {
  readonly protocol: HttpProtocol
  /** How many are idle. */
  readonly idle: number
  /** One that takes another stream now. */
  take(): UpstreamConnection | null
  /** A wire that was dialled. */
  add(wire: Wire): void
  /** Closes an idle one; false: there is none. */
  closeIdle(): boolean
  /** Closes those that have been idle for so long. Returns when the next one will have been, as monotonic time. */
  sweep(idleMs: number): number
  /** Takes no more streams: idle ones close now, the others as their last stream ends. */
  retire(): void
  /** A connection with streams on it already closes as its last one ends, for the sake of others. */
  readonly isLeaving: boolean
  /** It has such a connection that could. */
  readonly mayLeave: boolean
  leave(): void
}

/** What a set asks of the pool that it belongs to. */
export interface SetOwner {
  readonly policy: PoolPolicy
  readonly clock: Clock
  readonly random: Random
  /** Its endpoint is gone: no connection is kept. */
  readonly isDraining: boolean
  readonly idleClock: IdleClock
  /** Takes out the first request that a connection, `fresh` or not, will do for. */
  nextWaiter(fresh: boolean): PoolWaiter | undefined
  /** No permit is left, and this contender waits for one; null: none does. */
  readonly rival: Contender | null
  /** That contender has no connection at all, and it is another one. */
  isPoorer(rival: Contender): boolean
  /** No permit is left. */
  readonly isFull: boolean
  /** A connection is idle from now on. */
  becameIdle(now: number): void
  /** The endpoint says that it is a sidecar. */
  offered(): void
  /** Whether it has proven to be a sidecar (`UpstreamOwner.vouched`). */
  vouched(answer: (isSidecar: boolean) => void): boolean | 'later'
  /** So many streams are to be expected of a connection that is being made. */
  expect(streams: number): void
  /** A connection is gone. */
  gone(): void
}
