import type { Cluster } from './cluster.ts'
import type { AttemptRecord } from './decision.ts'
import type { Endpoint } from './endpoint.ts'
import type { Exchange } from './exchange.ts'
import type { Failure } from './failure.ts'
import type { LocalReply } from './filter.ts'
import type { Route } from './route.ts'

/** One try at one endpoint: a stream for a request, or a connection for a tunnel. Used again by later exchanges. */
export interface Attempt {
  /** Its own of the exchange's decision record, where its endpoint stands too. */
  record: AttemptRecord
  /**
   * Asks the endpoint for a stream or a connection, and tells the owner of the loop what comes of it. `fresh`: on a
   * connection that never carried a stream.
   */
  open(fresh: boolean): void
  /** It waits for a connection, or for an answer. */
  readonly isRunning: boolean
  /** Gives up what it waits for or has. False: there is nothing. */
  giveUp(failure: Failure): boolean
}

/** What a request allows: may it be sent once more? */
export interface Repeatable {
  readonly isIdempotent: boolean
  /** Part of its body was sent and not kept. */
  readonly isBodyGone: boolean
}

/** Whose attempts these are: a request, or a tunnel. */
export interface AttemptLoopOwner<A extends Attempt> extends Repeatable {
  readonly exchange: Exchange
  /** It came as a retry: it may use half of the budget. Asked only where another try could follow. */
  readonly isRetry: boolean
  newAttempt(): A
  /** What is left for the whole of it, tries and waits. */
  leftMs(now: number): number
  /** How long the endpoint of this attempt was waited for. */
  waitedMs(record: AttemptRecord, now: number): number
  /** Given up, because another attempt beside it has won. */
  lost(record: AttemptRecord, now: number): void
  /** It was not admitted anywhere, and this is the answer. */
  replyInstead(reply: LocalReply, failure: Failure, detail: string): void
  /** There is no other attempt: the exchange ends with this. */
  fail(failure: Failure, detail: string): void
}

/**
 * The attempts of one exchange, one after the other: the balancer picks an endpoint, the attempt asks it, and what
 * follows when that fails is decided here. It ends when an attempt wins, or in `owner.fail`. forward/attempt-loop.ts
 * has the one implementation, for requests and tunnels.
 */
export interface AttemptLoop<A extends Attempt> {
  /** Of this exchange and of earlier ones; only those that run have something. */
  readonly attempts: readonly A[]
  /** The one that began last; null: none did. */
  readonly latest: A | null
  /** The one whose answer is passed on; null: none yet. */
  readonly winner: A | null
  /** Null: the exchange was not admitted. */
  readonly cluster: Cluster | null
  /** Before each exchange. */
  clear(): void
  /** Takes a permit for the exchange, and makes the first attempt. */
  start(route: Route, cluster: Cluster, now: number): void
  /** This one's answer is passed on: there will be no other attempt. */
  won(attempt: A): void
  /** Ended before it won. `isStale`: its connection was idle before, and may have been closed as it was used. */
  failed(attempt: A, failure: Failure, detail: string, isStale: boolean): void
  /** Ended: its endpoint has one request less. Null: its answer was passed on whole. */
  ended(attempt: A, failure: Failure | null, detail: string, now: number): void
  /** Tells statistics, outlier detection and the balancer, where the failure is the endpoint's. */
  blame(attempt: A, failure: Failure): void
  /** Do `retries.attempts` and the retry budget allow one more after this one? Takes it from the budget. */
  allows(record: AttemptRecord): boolean
  /** Does another attempt run beside this one? */
  hasOther(attempt: A): boolean
  /** Begins a second attempt at another endpoint, where there is one and the budget allows it. */
  hedge(): void
  /** Would the next attempt go to an endpoint that was not tried? */
  hasElsewhere(record: AttemptRecord): boolean
  /** The next attempt, after the wait that the record of the last one asks for. */
  goOn(record: AttemptRecord): void
  /** `Set-Cookie` for an answer of this endpoint; empty: none. */
  cookie(endpoint: Endpoint): string
  /** Gives up every attempt that runs or waits. */
  cancel(failure: Failure): void
  /** The exchange is over: gives its permit back. */
  stop(): void
}
