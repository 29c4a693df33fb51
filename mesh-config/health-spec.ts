/** Active health checks of a service (health.ts), as the control thread runs them. */
export interface HealthSpec {
  readonly check: HealthCheckSpec
  /** Where endpoints are asked; 0: at their own port. */
  readonly port: number
  readonly intervalMs: number
  /** Of a service without requests; never shorter than `intervalMs`. */
  readonly noTrafficMs: number
  /** Give or take so much of an interval. */
  readonly jitterPercent: number
  /** Of the whole check. */
  readonly timeoutMs: number
  /** In a row: until it is unhealthy, and until it is healthy again. */
  readonly unhealthyAfter: number
  readonly healthyAfter: number
  /** A connection is kept for the next check. */
  readonly reuse: boolean
  /** By TLS, where the service has it. */
  readonly secured: boolean
}

export type HealthCheckSpec = HttpCheckSpec | TcpCheckSpec | GrpcCheckSpec

export type StatusRange = readonly [from: number, to: number]

export interface HttpCheckSpec {
  readonly kind: 'http'
  readonly protocol: 'http/1.1' | 'h2'
  readonly method: string
  readonly path: string
  /** Empty: `address:port` of the endpoint. */
  readonly host: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly expect: readonly StatusRange[]
  /** Other statuses that count towards `unhealthyAfter`; any further one makes it unhealthy at once. */
  readonly retriable: readonly StatusRange[]
  /** Null: whatever it is. */
  readonly body: { readonly kind: 'contains' | 'regex'; readonly value: string } | null
  /** 0: the timeout alone counts. */
  readonly maxResponseMs: number
}

/** Bytes in hexadecimal. */
export interface TcpCheckSpec {
  readonly kind: 'tcp'
  /** Empty: nothing is sent. */
  readonly send: string
  /** All of them, one after the other. Empty: that it takes connections is enough. */
  readonly receive: readonly string[]
}

export interface GrpcCheckSpec {
  readonly kind: 'grpc'
  /** Empty: the whole server. */
  readonly service: string
  /** Empty: `address:port` of the endpoint. */
  readonly authority: string
  readonly headers: readonly (readonly [name: string, value: string])[]
}
