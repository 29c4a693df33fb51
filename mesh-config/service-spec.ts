import type { HealthSpec } from './health-spec.ts'

/** The part of a snapshot for one service (snapshot.ts): its endpoints, and how they are called. */

/**
 * `named`: a service of the user's. `connect`: a `host:port` that CONNECT may lead to. `local`: the application behind
 * an inbound listener. `original`: what redirected connections reach that belong to no service, each at the address that
 * it was made to.
 */
export type ServiceKind = 'named' | 'connect' | 'local' | 'original'

export interface ServiceSpec {
  readonly name: string
  readonly kind: ServiceKind
  /** `http` is HTTP/1.1; null: detected. */
  readonly protocol: 'http' | 'http2' | 'grpc' | 'tcp' | null
  /** Connections to endpoints are made by TLS. Absent: they are plain. */
  readonly tls?: TlsSpec
  /** HTTP/1.1 is sent as HTTP/2 to endpoints that are sidecars. */
  readonly multiplex: boolean
  /** Further names (Host values, without port) that mean this service; `*.example.com` matches any label before. */
  readonly hosts: readonly string[]
  /** What its registry calls it. Absent: nothing else. */
  readonly registered?: RegisteredNames
  readonly endpoints: readonly EndpointSpec[]
  readonly balancer: BalancerSpec
  readonly timeouts: ServiceTimeouts
  readonly retries: RetrySpec
  readonly limits: ServiceLimits
  /** Absent: it has none. */
  readonly breaker?: BreakerSpec
  readonly fallback?: FallbackSpec
  readonly concurrency?: ConcurrencySpec
  readonly queue?: QueueSpec
  /** Absent: all requests are alike. */
  readonly priority?: PrioritySpec
  /**
   * `ageMs`: an older connection, give or take a tenth, gets no more requests. `keepAliveMs`: HTTP/2, a PING when
   * nothing has come for so long. 0: off.
   */
  readonly connections: { readonly ageMs: number; readonly keepAliveMs: number }
  readonly outliers: OutlierSpec
  /** Active health checks. Absent: none. */
  readonly health?: HealthSpec
  /** Protocols that a request may ask to be upgraded to, in small letters. */
  readonly upgrades: readonly string[]
  readonly subsets: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly subsetFallback: 'none' | 'any' | { readonly subset: string }
  /** Absent: its endpoints are where discovery says. */
  readonly resolve?: ResolveSpec
  /** In order, first match wins. Never empty: a service without routes has one that matches everything. */
  readonly routes: readonly RouteSpec[]
}

/** TLS to the endpoints of a service. `ca`, `cert` and `key` are files; null: there is none. */
export interface TlsSpec {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
  /** Null: the host of the address. */
  readonly serverName: string | null
  readonly minVersion: '1.2' | '1.3'
  /**
   * What is in the files. The control thread fills it in for the data threads: it is never written down or shown.
   */
  readonly pem?: PemTexts
}

/** TLS of callers. `ca`: of their certificates; null: they are not asked for one. */
export interface ServerTlsSpec {
  readonly ca: string | null
  readonly cert: string
  readonly key: string
  /** Callers that speak no TLS are refused. */
  readonly isStrict: boolean
  readonly minVersion: '1.2' | '1.3'
  /** As in `TlsSpec`. */
  readonly pem?: PemTexts
  /** Likewise: tickets of sessions are encrypted with what comes of it. */
  readonly ticketSecret?: string
}

export interface PemTexts {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

/** Names and addresses that a registry has for one port of a Service. */
export interface RegisteredNames {
  /** In lower case, without a port. */
  readonly hosts: readonly string[]
  /** The port that means this one; 0: not known. */
  readonly port: number
  /** A name without a port means this one, and so does one with a port that the Service has not. */
  readonly isUsual: boolean
  /** Ports of the Service that are other services here. */
  readonly otherPorts: readonly number[]
  /** `address:port` that stands for it. */
  readonly addresses: readonly string[]
}

/** Where the endpoints of a service are, and which are in which subset. */
export interface ResolveSpec {
  /** Its name in the registry; null: as discovery says. */
  readonly service: string | null
  readonly datacenter: string | null
  /** For requests that name no subset; null: all endpoints. */
  readonly defaultSubset: string | null
  /** By subset; the labels in `subsets` must match too. */
  readonly filters: Readonly<Record<string, FilterSpec>>
  /** By subset: the subset of the same service that takes its place when it has no healthy endpoint. */
  readonly fallbacks: Readonly<Record<string, string>>
  readonly failover: readonly FailoverSpec[]
}

export interface FilterSpec {
  /** An expression (filter-expression.ts); empty: every endpoint. */
  readonly filter: string
  readonly onlyPassing: boolean
}

/** Endpoints from elsewhere in the registry, used when those before them are not healthy. */
export interface FailoverSpec extends FilterSpec {
  /** `name@datacenter`, as endpoints have it in `from`. */
  readonly from: string
  readonly service: string
  /** Null: that of discovery. */
  readonly datacenter: string | null
  readonly priority: number
  /** The same service: those of `subset` count (empty: all). Else `filter` says which. */
  readonly isSameService: boolean
  readonly subset: string
  /** Subsets that they stand in for; the empty name: the whole service. */
  readonly standsInFor: readonly string[]
}

export interface EndpointSpec {
  readonly address: string
  readonly port: number
  /** >= 1, relative to the other endpoints of the service. */
  readonly weight: number
  /** Failover level, 0 first. */
  readonly priority: number
  readonly zone: string
  readonly metadata: Readonly<Record<string, string>>
  readonly health: EndpointHealth
  /** Why it is not passing, or doubted; empty: no reason. */
  readonly healthReason: string
  /** Where it is from, where it stands in for endpoints of the service (`FailoverSpec.from`). Absent: one of those. */
  readonly from?: string
  /** `address:port` that stands for the whole service in the registry. Absent: none does. */
  readonly virtual?: string
}

/**
 * Discovery health. `passing` is used. `failing` (a check of ours or of a file) is used in panic too. `critical` of the
 * registry, and `maintenance` and `draining` by an operator, never are.
 */
export type EndpointHealth = 'passing' | 'failing' | 'critical' | 'maintenance' | 'draining'

export type BalancerType =
  | 'round_robin'
  | 'random'
  | 'least_request'
  | 'ip_hash'
  | 'ring_hash'
  | 'maglev'
  | 'peak_ewma'
  | 'response_time'
  | 'adaptive'

/** Fields as in Envoy where it has them; percentages as written (50 is 50 %). */
export interface BalancerSpec {
  readonly type: BalancerType
  readonly choices: number
  /** Up to this many endpoints all are compared. */
  readonly fullScan: number
  readonly activeRequestBias: number
  readonly hashOn: readonly HashKeySpec[]
  readonly minimumRingSize: number
  readonly maximumRingSize: number
  readonly tableSize: number
  /** 0: unbounded. */
  readonly hashBalanceFactor: number
  readonly decayMs: number
  readonly defaultRttMs: number
  /** 0: a failure counts as long as it took. */
  readonly failurePenaltyMs: number
  /** `windowMs` 0: off. */
  readonly slowStart: { readonly windowMs: number; readonly aggression: number; readonly minWeightPercent: number }
  readonly zoneAware: { readonly on: boolean; readonly minEndpoints: number }
  readonly overprovisioning: number
  readonly panic: { readonly health: number; readonly ejected: number }
  readonly sticky: StickySpec | null
  /** 0: all. */
  readonly subsetSize: number
}

export type HashKeySpec =
  | { readonly kind: 'header' | 'query'; readonly name: string; readonly terminal: boolean }
  /** `ttlMs` 0: no cookie is made. */
  | {
      readonly kind: 'cookie'
      readonly name: string
      readonly ttlMs: number
      /** One is made that lives as long as the browser session. */
      readonly session?: boolean
      readonly path: string
      readonly terminal: boolean
    }
  | { readonly kind: 'path' | 'sourceIp'; readonly terminal: boolean }

export interface StickySpec {
  readonly cookie: string
  /** 0: a session cookie. */
  readonly ttlMs: number
  readonly path: string
  /** The HMAC secret of the cookies. Empty: the control thread fills in the sidecar's own. */
  readonly secret: string
}

export interface ServiceTimeouts {
  readonly connectMs: number
  /** To the response head, over all attempts: 504. 0: off. */
  readonly requestMs: number
  /** One attempt, to the response head. 0: off. */
  readonly perTryMs: number
  /** A stream without bytes in either direction, and a pooled connection without a request. 0: off. */
  readonly idleMs: number
  /** The use of a caller's `grpc-timeout`: it limits the call, or is only passed on. */
  readonly grpcTimeout: 'enforce' | 'pass'
  /** A longer one counts as this. 0: off. */
  readonly grpcTimeoutMaxMs: number
  /** Subtracted from the caller's deadline. */
  readonly grpcTimeoutOffsetMs: number
  /** A tunnel (WebSocket, other upgrades, CONNECT) without bytes in either direction. 0: off. */
  readonly tunnelMs: number
  /** From the head of a request to the end of its answer. Absent: off. */
  readonly maxStreamMs?: number
  /**
   * The use of a caller's `x-envoy-expected-rq-timeout-ms`: it is only passed on; or it shortens `requestMs`, and
   * requests without one get one. Absent: it shortens `requestMs`.
   */
  readonly deadline?: 'pass' | 'begin'
}

/** What a route may have of its own: connections and the retry budget are the service's. */
export type RouteTimeouts = Omit<ServiceTimeouts, 'connectMs'>
export type RouteRetries = Omit<RetrySpec, 'budget'>

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

export interface RouteSpec {
  /**
   * The path pattern as written (`/api/*` for a prefix `/api/`), or the user's `name:`: the bounded label in metrics.
   */
  readonly name: string
  readonly match: MatchSpec
  /** Weighted split; weights are relative. Never empty. */
  readonly to: readonly DestinationSpec[]
  /** Takes the place of the matched prefix or exact path; absent: the path stays. */
  readonly rewrite?: string
  readonly headers?: HeaderEditsSpec
  /** Null: the service's. */
  readonly timeouts: RouteTimeouts | null
  readonly retries: RouteRetries | null
  /** Absent: the service's. */
  readonly fallback?: FallbackSpec
  readonly priority?: PriorityName
}

export interface MatchSpec {
  /** Against the path without its query. */
  readonly path: {
    readonly kind: 'exact' | 'prefix' | 'regex'
    readonly value: string
    /** Small and capital letters are the same; absent: they are not. */
    readonly ignoreCase?: boolean
  }
  /** Empty: any. */
  readonly methods: readonly string[]
  /** Names in lower case. */
  readonly headers: readonly ValueMatchSpec[]
  readonly query: readonly ValueMatchSpec[]
}

export interface ValueMatchSpec {
  readonly name: string
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains' | 'regex' | 'present' | 'absent'
  /** Empty for present and absent. */
  readonly value: string
  /** There must be a value, and another one; absent: it must be as `kind` says. */
  readonly invert?: boolean
}

export interface DestinationSpec {
  readonly service: string
  /** Null: all endpoints of the service. */
  readonly subset: string | null
  readonly weight: number
  readonly headers?: HeaderEditsSpec
}

export interface HeaderEditsSpec {
  readonly request: HeadEditsSpec
  readonly response: HeadEditsSpec
}

/** In this order. */
export interface HeadEditsSpec {
  /** Names in lower case. */
  readonly remove: readonly string[]
  readonly add: readonly (readonly [name: string, value: string])[]
  readonly set: readonly (readonly [name: string, value: string])[]
}
