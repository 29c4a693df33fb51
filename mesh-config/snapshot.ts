import type { RegisterSpec } from './discovery-spec.ts'
import type { ServiceSpec } from './service-spec.ts'
import type { ServerTlsSpec } from './tls-spec.ts'
import type { RateLimitSpec } from './traffic-rules-spec.ts'

export type {
  AddressFamily,
  ConsulAddressKind,
  ConsulServiceSpec,
  ConsulSpec,
  ConsulStandInSpec,
  DiscoverySpec,
  DnsSourceSpec,
  FileSourceSpec,
  KubernetesServiceSpec,
  KubernetesSpec,
  RegisterCheckSpec,
  RegisterSpec,
} from './discovery-spec.ts'
export type {
  GrpcCheckSpec,
  HealthCheckSpec,
  HealthSpec,
  HttpCheckSpec,
  StatusRange,
  TcpCheckSpec,
} from './health-spec.ts'
export type { MatchSpec, ValueMatchSpec } from './match-spec.ts'
export type {
  BreakerSpec,
  ConcurrencySpec,
  EndpointLimitsSpec,
  EnoughToCompare,
  FailurePercentageSpec,
  FallbackSpec,
  GrpcRetryCondition,
  HedgeSpec,
  LatencyOutlierSpec,
  OutlierSpec,
  PriorityName,
  PrioritySpec,
  QueueSpec,
  RetryCondition,
  RetrySpec,
  ServiceLimits,
  SuccessRateSpec,
} from './resilience-spec.ts'
export type {
  BalancerSpec,
  BalancerType,
  DestinationSpec,
  EndpointHealth,
  EndpointSpec,
  FailoverSpec,
  FilterSpec,
  HashKeySpec,
  HeadEditsSpec,
  HeaderEditsSpec,
  RegisteredNames,
  ResolveSpec,
  RouteRetries,
  RouteSpec,
  RouteTimeouts,
  ServiceKind,
  ServiceSpec,
  ServiceTimeouts,
  StickySpec,
} from './service-spec.ts'
export type {
  PemTexts,
  ServerTlsSpec,
  TlsSpec,
} from './tls-spec.ts'
export type {
  FaultSpec,
  MirrorSpec,
  RateLimitKeySpec,
  RateLimitSpec,
} from './traffic-rules-spec.ts'

/**
 * The snapshot: everything a data thread runs on, validated, versioned and immutable. Plain data only (no classes, no
 * functions, no Map), because it is cloned to every data thread. Durations are milliseconds, sizes are bytes, as the
 * names say; 0 means "off" where a comment says so.
 */
export interface Snapshot {
  /** Short hash of the content: the same documents give the same version. */
  readonly version: string
  /** The service of this sidecar. */
  readonly service: string
  /** The zone of this sidecar, named as the zones of endpoints; empty: unknown. */
  readonly zone: string
  readonly listeners: readonly ListenerSpec[]
  /**
   * How long a request for a service that is not configured may wait while the control thread looks for it (`want`); 0:
   * it is not looked for.
   */
  readonly onDemandMs: number
  /** Such names are looked up in Kubernetes, where names of Services end so; null: in Consul. */
  readonly clusterDomain: string | null
  /**
   * By name; the inbound applications are here too (kind `local`), so that one kind of cluster serves both
   * directions.
   */
  readonly services: Readonly<Record<string, ServiceSpec>>
  /** The inbound applications whose readiness is checked. */
  readonly applications: readonly ApplicationSpec[]
  readonly accessLog: AccessLogSpec
  readonly metrics: MetricsSpec
  readonly flights: FlightsSpec
  readonly traces: TracesSpec
  readonly drain: DrainSpec
  /**
   * The positions in the files, as `sidecar.yaml:3:13`, by the name of a listener, or `admin`. For errors; not part of
   * the version.
   */
  readonly places: Readonly<Record<string, string>>
  /** What each data thread may hold of bodies over all its connections. */
  readonly buffersBytes: number
  /** Absent: off. */
  readonly overload?: OverloadSpec
}

/** What a data thread does when something is short. */
export interface OverloadSpec {
  /** In percent of the limit of the thread. */
  readonly heap: ThresholdsSpec
  /** Milliseconds that its timers are late. */
  readonly lag: ThresholdsSpec
  /** In percent of the limit of the process. */
  readonly descriptors: ThresholdsSpec
}

/** 0: never. */
export interface ThresholdsSpec {
  /** Connections of callers end after their next answer. */
  readonly closeAt: number
  /** A growing share of the requests is refused. */
  readonly shedAt: number
  /** All of them, and new connections. */
  readonly refuseAt: number
}

/** What the control thread needs besides the snapshot. A change needs a restart, and a reload says so. */
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
  /** Null: there is no name server. */
  readonly dns: NameServerSpec | null
  readonly traces: TraceExportSpec
}

/** The name server for the application. */
export interface NameServerSpec {
  readonly listen: AddressSpec
  /** Other machines may ask. */
  readonly remote: boolean
  /** Where other names are forwarded to; empty: the name servers of the system. */
  readonly servers: readonly AddressSpec[]
  readonly domain: string
  /** Of virtual addresses, as `240.64.0.0/10`. */
  readonly addresses: string
  /** As `fd12:3456:789a:1::/64`, or `auto`, or `off`. */
  readonly ipv6: string
  readonly ttlMs: number
  readonly timeoutMs: number
  /** Queries that wait for an answer: in all, and of one client. */
  readonly queries: number
  readonly perClient: number
  /** TCP connections of clients. */
  readonly connections: number
}

/** How the control thread finds the agent: a socket, the default one where there is one, or none. */
export type AgentSpec =
  | { readonly kind: 'off' }
  | { readonly kind: 'default' }
  | { readonly kind: 'unix'; readonly path: string }

export interface AddressSpec {
  readonly address: string
  readonly port: number
}

export type Direction = 'inbound' | 'outbound'

/** A listener: an address that accepts connections. */
export interface ListenerSpec {
  /** Unique and stable over reloads: `outbound 127.0.0.1:15001`. */
  readonly name: string
  readonly direction: Direction
  readonly listen: AddressSpec
  /** The one service this port is for; null: picked by Host / :authority. */
  readonly service: string | null
  /** Targets of CONNECT; null: it is refused. */
  readonly connect: ConnectSpec | null
  /** Over how many data threads a calling sidecar spreads HTTP/1.1 requests sent as HTTP/2. 0: this is not offered. */
  readonly multiplex: number
  /**
   * The protocol of callers: `http` is HTTP/1 or HTTP/2, `detect` is detected for each connection. `tcp` only with a
   * `service`.
   */
  readonly protocol: ListenerProtocol
  readonly timeouts: ListenerTimeouts
  readonly limits: ListenerLimits
  /** `Upgrade: h2c` is accepted. */
  readonly h2cUpgrade: boolean
  /** Absent: callers speak no TLS. */
  readonly tls?: ServerTlsSpec
  /** Of requests, before their route is known. Absent: none. */
  readonly rateLimits?: readonly RateLimitSpec[]
  /** Connections are redirected here, and each was on its way to another address. Absent: they are not. */
  readonly transparent?: TransparentSpec
}

/** What becomes of redirected connections. */
export interface TransparentSpec {
  /** The service (kind `original`) that says how destinations are called that belong to no other. */
  readonly through: string
  /** Whether they may be reached; rules as `parseRule` reads them. */
  readonly passThrough: 'allow' | 'deny' | readonly string[]
  /** Nothing is detected on connections to these. */
  readonly opaquePorts: readonly number[]
  /** A client that says nothing for so long waits for its server to speak. */
  readonly firstByteMs: number
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
  /** A downstream connection older than this, give or take a tenth, is replaced. 0: off. */
  readonly connectionAgeMs: number
  /** How long detection may take. Never 0. */
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

/** An application behind inbound listeners, and how the control thread finds out whether it is ready. */
export interface ApplicationSpec {
  /** As its service of kind `local`. */
  readonly name: string
  readonly address: AddressSpec
  readonly check: ApplicationCheckSpec
}

export type ApplicationCheckSpec = (
  | { readonly kind: 'port' }
  | {
      readonly kind: 'http'
      readonly path: string
      /** First and last of each range. */
      readonly statuses: readonly (readonly [from: number, to: number])[]
    }
  /** Empty: the whole server. */
  | { readonly kind: 'grpc'; readonly service: string }
  | { readonly kind: 'command'; readonly command: readonly string[] }
) & {
  readonly intervalMs: number
  readonly timeoutMs: number
  /** In a row: until it is not ready, and until it is ready again. */
  readonly failures: number
  readonly successes: number
}

export interface AccessLogSpec {
  readonly mode: 'off' | 'on' | 'errors'
  /** With `on`: a request is logged that meets one of these. Empty: every request. */
  readonly only: readonly AccessLogCondition[]
  /** `ecs`: JSON with the names of the Elastic Common Schema. */
  readonly format: 'text' | 'json' | 'ecs'
  /** A text format of Envoy's `%OPERATORS%`; null: Envoy's default format. Text only. */
  readonly template: string | null
  /** The same for each field of a JSON format; null: the usual fields. JSON only. */
  readonly fields: Readonly<Record<string, string>> | null
  /** A file, or null for standard output. */
  readonly path: string | null
}

/** All that it says must be true of a request. */
export interface AccessLogCondition {
  readonly errors: boolean
  /** 0: any. */
  readonly slowerThanMs: number
  /** First and last of each range; empty: any. */
  readonly statuses: readonly (readonly [from: number, to: number])[]
  /** Of the requests that did not fail. 100: all. */
  readonly samplePercent: number
}

export type MetricAliases = 'envoy' | 'istio'

export interface MetricsSpec {
  /** Names of other meshes under which the metrics are shown as well. */
  readonly aliases: readonly MetricAliases[]
  /** A counter or histogram of requests that has not changed for so long expires. 0: off. */
  readonly idleMs: number
}

export interface FlightsSpec {
  /** Decision records kept per data thread: the last ones and, apart from them, the last failed ones. */
  readonly recent: number
  readonly failed: number
}

/** Which requests are recorded as spans, and how trace context is passed on. */
export interface TracesSpec {
  /** False: no spans are made, and what callers send of traces passes as any other field. */
  readonly isOn: boolean
  /** This proxy exports by itself; else spans are made where an agent takes them. */
  readonly isExported: boolean
  /** Of the requests whose caller has not decided, 0 to 100. */
  readonly samplePercent: number
  /** Those that failed as well, whatever was decided at their start; and those slower than the p99 of their route. */
  readonly failed: boolean
  readonly slow: boolean
  readonly propagate: readonly TraceFormat[]
  /** A data thread gives away no more spans at once. */
  readonly batchSpans: number
}

export type TraceFormat = 'w3c' | 'b3'

/** Where spans go, and how. */
export interface TraceExportSpec {
  /** Where OTLP is taken, `http://collector:4318/v1/traces`; null: the agent, where there is one. */
  readonly url: string | null
  /** Name, value, name, value ... They may be secrets. */
  readonly secretHeaders: readonly string[]
  readonly gzip: boolean
  /** Of one attempt to send a batch. */
  readonly timeoutMs: number
  readonly batchSpans: number
  /** A batch that is not full is sent after this time. */
  readonly batchMs: number
  /** Spans that wait; further ones are dropped. */
  readonly queueSpans: number
  /** Of the resource, `service.name` among them: name, value, name, value ... */
  readonly attributes: readonly string[]
}

export interface DrainSpec {
  /** After this time running requests are cut. */
  readonly timeoutMs: number
  /** How long to serve on while `/ready` says no, so that callers can notice. */
  readonly delayMs: number
}
