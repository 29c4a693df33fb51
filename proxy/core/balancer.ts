import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from './clock.ts'
import type { Classification } from './cluster.ts'
import type { AttemptRecord } from './decision.ts'
import type { Endpoint } from './endpoint.ts'
import type { Headers, ResponseHead } from './message.ts'

/** The request has no hash key. */
export const NO_HASH = -1

export interface PickContext {
  /** Endpoints of earlier attempts of this exchange: avoided while there are others. */
  readonly tried: readonly Endpoint[]
  /** Where the picker notes between whom it chose. */
  record: AttemptRecord
  /** 32 bits of what a hashing policy hashes, or NO_HASH. */
  hash: number
  /** What the cookie of a sticky session says (`Endpoint.stickyId`); empty: nothing. */
  sticky: string
  /** Value of a cookie that was made for this exchange, to be given back with the answer; empty: none. */
  madeCookie: string
  /** Nothing is sent (`/explain`): what a request would take is not taken. */
  isPreview?: boolean
}

/**
 * A picker: built anew for each host set and thrown away with it. `pick` is O(1) or O(log n), allocates nothing, waits
 * for nothing and never throws. Null: no endpoint may be used (UH).
 */
export interface LoadBalancer {
  pick(context: PickContext): Endpoint | null
}

export interface BalancerDeps {
  readonly clock: Clock
  readonly random: Random
  readonly spec: BalancerSpec
}

/**
 * Endpoints that may be used now, in the order of the host set; draining, failing and ejected ones are not among them.
 * They are drawn by `Endpoint.weight`.
 */
export type LoadBalancerFactory = (endpoints: readonly Endpoint[], deps: BalancerDeps) => LoadBalancer

/** What there is to a `balancer.type`: one file each, listed in balancer/policies.ts. */
export interface BalancerPolicy {
  readonly create: LoadBalancerFactory
  /** Chooses by a hash: zone-aware routing would send keys elsewhere, and does not apply. */
  readonly hashes: boolean
  /** Told how each attempt went: writes `Endpoint.load`. Null: the policy learns nothing. */
  readonly observe: Observe | null
  /** Told of the trailers of gRPC answers, where a load report may be (ORCA). Absent: the policy reads none. */
  readonly observeTrailers?: (endpoint: Endpoint, trailers: Headers, deps: BalancerDeps) => void
  /**
   * Looks at what was learnt, once a second: sets `Endpoint.learntWeight` (1 at first) and says whether one changed
   * enough for new pickers. Null: never.
   */
  readonly reweigh: ((endpoints: readonly Endpoint[], deps: BalancerDeps) => boolean) | null
}

/**
 * `tookMs`: from the request to the response head, or to the failure. `head`: null when none came; valid only inside
 * the call.
 */
export type Observe = (
  endpoint: Endpoint,
  outcome: Classification,
  tookMs: number,
  head: ResponseHead | null,
  deps: BalancerDeps,
) => void
