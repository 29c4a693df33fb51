import type { RetryCondition } from '../../mesh-config/snapshot.ts'

/**
 * Envoy's short names, so that existing dashboards and habits carry over (`envoy:source/common/stream_info/utility.h`).
 */
export type ResponseFlag =
  | 'NR'
  | 'NC'
  | 'UH'
  | 'UF'
  | 'UO'
  | 'UT'
  | 'UC'
  | 'UR'
  | 'UPE'
  | 'URX'
  | 'LR'
  | 'DC'
  | 'DPE'
  | 'RL'
  | 'UAEX'
  | 'FI'
  | 'DI'
  | 'SI'
  | 'DT'
  | 'UMSDR'
  | 'OM'

/**
 * What went wrong, as a value. One frozen object per kind, shared by every exchange that fails so: a failing upstream
 * must not cost more CPU than a healthy one.
 */
export interface Failure {
  readonly failure: string
  readonly side: 'downstream' | 'upstream' | 'local'
  readonly flag: ResponseFlag
  readonly httpStatus: number
  readonly grpcStatus: number
  /** `unsent`: the upstream cannot have acted on it. `maybe-sent`: only an idempotent request may be tried again. */
  readonly replay: 'unsent' | 'maybe-sent' | 'never'
  /** The word in `retries.on` that it falls under; null: it is never tried again. */
  readonly condition: RetryCondition | null
  /** What it says of the endpoint, in statistics and outlier detection. `ignorable`: nothing. */
  readonly outcome: 'failure' | 'ignorable'
  /**
   * How the caller is told. `any`: in its own language, a status to gRPC and a problem document to others. `http`: by a
   * problem document even to gRPC. `none`: not at all, because the caller does not read or the connection is closing.
   */
  readonly reply: 'any' | 'http' | 'none'
  /** One line for the caller and for docs/failures.md: what happened. */
  readonly reason: string
  /** What usually causes it and where to look: for docs/failures.md and `/explain`. */
  readonly remedy: string
}

export function isFailure(value: object): value is Failure {
  return 'failure' in value
}

/** A row of the table. */
export function row(columns: Failure): Failure {
  return Object.freeze(columns)
}
