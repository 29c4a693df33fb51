import type { Random } from './clock.ts'
import type { AttemptRecord } from './decision.ts'
import type { Endpoint } from './endpoint.ts'

export interface PickContext {
  /** Endpoints of earlier attempts of this exchange: avoided while there are others. */
  readonly tried: readonly Endpoint[]
  /** Where the picker notes between whom it chose. */
  record: AttemptRecord
}

/**
 * A picker: built anew for each host set and thrown away with it. `pick` is O(1) or O(log n), allocates nothing, waits for nothing and never throws. Null: no
 * endpoint may be used (UH).
 */
export interface LoadBalancer {
  pick(context: PickContext): Endpoint | null
}

/** Endpoints that may be used now, in the order of the host set; draining, failing and ejected ones are not among them. */
export type LoadBalancerFactory = (endpoints: readonly Endpoint[], random: Random) => LoadBalancer
