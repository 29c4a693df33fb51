import type { EndpointSpec } from '../../mesh-config/snapshot.ts'

/**
 * Where the endpoints of a service come from. Delivers whole sets, never deltas. On trouble it keeps quiet about
 * endpoints, says so in `onTrouble`, and tries again with back-off by itself. What it delivered last stays true until
 * it delivers again: keeping it, doubting it and saving it is not the source's work.
 */
export interface EndpointSource {
  /** Such as `consul`, `dns orders.internal`: for logs, metrics and `/endpoints`. */
  readonly name: string
  watch(watcher: EndpointWatcher, signal: AbortSignal): void
}

export interface EndpointWatcher {
  /** All endpoints there are now, also when nothing changed (then it only confirms them). */
  onSet(endpoints: readonly EndpointSpec[]): void
  /**
   * What was delivered last takes away so much that it is doubted, and one more answer decides: the source asks for it
   * within `CONFIRM_MS`.
   */
  isDoubted(): boolean
  /** The source cannot be reached or makes no sense: one line for people. Until the next `onSet`. */
  onTrouble(reason: string): void
}

/** An answer that is doubted is asked for once more after so long. */
export const CONFIRM_MS = 2_000

/**
 * How `healthReason` begins when an instance is critical only because the registry has lost contact with its node: the
 * registry may be the one that is cut off.
 */
export const NODE_LOST = 'node lost: '

/** How a source of a service does, for people and metrics. */
export interface SourceStatus {
  /** As `EndpointSource.name`. */
  readonly name: string
  /**
   * `waiting`: it has not answered, and nothing is known from before. `stale`: it is in trouble, or has not answered
   * since the start; what it said last is in force.
   */
  readonly state: 'fresh' | 'stale' | 'waiting'
  /** Since its last answer, which may have been to an earlier process; null: never. */
  readonly ageMs: number | null
  /** Why it does not answer; empty: nothing to say. */
  readonly trouble: string
  readonly endpoints: number
  /** Of these, such as are kept only because they still take connections. */
  readonly suspects: number
  /** They were read from the disk. */
  readonly fromDisk: boolean
}

export interface ServiceStatus {
  readonly name: string
  /** In use: after merging and subsetting. */
  readonly endpoints: number
  /** Before subsetting. */
  readonly known: number
  readonly fixed: number
  readonly sources: readonly SourceStatus[]
}
