import type { EndpointSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Learnt } from './learnt.ts'
import type { FailureEvidence, ProxyEvent } from './telemetry.ts'
import type { RecordedBy } from './trace.ts'

/** What a data thread is started with. */
export interface WorkerData {
  /** As the message `origins` has it. */
  readonly origins: Readonly<Record<string, number>>
  readonly index: number
  /** Several data threads share each port (SO_REUSEPORT). */
  readonly shared: boolean
  readonly snapshot: Snapshot
  /** An agent takes spans. */
  readonly spanAgent: boolean
  /** As the message has them; empty: there are none. */
  readonly virtualAddresses: readonly VirtualAddressEntry[]
  /** Sockets that a process before this one had open, for this data thread; absent: it opens its own. */
  readonly inherited?: readonly ListeningSocket[]
  /** What that process had learnt of endpoints. */
  readonly learnt?: Learnt
  /** Of several data threads: what they share (core/cells.ts), and how many there are. */
  readonly cells?: { readonly memory: SharedArrayBuffer; readonly threads: number }
}

/** An address that the name server gives for a service. IPv6 is written as the system writes it. */
export type VirtualAddressEntry = readonly [address: string, service: string]

/** What differs from the snapshot in force. */
export interface SnapshotMessage {
  readonly kind: 'snapshot'
  /** `services` has only those that differ. */
  readonly snapshot: Snapshot
  /** The names of all services. */
  readonly services: readonly string[]
}

/** Control thread -> data thread. Plain cloneable data; each `snapshot` is answered by an `ack` or a `nack`. */
export type ToData =
  | SnapshotMessage
  /**
   * Stop accepting after `delayMs`, finish what runs, then answer `drained`; at `timeoutMs` what still runs is cut.
   * After `inbound`, outbound serves on until `all` comes, which does not wait for the delay of an `inbound` before it.
   */
  | {
      readonly kind: 'drain'
      readonly side: DrainSide
      readonly delayMs: number
      readonly timeoutMs: number
      /** Another process listens on the ports from now on. */
      readonly handsOver?: boolean
    }
  /**
   * The endpoints of a service have changed since the snapshot, or since the last of these. A service that is not there
   * is passed over.
   */
  | { readonly kind: 'endpoints'; readonly service: string; readonly delta: EndpointsDelta }
  /**
   * Where the instances of our own service stand: zone -> how many. Zone-aware routing needs to know what the other
   * zones keep for themselves. Empty: not known.
   */
  | { readonly kind: 'origins'; readonly zones: Readonly<Record<string, number>> }
  /** The answer to a `want` that brings no new snapshot. */
  | { readonly kind: 'unknown-service'; readonly service: string; readonly why: Unknown }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question }
  /** The control thread has written so many access-log bytes: the data thread may send more. */
  | { readonly kind: 'log-credit'; readonly bytes: number }
  /** The control thread has taken so many bytes of spans: the data thread may send more. */
  | { readonly kind: 'span-credit'; readonly bytes: number }
  /** Another data thread has ejected or readmitted endpoints of the service. */
  | { readonly kind: 'ejections'; readonly service: string }
  /** An agent takes spans, or no longer does. */
  | { readonly kind: 'span-agent'; readonly isThere: boolean }
  /** Addresses that the name server is about to tell, and those that it no longer does: answered by `addresses-known`. */
  | {
      readonly kind: 'virtual-addresses'
      readonly id: number
      readonly put: readonly VirtualAddressEntry[]
      readonly drop: readonly string[]
    }

/** An operator ejects an endpoint for a time, or admits it (null). */
export interface ByHandQuestion {
  readonly service: string
  /** `address:port`. */
  readonly endpoint: string
  readonly ejectForMs: number | null
  /** Also where nothing else is left. */
  readonly force: boolean
}

export type DrainSide = 'inbound' | 'all'

export type Question =
  | { readonly what: 'endpoints' }
  /** How many requests each service has had: for letting go of unused ones. */
  | { readonly what: 'uses' }
  /** It has been idle: it collects its garbage and keeps no room for more. */
  | { readonly what: 'shrink' }
  | { readonly what: 'flights'; readonly failedOnly: boolean }
  /** For a process that is to take over. */
  | { readonly what: 'sockets' }
  | { readonly what: 'learnt' }
  | (ByHandQuestion & { readonly what: 'by-hand' })
  | {
      readonly what: 'explain'
      readonly method: string
      readonly url: string
      readonly headers: readonly (readonly [string, string])[]
      readonly listener: string | null
      /** What its caller speaks; absent: HTTP/2 where it is gRPC, else HTTP/1.1. */
      readonly protocol?: 'http/1.1' | 'h2' | null
      /** `address:port` that its connection was made to, before it was redirected; absent: what the URL says. */
      readonly to?: string
    }

/** Data thread -> control thread. */
export type ToControl =
  | { readonly kind: 'ack'; readonly version: string; readonly listeners: readonly string[] }
  | { readonly kind: 'nack'; readonly version: string; readonly reasons: readonly string[] }
  | { readonly kind: 'drained'; readonly side: DrainSide; readonly cut: number }
  | { readonly kind: 'addresses-known'; readonly id: number }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  /** A new page of statistics slots (64 KiB of float64). */
  | { readonly kind: 'page'; readonly page: number; readonly memory: SharedArrayBuffer }
  /** A new series in slots `[index, index + size)` of a page; `retire` takes it out of the exposition. */
  | { readonly kind: 'series'; readonly id: number; readonly series: SeriesSpec }
  | { readonly kind: 'retire'; readonly ids: readonly number[] }
  /** Series that were idle: taken out here, with what they counted; other data threads may go on with them. */
  | { readonly kind: 'expire'; readonly ids: readonly number[]; readonly values: readonly Float64Array[] }
  /** A traced request that a bucket of a histogram has counted. `value`: seconds. `at`: seconds since the epoch. */
  | {
      readonly kind: 'exemplar'
      readonly id: number
      readonly traceId: string
      readonly value: number
      readonly at: number
    }
  /**
   * Finished access-log lines, newline included; `dropped`: lines lost since the last batch because the control thread
   * was behind.
   */
  | { readonly kind: 'log'; readonly lines: string; readonly dropped: number }
  /** `count` finished spans, each as a field of OTLP's `ScopeSpans`. */
  | { readonly kind: 'spans'; readonly bytes: Uint8Array; readonly count: number }
  | { readonly kind: 'event'; readonly event: ProxyEvent }
  /** Of several data threads: endpoints of the service were ejected or readmitted, which the others are to be told. */
  | { readonly kind: 'ejections'; readonly service: string }
  /**
   * A request asks for a service that is not configured: answered by a snapshot that has it, or by `unknown-service`.
   */
  | { readonly kind: 'want'; readonly service: string }

/** The listening sockets of a listener. */
export interface ListeningSocket {
  /** Of the listener. */
  readonly name: string
  /** As the configuration has it: port 0 is one that the system chose. */
  readonly address: string
  readonly port: number
  /** File descriptors of this process, or of the one that takes them over. */
  readonly descriptors: readonly number[]
}

/** Why a service is not known. */
export interface Unknown {
  /** The registry says that there is none; else it could not be asked. */
  readonly certain: boolean
  readonly reason: string
}

/** New and changed endpoints, and the addresses (`address:port`) of those that are gone. */
export interface EndpointsDelta {
  readonly put: readonly EndpointSpec[]
  readonly drop: readonly string[]
}

export interface SeriesSpec {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: Readonly<Record<string, string>>
  readonly page: number
  readonly index: number
}

export type Answer =
  | EndpointsAnswer
  | UsesAnswer
  | ShrinkAnswer
  | FlightsAnswer
  | ExplainAnswer
  | SocketsAnswer
  | LearntAnswer
  | ByHandAnswer

export interface ByHandAnswer {
  readonly done: boolean
  /** Why not. */
  readonly why: string
}

export interface SocketsAnswer {
  readonly sockets: readonly ListeningSocket[]
}

export interface LearntAnswer {
  /** By service. */
  readonly learnt: Learnt
}

export interface UsesAnswer {
  readonly uses: Readonly<Record<string, number>>
}

export interface ShrinkAnswer {
  readonly shrunk: true
}

export interface EndpointsAnswer {
  readonly services: readonly {
    readonly name: string
    readonly policy: string
    readonly active: number
    /** What is in use of the limits, over all data threads. */
    readonly limits: readonly LimitView[]
    /** What balancing does beyond its policy, in words: panic, failover, zones. */
    readonly notes: readonly string[]
    readonly endpoints: readonly EndpointView[]
  }[]
}

export interface LimitView {
  readonly limit: string
  readonly used: number
  readonly most: number
}

export interface EndpointView {
  readonly address: string
  readonly weight: number
  /** What it is drawn by: the weight after slow start and what the policy learnt. */
  readonly effectiveWeight: number
  readonly priority: number
  readonly zone: string
  readonly metadata: Readonly<Record<string, string>>
  readonly health: string
  /** Why, where there is more to say than that. */
  readonly healthReason: string
  /** In slow start. */
  readonly warming: boolean
  readonly state: 'admitting' | 'ejected' | 'probing'
  /** Why it was ejected last, and for how many milliseconds more; empty and 0 when it is not. */
  readonly reason: string
  readonly ejectedForMs: number
  /** An operator has ejected it; by force: also where nothing else is left. */
  readonly byHand?: 'yes' | 'forced'
  /** `mode: shadow` would have ejected it, for so much longer. */
  readonly shadowForMs?: number
  /** Its last failures, the oldest first; absent: none were seen. */
  readonly evidence?: readonly FailureEvidence[]
  readonly active: number
  /**
   * What is spoken with it now: `HTTP/1.1`, `HTTP/2`, or `HTTP/2 hop` for HTTP/1.1 that goes as HTTP/2 to its sidecar.
   */
  readonly protocol: string
  readonly connections: number
  readonly idle: number
  readonly pending: number
  /** What is in use of its own limits, over all data threads; absent: it has none. */
  readonly limits?: readonly LimitView[]
  readonly requests: number
  readonly failures: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface FlightsAnswer {
  readonly flights: readonly FlightView[]
}

/** A decision record as people and programs read it. */
export interface FlightView {
  /** ISO 8601; empty in an explanation, which was not sent. */
  readonly at: string
  readonly requestId: string
  /** Empty: it belongs to no trace. */
  readonly traceId: string
  /** Why spans were made of it; empty: none were. */
  readonly recorded: RecordedBy
  readonly listener: string
  readonly direction: 'inbound' | 'outbound'
  readonly peer: string
  /** `http/1.1`, `h2`, or `tcp`: then there is neither method nor path, and `authority` is the server name of TLS. */
  readonly protocol: string
  readonly method: string
  readonly authority: string
  readonly path: string
  /** 0: no answer was sent. */
  readonly status: number
  /** Of a gRPC call; null: it was none, or the status was not heard. */
  readonly grpcStatus: number | null
  readonly grpcMessage: string
  /** How long the caller waits, by `grpc-timeout` or `x-envoy-expected-rq-timeout-ms`; null: it does not say. */
  readonly deadlineMs: number | null
  /** Response flag, `-` for none. */
  readonly flag: string
  readonly failure: string
  readonly reason: string
  readonly detail: string
  readonly remedy: string
  /** How the service was found: `port`, `host`, `sni`, or empty. */
  readonly by: string
  readonly service: string
  readonly route: string
  /** The number that chose among the destinations, null when there was no choice. */
  readonly draw: number | null
  readonly destination: string
  /** What filters said of it: `name: text`. */
  readonly notes: readonly string[]
  readonly durationMs: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly attempts: readonly AttemptView[]
}

export interface AttemptView {
  readonly endpoint: string
  readonly policy: string
  /** What narrowed its choice, in words: `priority 1`, `own zone`, `panic` ...; empty: nothing. */
  readonly way: readonly string[]
  /** The other candidate and both loads, where the policy compared two; null otherwise. */
  readonly compared: { readonly load: number; readonly other: string; readonly otherLoad: number } | null
  readonly reusedConnection: boolean
  /** HTTP/1.1 that went as HTTP/2 to the sidecar of the endpoint. */
  readonly hop: boolean
  /** It began while the one before was still running (`retries.hedge`). */
  readonly hedge: boolean
  readonly startedAfterMs: number
  /** From its start to the response head; null: none came. */
  readonly headAfterMs: number | null
  /** From its start to its end: the last byte of the answer, or the failure. */
  readonly tookMs: number
  readonly status: number
  /** What the endpoint said of a gRPC call; null: nothing. */
  readonly grpcStatus: number | null
  readonly failure: string
  readonly flag: string
  readonly detail: string
  /** Why there was, or was not, another attempt. */
  readonly retry: string
}

export interface ExplainAnswer {
  /** The record the request would get now; null with `error` when the question itself was wrong. */
  readonly record: FlightView | null
  readonly error: string
  /** What each stage looked at, in order: for the readable tree. */
  readonly steps: readonly { readonly stage: string; readonly text: string }[]
}
