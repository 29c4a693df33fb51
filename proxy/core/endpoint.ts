import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { EndpointLoad } from './endpoint-load.ts'
import type { Pool } from './pool.ts'
import type { EndpointStats } from './telemetry.ts'

/**
 * One address of a cluster: what discovery says of it (`spec`, replaced when it changes) and what this data thread has
 * learnt of it, which outlives any reload.
 */
export class Endpoint {
  spec: EndpointSpec
  /** `address:port`, for logs and records. */
  readonly name: string
  readonly pool: Pool
  readonly stats: EndpointStats
  /** Requests running now. */
  active = 0
  /** What it is drawn by: the configured weight x slow start x what the policy learnt. Set when pickers are built. */
  weight: number
  learntWeight = 1
  readonly load = new EndpointLoad()
  /** Monotonic milliseconds: since when slow start runs; -1: it is over, or never was. */
  warmingSince = -1
  /** Its value in sticky cookies (cluster/sticky-id.ts). Empty: not made yet. */
  stickyId = ''
  /** Outlier detection: states of design section 10. */
  state: 'admitting' | 'ejected' | 'probing' = 'admitting'
  /** Monotonic milliseconds: when its last ejection ends or ended. */
  ejectedUntil = 0
  ejections = 0
  /** Monotonic milliseconds: when it was ejected last; -1: never. */
  ejectedAt = -1
  /** Monotonic milliseconds: outcomes of attempts that began earlier are ignored. */
  judgedSince = 0
  consecutiveFailures = 0
  /** Why it was ejected last; empty: never. */
  ejectionReason = ''

  constructor(spec: EndpointSpec, name: string, pool: Pool, stats: EndpointStats) {
    this.spec = spec
    this.weight = spec.weight
    this.name = name
    this.pool = pool
    this.stats = stats
  }
}
