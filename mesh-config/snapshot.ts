import type { RegisterSpec } from './discovery-spec.ts'
import type { ServiceSpec } from './service-spec.ts'

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
export type {
  BalancerSpec,
  BalancerType,
  DestinationSpec,
  EndpointHealth,
  EndpointSpec,
  GrpcRetryCondition,
  HashKeySpec,
  MatchSpec,
  OutlierSpec,
  RetryCondition,
  RetrySpec,
  RouteRetries,
  RouteSpec,
  RouteTimeouts,
  ServiceLimits,
  ServiceSpec,
  ServiceTimeouts,
  StickySpec,
  ValueMatchSpec,
} from './service-spec.ts'

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
   * By name; the inbound applications are here too (`local_app:<port>`), so that one kind of cluster serves both
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
  /** `host:port` in small letters; each is a service of its own, called `connect:<host:port>`. */
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
