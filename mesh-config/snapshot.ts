import type { RegisterSpec } from './discovery-spec.ts'

export type {
  AddressFamily,
  ConsulAddressKind,
  ConsulServiceSpec,
  ConsulSpec,
  DiscoverySpec,
  DnsSourceSpec,
  FileSourceSpec,
  RegisterCheckSpec,
  RegisterSpec,
} from './discovery-spec.ts'

/**
 * The snapshot: one validated, versioned, immutable whole of everything a data thread runs on. Plain data only (no
 * classes, no functions, no Map), because it is cloned to every data thread. Durations are milliseconds, sizes are
 * bytes, both as in the names; 0 means "off" where a comment says so.
 */
export interface Snapshot {
  /** Short hash of the content: the same documents give the same version. */
  readonly version: string
  /** The service this sidecar stands beside. */
  readonly service: string
  /** Where this sidecar stands, as endpoints name their zones; empty: nowhere. */
  readonly zone: string
  readonly listeners: readonly ListenerSpec[]
  /**
   * A request for a service that is not configured may ask the control thread for it (`want`), and waits so long for it
   * at most; 0: it may not.
   */
  readonly onDemandMs: number
  /**
   * By name; the inbound applications are here too (kind `local`), so that one kind of cluster serves both
   * directions.
   */
  readonly services: Readonly<Record<string, ServiceSpec>>
  readonly accessLog: AccessLogSpec
  readonly flights: FlightsSpec
  readonly drain: DrainSpec
  /**
   * Where the files say it, as `sidecar.yaml:3:13`, by the name of a listener, or `admin`. For errors; no part of the
   * version.
   */
  readonly places: Readonly<Record<string, string>>
  /** What each data thread may hold of bodies over all its connections. */
  readonly buffersBytes: number
}

/** What the control thread must know besides the snapshot; a change of it needs a restart (and a reload says so). */
export interface Bootstrap {
  readonly service: string
  /** Address of the admin port; null: none. */
  readonly admin: AddressSpec | null
  /** Address of the port for scrapes and probes only; null: none. */
  readonly metrics: AddressSpec | null
  /** Host names, in lower case, that the admin port accepts besides addresses and `localhost`. */
  readonly adminHosts: readonly string[]
  /** Data threads. */
  readonly workers: number
  /** The folder of last-known endpoints; null: none is kept. */
  readonly state: string | null
  /** Null: this sidecar registers nothing. */
  readonly register: RegisterSpec | null
}

export interface AddressSpec {
  readonly address: string
  readonly port: number
}

export type Direction = 'inbound' | 'outbound'

/** An address we accept on. */
export interface ListenerSpec {
  /** Unique and stable over reloads: `outbound 127.0.0.1:15001`. */
  readonly name: string
  readonly direction: Direction
  readonly listen: AddressSpec
  /** The one service this port is for; null: picked by Host / :authority. */
  readonly service: string | null
  /** Where CONNECT may lead; null: it is refused. */
  readonly connect: ConnectSpec | null
  /**
   * Sidecars are told that they may send HTTP/1.1 as HTTP/2, and over how many data threads to spread it. 0: they are
   * not.
   */
  readonly multiplex: number
  /**
   * What callers speak: `http` is HTTP/1 or HTTP/2, `detect` is found out for each connection. `tcp` only where there
   * is a `service`.
   */
  readonly protocol: ListenerProtocol
  readonly timeouts: ListenerTimeouts
  readonly limits: ListenerLimits
  /** `Upgrade: h2c` is accepted. */
  readonly h2cUpgrade: boolean
}

export type ListenerProtocol = 'http' | 'detect' | 'tcp'

export interface ConnectSpec {
  /** To the services, by their names. */
  readonly services: boolean
  /** `host:port` in small letters; each is a service of its own (kind `connect`), called `connectService(host)`. */
  readonly hosts: readonly string[]
}

export interface ListenerTimeouts {
  /** From the first byte of a request head to its last: 408. 0: off. */
  readonly headMs: number
  /** Between two pieces of a request body: 408. 0: off. */
  readonly bodyMs: number
  /** A downstream connection without a request: closed. 0: off. */
  readonly idleMs: number
  /** An older downstream connection, give or take a tenth, is asked to go. 0: off. */
  readonly connectionAgeMs: number
  /** To find out what a connection speaks. Never 0. */
  readonly detectMs: number
}

export interface ListenerLimits {
  /** Header fields in one head: 431. */
  readonly headers: number
  /** Bytes of one head, start line included: 431. */
  readonly headBytes: number
  /** Bytes of the request target: 414. */
  readonly targetBytes: number
  /** Downstream connections on this listener; more are closed at once. */
  readonly connections: number
  /** HTTP/2: requests at once on one connection; more are refused. */
  readonly streams: number
  /** Bytes buffered for one connection in one direction before its source is paused (watermark). */
  readonly bufferBytes: number
}

/**
 * `named`: a service of the user's. `connect`: a `host:port` that CONNECT may lead to. `local`: the application behind
 * an inbound listener.
 */
export type ServiceKind = 'named' | 'connect' | 'local'

export interface ServiceSpec {
  readonly name: string
  readonly kind: ServiceKind
  /** `http` is HTTP/1.1; null: detected. */
  readonly protocol: 'http' | 'http2' | 'grpc' | 'tcp' | null
  /** HTTP/1.1 goes as HTTP/2 to endpoints that are sidecars. */
  readonly multiplex: boolean
  /** Further names (Host values, without port) that mean this service; `*.example.com` matches any label before. */
  readonly hosts: readonly string[]
  readonly endpoints: readonly EndpointSpec[]
  readonly balancer: BalancerSpec
  readonly timeouts: ServiceTimeouts
  readonly retries: RetrySpec
  readonly limits: ServiceLimits
  /**
   * `ageMs`: an older connection, give or take a tenth, gets no more requests. `keepAliveMs`: HTTP/2, a PING when
   * nothing has come for so long. 0: off.
   */
  readonly connections: { readonly ageMs: number; readonly keepAliveMs: number }
  readonly outliers: OutlierSpec
  /** Protocols that a request may ask to be upgraded to, in small letters. */
  readonly upgrades: readonly string[]
  readonly subsets: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly subsetFallback: 'none' | 'any' | { readonly subset: string }
  /** In order, first match wins. Never empty: a service without routes has one that matches everything. */
  readonly routes: readonly RouteSpec[]
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
  /** Why it is not passing, or under suspicion, in words; empty: nothing to say. */
  readonly healthReason: string
}

/**
 * Discovery health. `passing` is used; `failing` (a check of ours or of a file) in panic too; the registry's
 * `critical`, and `maintenance` and `draining`, which somebody wanted, never are.
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
  /** Up to so many endpoints all are compared. */
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
  /** What becomes of a caller's `grpc-timeout`: it limits the call, or is passed on and nothing else. */
  readonly grpcTimeout: 'enforce' | 'pass'
  /** A longer one counts as this. 0: off. */
  readonly grpcTimeoutMaxMs: number
  /** Taken off it. */
  readonly grpcTimeoutOffsetMs: number
  /** A tunnel (WebSocket, other upgrades, CONNECT) without bytes in either direction. 0: off. */
  readonly tunnelMs: number
}

export type RetryCondition =
  | 'connect-failure'
  | 'refused-stream'
  | 'reset-before-response'
  | 'per-try-timeout'
  | 'gateway-error'
  | '5xx'
  | GrpcRetryCondition

/** Statuses of gRPC, under Envoy's names (`x-envoy-retry-grpc-on`). */
export type GrpcRetryCondition = 'cancelled' | 'deadline-exceeded' | 'internal' | 'resource-exhausted' | 'unavailable'

export interface RetrySpec {
  readonly on: readonly RetryCondition[]
  /** Tries in all, the first included: 1 means no retry. */
  readonly attempts: number
  /** The longest request body kept for replay; a longer one is sent once. */
  readonly replayBytes: number
  readonly budget: { readonly percent: number; readonly minPerSecond: number }
}

/** Circuit breaking: more than this and the request is refused with UO. Per service and data thread. */
export interface ServiceLimits {
  readonly connections: number
  readonly pending: number
  readonly requests: number
  /** Of one response head: 502 UPE. */
  readonly responseHeaders: number
  readonly responseHeadBytes: number
  /** As for listeners, of the connections to the endpoints. */
  readonly bufferBytes: number
}

/** Passive ejection; `consecutiveGatewayFailures: 0` turns it off. */
export interface OutlierSpec {
  readonly consecutiveGatewayFailures: number
  readonly baseEjectionMs: number
  readonly maxEjectionMs: number
  readonly maxEjectedPercent: number
}

export interface RouteSpec {
  /**
   * The path pattern as written (`/api/*` for a prefix `/api/`), or the user's `name:`: the bounded label in metrics.
   */
  readonly name: string
  readonly match: MatchSpec
  /** Weighted split; weights are relative. Never empty. */
  readonly to: readonly DestinationSpec[]
  /** Null: the service's. */
  readonly timeouts: ServiceTimeouts | null
  readonly retries: RetrySpec | null
}

export interface MatchSpec {
  /** Against the path without its query. */
  readonly path: { readonly kind: 'exact' | 'prefix' | 'regex'; readonly value: string }
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
}

export interface DestinationSpec {
  readonly service: string
  /** Null: all endpoints of the service. */
  readonly subset: string | null
  readonly weight: number
}

export interface AccessLogSpec {
  readonly mode: 'off' | 'on' | 'errors'
  readonly format: 'text' | 'json'
  /** A text format of Envoy's `%OPERATORS%`; null: Envoy's default format. Text only. */
  readonly template: string | null
  /** A file, or null for standard output. */
  readonly path: string | null
}

export interface FlightsSpec {
  /** Decision records kept per data thread: the last ones, and apart from them the last failed ones. */
  readonly recent: number
  readonly failed: number
}

export interface DrainSpec {
  /** After this the requests still running are cut. */
  readonly timeoutMs: number
  /** How long to go on accepting while saying "not ready", so that callers can notice. */
  readonly delayMs: number
}
