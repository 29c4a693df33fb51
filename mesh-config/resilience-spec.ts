import type { ValueMatchSpec } from './match-spec.ts'

/** What callers of a service (service-spec.ts) do when it fails, or has too much to do. */

export type RetryCondition =
  | 'connect-failure'
  | 'refused-stream'
  | 'reset-before-response'
  | 'per-try-timeout'
  | 'gateway-error'
  | '5xx'
  | 'retriable-4xx'
  | 'retriable-status-codes'
  | 'retriable-headers'
  | 'envoy-ratelimited'
  | GrpcRetryCondition

/** Statuses of gRPC, under Envoy's names (`x-envoy-retry-grpc-on`). */
export type GrpcRetryCondition = 'cancelled' | 'deadline-exceeded' | 'internal' | 'resource-exhausted' | 'unavailable'

export interface RetrySpec {
  readonly on: readonly RetryCondition[]
  /** Further statuses of answers; absent: none. */
  readonly statuses?: readonly number[]
  /** An answer with one of these is tried again; absent: none. Names in lower case. */
  readonly headers?: readonly ValueMatchSpec[]
  /** Further methods that may run twice; absent: none. */
  readonly methods?: readonly string[]
  /** A request with `Idempotency-Key` may run twice; absent: that says nothing. */
  readonly idempotencyKey?: boolean
  /** Tries in all, the first included: 1 means no retry. */
  readonly attempts: number
  /** The longest request body kept for replay; a longer one is sent once. */
  readonly replayBytes: number
  /** The longest wait before the second try, which doubles, and before any; absent: 25 and 250. */
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number }
  /** Absent: off. */
  readonly hedge?: HedgeSpec
  readonly budget: { readonly percent: number; readonly minPerSecond: number }
}

/** A second try while the first still runs. */
export interface HedgeSpec {
  /** How long the first is waited for; 0: as `percentile` says. */
  readonly afterMs: number
  /** Of the answers of the service in the last minute. */
  readonly percentile: number
  /** With a percentile: of fewer answers there is none. */
  readonly minSamples: number
}

/** Circuit breaking: more than this and the request is refused with UO. Per service and data thread. */
/** Circuit breaking: more than this and the request is refused with UO. Over all data threads. */
export interface ServiceLimits {
  readonly connections: number
  readonly pending: number
  readonly requests: number
  /** Exchanges that are at a retry; absent: no limit but the retry budget. */
  readonly retries?: number
  /** The same at each endpoint; absent: no such limits. */
  readonly perEndpoint?: EndpointLimitsSpec
  /** Of one response head: 502 UPE. */
  readonly responseHeaders: number
  readonly responseHeadBytes: number
  /** As for listeners, of the connections to the endpoints. */
  readonly bufferBytes: number
}

/** Passive ejection. A detector that is absent, or 0, is off. */
/** Of failing and of slow answers; percentages as written (50 is 50 %). */
export interface BreakerSpec {
  readonly errorPercent: number
  /** 0: no answer is slow. */
  readonly slowCallMs: number
  readonly slowPercent: number
  readonly windowMs: number
  /** With fewer answers in the window it stays closed. */
  readonly volume: number
  readonly openMs: number
  readonly maxOpenMs: number
  readonly jitterPercent: number
  readonly probes: number
}

/** Requests wait for a permit: in each data thread so many. */
export interface QueueSpec {
  readonly requests: number
  readonly intervalMs: number
  readonly targetMs: number
}

export type PriorityName = 'high' | 'normal' | 'low'

export interface PrioritySpec {
  /** In lower case; empty: none. */
  readonly header: string
  readonly usual: PriorityName
}

/** Adaptive concurrency; percentages as written. */
export interface ConcurrencySpec {
  /** The limit refuses; false: it is shown only. */
  readonly enforce: boolean
  readonly minLimit: number
  readonly maxLimit: number
  readonly bufferPercent: number
  readonly percentile: number
  readonly updateMs: number
  readonly minRttIntervalMs: number
  readonly minRttRequests: number
  readonly minRttJitterPercent: number
}

/** What takes the place of a refusal: one of both. */
export interface FallbackSpec {
  readonly on: readonly ('breaker' | 'overflow' | 'no-healthy-upstream')[]
  readonly reply: {
    readonly status: number
    readonly headers: readonly (readonly [name: string, value: string])[]
    readonly body: string
  } | null
  readonly to: { readonly service: string; readonly subset: string | null } | null
}

/** Absent: no such limit. */
export interface EndpointLimitsSpec {
  readonly connections?: number
  readonly pending?: number
  readonly requests?: number
}

/** Passive ejection; `consecutiveGatewayFailures: 0` turns it off. */
export interface OutlierSpec {
  readonly consecutiveGatewayFailures: number
  readonly baseEjectionMs: number
  readonly maxEjectionMs: number
  readonly maxEjectedPercent: number
  /** Nothing is ejected; what would have been is told. */
  readonly shadow?: boolean
  readonly consecutive5xx?: number
  /** Absent: they count as gateway failures and as 5xx. */
  readonly consecutiveLocalFailures?: number
  readonly jitterMs?: number
  /** Of the three below. */
  readonly intervalMs?: number
  readonly successRate?: SuccessRateSpec
  readonly failurePercentage?: FailurePercentageSpec
  readonly latency?: LatencyOutlierSpec
}

export interface SuccessRateSpec extends EnoughToCompare {
  /** Standard deviations below the mean. */
  readonly factor: number
  readonly minFailurePercent: number
}

export interface FailurePercentageSpec extends EnoughToCompare {
  readonly percent: number
}

export interface LatencyOutlierSpec extends EnoughToCompare {
  /** Times the median of the others. */
  readonly factor: number
  readonly minExcessMs: number
}

/** Endpoints, and requests of each of them, in an interval. */
export interface EnoughToCompare {
  readonly minEndpoints: number
  readonly minRequests: number
}
