import type { Failure } from './failure.ts'
import type { Priority } from './priority.ts'

/** A request that waits for a permit. */
export interface AdmissionWaiter {
  readonly priority: Priority
  /** Monotonic milliseconds; 0: it has none. */
  readonly deadlineAt: number
  /** It has its permit. */
  admitted(now: number): void
  refused(failure: Failure, detail: string): void
}

/** Whether a service takes one more request now: limits, breaker. One for the service and all its subsets. */
export interface Admission {
  /** Why `admit` would refuse a request now; null: it would not. */
  refusal(now: number): Failure | null
  /** The limit that refused last; empty: it was none. */
  readonly refusedBy: string
  /** Takes a permit for one request, or says why there is none; `release` gives it back. */
  admit(now: number): Failure | null
  release(): void
  /** A request that was refused so may wait for a permit (`queue`). */
  mayWait(refusal: Failure): boolean
  /** A request that was refused so waits for a permit (`queue`); false: it may not. */
  wait(refusal: Failure, waiter: AdmissionWaiter, now: number): boolean
  /** It waits no more. */
  leave(waiter: AdmissionWaiter): void
  /** The same for an exchange that is about to try again; false: there is none. */
  admitRetry(): boolean
  releaseRetry(): void
  /** How it stands, in words: limits that are set and what is left of them, the breaker. */
  describe(now: number): readonly string[]
}
