/**
 * What a data thread has learnt of endpoints, in a form that another process can go on with: times are durations up to
 * now, because monotonic clocks of two processes have nothing in common. By service.
 */
export type Learnt = Readonly<Record<string, readonly LearntEndpoint[]>>

export interface LearntEndpoint {
  /** `address:port`. */
  readonly name: string
  readonly state: 'admitting' | 'ejected' | 'probing'
  /** For how much longer; below 0: its last ejection ended so long ago. */
  readonly ejectedForMs: number
  readonly ejections: number
  /** How long ago it was ejected last; -1: never. */
  readonly ejectedAgoMs: number
  readonly ejectionReason: string
  /** An operator has ejected it. */
  readonly byHand?: 'yes' | 'forced'
  readonly consecutiveFailures: number
  /** How long slow start has run; -1: it does not. */
  readonly warmingForMs: number
  readonly learntWeight: number
  readonly load: LearntLoad
}

/** `EndpointLoad`, with ages in the place of times. */
export interface LearntLoad {
  readonly failing: number
  readonly failedAgoMs: number
  readonly latencyMs: number
  readonly latencyAgoMs: number
  readonly failureRate: number
  readonly attempts: number
  readonly attemptAgoMs: number
  readonly reportedQps: number
  readonly reportedErrors: number
  readonly reportedUtilization: number
  readonly reportedAgoMs: number
  /** -1: it has not reported. */
  readonly reportedForMs: number
}
