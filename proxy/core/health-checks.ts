/** How the active health checks of a service do: for people and metrics. */
export interface CheckedService {
  readonly name: string
  /** As `GET /healthz`. */
  readonly check: string
  readonly intervalMs: number
  /** It has no requests, so its endpoints are checked less often. */
  readonly isQuiet: boolean
  /** Endpoints by what their checks say. */
  readonly unchecked: number
  readonly healthy: number
  readonly unhealthy: number
  /** Checks that wait for their turn. */
  readonly waiting: number
  readonly counts: CheckCounts
  /** By `address:port`; null: it is not checked. */
  endpoint(name: string): CheckedEndpoint | null
}

/** Checks so far, by what came of them. */
export interface CheckCounts {
  readonly healthy: number
  /** The endpoint itself said that it is not to be used. */
  readonly unhealthy: number
  /** No answer, or one that says little. */
  readonly failed: number
  /** This machine could not ask. */
  readonly local: number
}

export interface CheckedEndpoint {
  readonly state: 'unchecked' | 'healthy' | 'unhealthy'
  /** Null: it was not checked yet. */
  readonly forMs: number | null
  readonly checkedAgoMs: number | null
  readonly tookMs: number | null
  /** Of the last check; empty: it succeeded. */
  readonly trouble: string
  /** Results in a row that speak against the state, and how many change it. */
  readonly against: number
  readonly needed: number
}

/** Unhealthy endpoints, by service and `address:port`: why. For a process that takes over. */
export type UnhealthyEndpoints = Readonly<Record<string, Readonly<Record<string, string>>>>
