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
  /** One line for the caller and for docs/failures.md: what happened. */
  readonly reason: string
  /** What usually causes it and where to look: for docs/failures.md and `/explain`. */
  readonly remedy: string
}

export function isFailure(value: object): value is Failure {
  return 'failure' in value
}

/** A row of the table. */
export function row(
  failure: string,
  side: Failure['side'],
  flag: ResponseFlag,
  httpStatus: number,
  grpcStatus: number,
  replay: Failure['replay'],
  reason: string,
  remedy: string,
): Failure {
  return Object.freeze({ failure, side, flag, httpStatus, grpcStatus, replay, reason, remedy })
}
