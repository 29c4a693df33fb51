import type { HedgeSpec, RetryCondition } from '../../mesh-config/snapshot.ts'
import type { Admission } from './admission.ts'
import type { Backoff } from './backoff.ts'
import type { LoadBalancer, PickContext } from './balancer.ts'
import type { AttemptRecord } from './decision.ts'
import type { Endpoint } from './endpoint.ts'
import type { Exchange } from './exchange.ts'
import type { Failure } from './failure.ts'
import type { Headers, ResponseHead } from './message.ts'
import type { SecondWindow } from './second-window.ts'

export interface RetryPolicy {
  /** Tries in all. */
  readonly attempts: number
  /** The longest request body kept for replay. */
  readonly replayBytes: number
  readonly on: ReadonlySet<RetryCondition>
  /** Further statuses of answers; null: none. */
  readonly statuses: ReadonlySet<number> | null
  /** The condition that an answer falls under by its headers; null: none looks at headers. */
  readonly byHeaders: ((headers: Headers) => RetryCondition | null) | null
  /** Methods that may run twice. */
  readonly methods: ReadonlySet<string>
  /** So may a request with `Idempotency-Key`. */
  readonly trustsKey: boolean
  readonly backoff: Backoff
  readonly hedge: HedgeSpec | null
  /** Retries of this route; null: it is the only one of its service. */
  readonly used: SecondWindow | null
  /** Some of that may be tried again whatever the method, so request bodies are kept of every method. */
  readonly anyMethod: boolean
}

/** Retries as a share of requests, so that they cannot multiply an outage. */
export interface RetryBudget {
  deposit(now: number): void
  /**
   * `share`: of what is allowed, this request may use no more. `route`: what its route has used in this data thread,
   * where the service has several: one of them leaves a quarter to the others.
   */
  tryWithdraw(now: number, share?: number, route?: SecondWindow | null): boolean
  /** Retries of the last ten seconds, and how many there may be; takes nothing. */
  state(now: number): { readonly spent: number; readonly allowed: number }
}

/** The answers of the last minute, of this data thread. */
export interface Latencies {
  record(milliseconds: number, now: number): void
  /** -1: there were fewer than `least` answers. */
  percentile(percent: number, least: number, now: number): number
}

/** How an attempt ended, as outlier detection and statistics see it: one function says (cluster/classify.ts). */
export type Classification = 'success' | 'failure' | 'ignorable'

/** A named group of endpoints that serve the same thing; a subset is a cluster of its own over the same endpoints. */
export interface Cluster {
  /** The service, or `service/subset`. */
  readonly name: string
  readonly balancer: LoadBalancer
  readonly policy: string
  /** Its endpoints, whatever their state. */
  readonly members: readonly Endpoint[]
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
  /** How long its answers take; made when a request is the first to ask. */
  readonly latencies: Latencies
  readonly admission: Admission
  /** An attempt ended, by an answer or by a failure: feeds outlier detection. `requestId`: for the evidence. */
  report(record: AttemptRecord, outcome: Classification, failure: Failure | null, requestId: string): void
  /** The same for the balancer: how long it took, and the head, if one came (valid only inside the call). */
  observe(endpoint: Endpoint, outcome: Classification, tookMs: number, head: ResponseHead | null): void
  /** The trailers of a gRPC answer, which may have a load report (valid only inside the call). */
  observeTrailers(endpoint: Endpoint, trailers: Headers): void
}
