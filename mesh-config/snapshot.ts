/**
 * The snapshot: one validated, versioned, immutable whole of everything a data thread runs on. Plain data only (no classes, no functions, no Map), because it is
 * cloned to every data thread. Durations are milliseconds, sizes are bytes, both as in the names; 0 means "off" where a comment says so.
 */
export interface Snapshot {
  /** Short hash of the content: the same documents give the same version. */
  readonly version: string
  /** The service this sidecar stands beside. */
  readonly service: string
  readonly listeners: readonly ListenerSpec[]
  /** By name; the inbound applications are here too (`local_app:<port>`), so that one kind of cluster serves both directions. */
  readonly services: Readonly<Record<string, ServiceSpec>>
  readonly accessLog: AccessLogSpec
  readonly flights: FlightsSpec
  readonly drain: DrainSpec
}

/** What the control thread must know besides the snapshot; a change of it needs a restart (and a reload says so). */
export interface Bootstrap {
  readonly service: string
  /** Address of the admin port; null: none. */
  readonly admin: AddressSpec | null
  /** Data threads. */
  readonly workers: number
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
  readonly timeouts: ListenerTimeouts
  readonly limits: ListenerLimits
}

export interface ListenerTimeouts {
  /** From the first byte of a request head to its last: 408. 0: off. */
  readonly headMs: number
  /** Between two pieces of a request body: 408. 0: off. */
  readonly bodyMs: number
  /** A downstream connection without a request: closed. 0: off. */
  readonly idleMs: number
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
  /** Bytes buffered for one connection in one direction before its source is paused (watermark). */
  readonly bufferBytes: number
}

export interface ServiceSpec {
  readonly name: string
  /** `http` is HTTP/1.1; null: detected. */
  readonly protocol: 'http' | 'http2' | 'grpc' | 'tcp' | null
  /** Further names (Host values, without port) that mean this service; `*.example.com` matches any label before. */
  readonly hosts: readonly string[]
  readonly endpoints: readonly EndpointSpec[]
  readonly balancer: BalancerSpec
  readonly timeouts: ServiceTimeouts
  readonly retries: RetrySpec
  readonly limits: ServiceLimits
  readonly outliers: OutlierSpec
  readonly subsets: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** In order, first match wins. Never empty: a service without routes has one that matches everything. */
  readonly routes: readonly RouteSpec[]
}

export interface EndpointSpec {
  readonly address: string
  readonly port: number
  /** >= 1, relative to the other endpoints of the service. */
  readonly weight: number
  readonly zone: string
  readonly metadata: Readonly<Record<string, string>>
  readonly health: 'passing' | 'draining' | 'failing'
}

export type BalancerType = 'round_robin' | 'random' | 'least_request'

export interface BalancerSpec {
  readonly type: BalancerType
}

export interface ServiceTimeouts {
  readonly connectMs: number
  /** To the response head, over all attempts: 504. 0: off. */
  readonly requestMs: number
  /** One attempt, to the response head. 0: off. */
  readonly perTryMs: number
  /** A stream without bytes in either direction, and a pooled connection without a request. 0: off. */
  readonly idleMs: number
}

export type RetryCondition = 'connect-failure' | 'refused-stream' | 'reset-before-response' | 'per-try-timeout' | 'gateway-error' | '5xx'

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
  /** The path pattern as written (`/api/*` for a prefix `/api/`), or the user's `name:`: the bounded label in metrics. */
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
