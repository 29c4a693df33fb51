import type { HealthSpec } from './health-spec.ts'
import type { MatchSpec } from './match-spec.ts'
import type {
  BreakerSpec,
  ConcurrencySpec,
  FallbackSpec,
  OutlierSpec,
  PriorityName,
  PrioritySpec,
  QueueSpec,
  RetrySpec,
  ServiceLimits,
} from './resilience-spec.ts'
import type { TlsSpec } from './tls-spec.ts'
import type { FaultSpec, MirrorSpec, RateLimitSpec } from './traffic-rules-spec.ts'

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
  /** Absent: none. */
  readonly rateLimits?: readonly RateLimitSpec[]
  readonly faults?: readonly FaultSpec[]
  /** Null: none, as where it is absent. */
  readonly mirror?: MirrorSpec | null
  /** In order, first match wins. Never empty: a service without routes has one that matches everything. */
  readonly routes: readonly RouteSpec[]
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
  /** Besides those of the service. */
  readonly rateLimits?: readonly RateLimitSpec[]
  /** In place of those of the service. */
  readonly faults?: readonly FaultSpec[]
  /** In place of that of the service; null: none. */
  readonly mirror?: MirrorSpec | null
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
