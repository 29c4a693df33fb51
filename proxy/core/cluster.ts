import type { RetryCondition } from '../../mesh-config/snapshot.ts'
import type { Admission } from './admission.ts'
import type { LoadBalancer, PickContext } from './balancer.ts'
import type { Endpoint } from './endpoint.ts'
import type { Exchange } from './exchange.ts'
import type { Headers, ResponseHead } from './message.ts'

export interface RetryPolicy {
  /** Tries in all. */
  readonly attempts: number
  /** The longest request body kept for replay. */
  readonly replayBytes: number
  readonly on: ReadonlySet<RetryCondition>
  /** Further statuses of answers; null: none. */
  readonly statuses: ReadonlySet<number> | null
  /** Some of that may be tried again whatever the method, so request bodies are kept of every method. */
  readonly anyMethod: boolean
}

/** Retries as a share of requests, so that they cannot multiply an outage. */
export interface RetryBudget {
  deposit(now: number): void
  tryWithdraw(now: number): boolean
}

/** How an attempt ended, as outlier detection and statistics see it: one function says (cluster/classify.ts). */
export type Classification = 'success' | 'failure' | 'ignorable'

/** A named group of endpoints that serve the same thing; a subset is a cluster of its own over the same endpoints. */
export interface Cluster {
  /** The service, or `service/subset`. */
  readonly name: string
  readonly balancer: LoadBalancer
  readonly policy: string
  /** Its endpoints speak HTTP/2, so what they answer may be gRPC, whose status comes at the end. */
  readonly mayBeGrpc: boolean
  /** The policy says that they speak gRPC: what else callers speak of it is translated or refused. */
  readonly speaksGrpc: boolean
  /**
   * Before the first pick of an exchange: notes what hashing and sticky sessions need. Null: the service has neither.
   */
  readonly prepare: ((exchange: Exchange, context: PickContext) => void) | null
  /** What `Set-Cookie` the answer of this endpoint needs; empty: none. Null: never one. */
  readonly cookie: ((context: PickContext, endpoint: Endpoint) => string) | null
  readonly budget: RetryBudget
  readonly admission: Admission
  /** What came of an attempt that began at `startedAt`: feeds outlier detection. */
  report(endpoint: Endpoint, outcome: Classification, reason: string, startedAt: number): void
  /** The same for the balancer: how long it took, and the head, if one came (valid only inside the call). */
  observe(endpoint: Endpoint, outcome: Classification, tookMs: number, head: ResponseHead | null): void
  /** The trailers of a gRPC answer, which may have a load report (valid only inside the call). */
  observeTrailers(endpoint: Endpoint, trailers: Headers): void
}
