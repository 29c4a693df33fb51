import type { BreakerSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Admission } from '../core/admission.ts'
import type { Clock } from '../core/clock.ts'
import type { Classification } from '../core/cluster.ts'
import { type Failure, failures } from '../core/failure.ts'
import { limited, SharedCounts } from '../core/shared-counts.ts'
import { type Breaker, breakerNote } from './breaker.ts'
import { limitNotes } from './limits.ts'

export interface AdmissionDeps {
  readonly clock: Clock
  /** What runs, in all data threads. Absent: this is the only one. */
  readonly counts?: SharedCounts
  /** Absent: there are no breakers. */
  breaker?(spec: BreakerSpec): Breaker
}

export class ServiceAdmission implements Admission {
  /** Requests under way in this thread. */
  active = 0
  /** Requests admitted since it was made. */
  uses = 0
  refusedBy = ''
  /** What runs in all threads. */
  readonly counts: SharedCounts
  /** Null: the service has none. */
  breaker: Breaker | null = null
  readonly #deps: AdmissionDeps
  #limits: ServiceSpec['limits']

  constructor(spec: ServiceSpec, deps: AdmissionDeps) {
    this.#deps = deps
    this.#limits = spec.limits
    this.counts = deps.counts ?? new SharedCounts('')
    this.configure(spec)
  }

  /** What was counted stays, whatever the numbers are now. */
  configure({ limits, breaker }: ServiceSpec): void {
    this.#limits = limits
    this.#setBreaker(breaker)
  }

  #setBreaker(spec: BreakerSpec | undefined): void {
    if (spec === undefined) {
      this.breaker?.stop()
      this.breaker = null
    } else if (this.breaker !== null) this.breaker.spec = spec
    else this.breaker = this.#deps.breaker?.(spec) ?? null
  }

  refusal(now: number): Failure | null {
    if (this.counts.total(limited.requests) >= this.#limits.requests) return this.#full()
    return this.breaker?.refuses(now) ? this.#tripped() : null
  }

  admit(now: number): Failure | null {
    if (!this.counts.take(limited.requests, this.#limits.requests)) return this.#full()
    // Last: a probe that it admits is under way.
    if (this.breaker !== null && !this.breaker.admit(now)) {
      this.counts.give(limited.requests)
      return this.#tripped()
    }
    this.active++
    this.uses++
    return null
  }

  #full(): Failure {
    this.refusedBy = '`limits.requests`'
    return failures.poolOverflow
  }

  #tripped(): Failure {
    this.refusedBy = ''
    return failures.breakerOpen
  }

  release(): void {
    this.active--
    this.counts.give(limited.requests)
  }

  admitRetry(): boolean {
    return this.counts.take(limited.retries, this.#limits.retries ?? Number.POSITIVE_INFINITY)
  }

  releaseRetry(): void {
    this.counts.give(limited.retries)
  }

  /** What came of an attempt. */
  ended(outcome: Classification, startedAt: number): void {
    if (this.breaker !== null && outcome !== 'ignorable')
      this.breaker.ended(this.#deps.clock.now(), startedAt, outcome === 'failure')
  }

  /** How long it was waited for, whether an answer came or not. */
  took(tookMs: number): void {
    if (this.breaker !== null) this.breaker.took(this.#deps.clock.now(), tookMs)
  }

  describe(now: number): readonly string[] {
    const limits = limitNotes(this.#limits, this.counts)
    return this.breaker === null ? limits : [...limits, breakerNote(this.breaker, now)]
  }

  /** The service is gone. */
  close(): void {
    this.counts.close()
    this.#setBreaker(undefined)
  }
}
