import type { BreakerState } from './breaker-state.ts'
import type { Exchange } from './exchange.ts'

/** Adds to a counter or gauge. */
export function add(counter: Counter, amount: number): void {
  counter.values[counter.index]! += amount
}

export function set(gauge: Counter, value: number): void {
  gauge.values[gauge.index] = value
}

/** A slot in shared memory: this thread writes, the control thread reads. `counter.values[counter.index]++` */
export interface Counter {
  readonly values: Float64Array
  readonly index: number
}

export interface RouteStats {
  /** One finished exchange: the counter of its labels, and the latency. */
  count(exchange: Exchange, durationMs: number): void
}

/** The tunnels of one service. */
export interface TcpStats {
  readonly opened: Counter
  readonly active: Counter
  closed(flag: string): void
}

/** What went through the tunnels to one endpoint. */
export interface TcpBytes {
  readonly sent: Counter
  readonly received: Counter
}

export interface EndpointStats {
  readonly requests: Counter
  readonly failures: Counter
  readonly connections: Counter
  readonly connectFailures: Counter
  readonly active: Counter
  /** Requests that wait for a connection. */
  readonly pending: Counter
  /** 1 while ejected. */
  readonly ejected: Counter
  readonly ejections: Counter
  readonly latency: Histogram
  /** Made when a first tunnel asks for it: most endpoints never have one. */
  tcpBytes(): TcpBytes
}

/** `core/slots.ts` has the layout. */
export interface Histogram {
  readonly values: Float64Array
  readonly index: number
  record(milliseconds: number): void
}

export interface Telemetry {
  /** Once per exchange, after the last byte. Must not keep the exchange past the call. */
  exchange(exchange: Exchange): void
  /** Rare things, at the pace of control, not of requests. */
  event(event: ProxyEvent): void
}

export interface FailureEvidence {
  readonly agoMs: number
  /** `status 503`, `connect-refused`. */
  readonly what: string
  /** Empty: the request had none. */
  readonly requestId: string
}

/** What finds that an endpoint is to be ejected; Envoy's names. */
export type Detector =
  | 'consecutive_5xx'
  | 'consecutive_gateway_failure'
  | 'consecutive_local_origin_failure'
  | 'success_rate'
  | 'failure_percentage'
  | 'latency'

export type ProxyEvent =
  | {
      readonly kind: 'endpoint-ejected'
      readonly cluster: string
      readonly endpoint: string
      readonly reason: string
      readonly forMs: number
      readonly by: Detector | 'operator'
      /** It was not, because of `mode: shadow`. */
      readonly shadow: boolean
      /** Its last failures, the oldest first. */
      readonly evidence: readonly FailureEvidence[]
    }
  | {
      readonly kind: 'endpoint-admitted'
      readonly cluster: string
      readonly endpoint: string
      readonly by: 'probe' | 'operator'
    }
  /** A data thread has changed the breaker of a service; `forMs`: how long it stays open. */
  | {
      readonly kind: 'breaker'
      readonly cluster: string
      readonly to: BreakerState
      readonly reason: string
      readonly forMs: number
    }
  | { readonly kind: 'listener-error'; readonly listener: string; readonly detail: string }
  /** The data thread held more of bodies than it may, and cut the largest. `count`: since the last such event. */
  | { readonly kind: 'buffers-full'; readonly count: number; readonly detail: string }
  /** The patterns of a snapshot took long to load and compile: `count` of them. */
  | {
      readonly kind: 'slow-patterns'
      readonly loadMs: number
      readonly compileMs: number
      readonly count: number
      readonly slowest: string
      readonly slowestMs: number
    }
  /** A peer went beyond a limit of HTTP/2. `unlogged`: how many others did since the last such event of this guard. */
  | {
      readonly kind: 'http2-guard'
      readonly side: 'downstream' | 'upstream'
      readonly guard: string
      readonly detail: string
      readonly peer: string
      readonly unlogged: number
    }
