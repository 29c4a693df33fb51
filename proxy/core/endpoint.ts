import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { type Cell, ownCells } from './cells.ts'
import { ENDPOINT_WORDS, GATEWAY, MARK } from './ejection.ts'
import { EndpointLoad } from './endpoint-load.ts'
import type { Evidence } from './evidence.ts'
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
  /** What all data threads know of it (core/ejection.ts). */
  shared: Int32Array
  /** The state of it that is in force on this thread, as the word has it; -1: it was not looked at yet. */
  seen = -1
  /** Outlier detection, as it is in force on this thread (health/outlier.ts). */
  state: 'admitting' | 'ejected' | 'probing' = 'admitting'
  /** An operator has ejected it; by force: also where it is the last. */
  byHand: 'no' | 'yes' | 'forced' = 'no'
  /** Monotonic milliseconds: when its last ejection ends or ended. */
  ejectedUntil = 0
  ejections = 0
  /** Monotonic milliseconds: when it was ejected last; -1: never. */
  ejectedAt = -1
  /** Monotonic milliseconds: outcomes of attempts that began earlier are ignored. */
  judgedSince = 0
  /** Why it was ejected last; empty: never. */
  ejectionReason = ''
  /** Its last failures, on all threads; null: this thread has seen none. */
  evidence: Evidence | null = null
  #cell: Cell

  constructor(
    spec: EndpointSpec,
    name: string,
    pool: Pool,
    stats: EndpointStats,
    cell = ownCells.open(name, ENDPOINT_WORDS),
  ) {
    this.spec = spec
    this.weight = spec.weight
    this.name = name
    this.pool = pool
    this.stats = stats
    this.#cell = cell
    this.shared = cell.words
  }

  get consecutiveFailures(): number {
    return this.shared[GATEWAY]!
  }

  set consecutiveFailures(count: number) {
    this.shared[GATEWAY] = count
    if (count !== 0) this.shared[MARK] = 1
  }

  get isRetired(): boolean {
    return this.#cell === NOWHERE
  }

  /** It left: what still runs there says nothing to other data threads. */
  retire(): void {
    if (this.isRetired) return
    this.#cell.close()
    this.evidence?.close()
    this.evidence = null
    this.#cell = NOWHERE
    this.shared = NOWHERE.words
  }
}

/** Of endpoints that left. */
const NOWHERE = ownCells.open('', ENDPOINT_WORDS)
