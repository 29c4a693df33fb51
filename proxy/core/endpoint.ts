import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { Pool } from './pool.ts'
import type { EndpointStats } from './telemetry.ts'

/**
 * One address of a cluster: what discovery says of it (`spec`, replaced when it changes) and what this data thread has learnt of it, which outlives any reload.
 */
export class Endpoint {
  spec: EndpointSpec
  /** `address:port`, for logs and records. */
  readonly name: string
  readonly pool: Pool
  readonly stats: EndpointStats
  /** Requests running now. */
  active = 0
  /** Outlier detection: states of design section 10. */
  state: 'admitting' | 'ejected' | 'probing' = 'admitting'
  /** Monotonic milliseconds: when its last ejection ends or ended. */
  ejectedUntil = 0
  ejections = 0
  consecutiveFailures = 0
  /** Why it was ejected last; empty: never. */
  ejectionReason = ''

  constructor(spec: EndpointSpec, name: string, pool: Pool, stats: EndpointStats) {
    this.spec = spec
    this.name = name
    this.pool = pool
    this.stats = stats
  }
}
