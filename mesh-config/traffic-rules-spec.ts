import type { MatchSpec } from './match-spec.ts'

/** Rules of a listener, a service or a route about some of its requests: limits, faults, copies. */

/** A token bucket for all requests it matches, or one for each key. */
export interface RateLimitSpec {
  /** Told apart from the others of its place. */
  readonly name: string
  /** So many in so many seconds. */
  readonly count: number
  readonly perSeconds: number
  readonly burst: number
  /** Combined; empty: one bucket for all requests. */
  readonly by: readonly RateLimitKeySpec[]
  /** Absent: every request. */
  readonly match?: MatchSpec
  readonly mode: 'enforce' | 'shadow'
  readonly keys: number
  readonly tell: 'refused' | 'always' | 'never'
}

export type RateLimitKeySpec =
  /** In lower case. */
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'identity' }
  | { readonly kind: 'address'; readonly ipv4Bits: number; readonly ipv6Bits: number }

/** Trouble made on purpose. Shares are percents. */
export interface FaultSpec {
  readonly name: string
  /** Absent: every request. */
  readonly match?: MatchSpec
  readonly delay?: { readonly minMs: number; readonly maxMs: number; readonly percent: number }
  /** 0: as the other status says. */
  readonly abort?: { readonly status: number; readonly grpcStatus: number; readonly percent: number }
  readonly throttle?: { readonly bytesPerSecond: number; readonly percent: number }
  /** Milliseconds since the epoch. Absent: always, for ever. */
  readonly fromTime?: number
  readonly untilTime?: number
  readonly byHeaders: boolean
  /** Requests under it at a time. */
  readonly active: number
}

/** Where copies of requests go. */
export interface MirrorSpec {
  readonly service: string
  /** Null: all endpoints of the service. */
  readonly subset: string | null
  readonly percent: number
  /** The longest request body that is copied. */
  readonly bodyBytes: number
  /** At a time, for each data thread. */
  readonly active: number
  readonly timeoutMs: number
}
