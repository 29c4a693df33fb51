import type { Failure } from './failure.ts'

/** Whether a service takes one more request now: limits, breaker. One for the service and all its subsets. */
export interface Admission {
  /** Why `admit` would refuse a request now; null: it would not. */
  refusal(now: number): Failure | null
  /** The limit that refused last; empty: it was none. */
  readonly refusedBy: string
  /** Takes a permit for one request, or says why there is none; `release` gives it back. */
  admit(now: number): Failure | null
  release(): void
  /** The same for an exchange that is about to try again; false: there is none. */
  admitRetry(): boolean
  releaseRetry(): void
  /** How it stands, in words: limits that are set and what is left of them, the breaker. */
  describe(now: number): readonly string[]
}
