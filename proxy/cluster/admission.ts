import type { BreakerSpec, ConcurrencySpec, QueueSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Admission, AdmissionWaiter } from '../core/admission.ts'
import type { Clock } from '../core/clock.ts'
import type { Classification } from '../core/cluster.ts'
import { type Failure, failures } from '../core/failure.ts'
import { limited, SharedCounts } from '../core/shared-counts.ts'
import { type Breaker, breakerNote } from './breaker.ts'
import { type Concurrency, concurrencyNote } from './concurrency.ts'
import { limitNotes } from './limits.ts'
import { type QueueOwner, RequestQueue } from './queue.ts'

export interface AdmissionDeps {
  readonly clock: Clock
  /** What runs, in all data threads. Absent: this is the only one. */
  readonly counts?: SharedCounts
  /** Absent: there are no breakers. */
  breaker?(spec: BreakerSpec): Breaker
  concurrency?(spec: ConcurrencySpec): Concurrency
}

export class ServiceAdmission implements Admission, QueueOwner {
  /** Requests under way in this thread. */
  active = 0
  /** Requests admitted since it was made. */
  uses = 0
  refusedBy = ''
  /** What runs in all threads. */
  readonly counts: SharedCounts
  /** Null: the service has none. */
  breaker: Breaker | null = null
  concurrency: Concurrency | null = null
  queue: RequestQueue | null = null
  readonly #deps: AdmissionDeps
  #limits: ServiceSpec['limits']

  constructor(spec: ServiceSpec, deps: AdmissionDeps) {
    this.#deps = deps
    this.#limits = spec.limits
    this.counts = deps.counts ?? new SharedCounts('')
    this.configure(spec)
  }

  /** What was counted stays, whatever the numbers are now. */
  configure({ limits, breaker, concurrency, queue }: ServiceSpec): void {
    this.#limits = limits
    this.#setBreaker(breaker)
    this.#setConcurrency(concurrency)
    this.#setQueue(queue)
    this.queue?.serve(this.#deps.clock.now())
  }

  #setBreaker(spec: BreakerSpec | undefined): void {
    if (spec === undefined) {
      this.breaker?.stop()
      this.breaker = null
    } else if (this.breaker !== null) this.breaker.spec = spec
    else this.breaker = this.#deps.breaker?.(spec) ?? null
  }

  #setConcurrency(spec: ConcurrencySpec | undefined): void {
    if (spec === undefined) {
      this.concurrency?.stop()
      this.concurrency = null
    } else if (this.concurrency !== null) this.concurrency.spec = spec
    else this.concurrency = this.#deps.concurrency?.(spec) ?? null
  }

  #setQueue(spec: QueueSpec | undefined): void {
    if (spec === undefined) {
      this.queue?.stop()
      this.queue = null
    } else if (this.queue !== null) this.queue.spec = spec
    else this.queue = new RequestQueue(spec, this, this.#deps.clock)
  }

  /** The lower of the limit that is set and the one that was found out. */
  get #most(): number {
    const { requests } = this.#limits
    return this.concurrency === null ? requests : Math.min(requests, this.concurrency.enforced)
  }

  refusal(now: number): Failure | null {
    if (this.counts.total(limited.requests) >= this.#most) return this.#full()
    return this.breaker?.refuses(now) ? this.#tripped() : null
  }

  admit(now: number): Failure | null {
    // Those that wait have been there longer, or are more important.
    if (this.queue !== null && this.queue.length !== 0) return this.#full()
    return this.#enter(now)
  }

  #enter(now: number): Failure | null {
    if (!this.counts.take(limited.requests, this.#most)) return this.#full()
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
    const isSet = this.#most === this.#limits.requests
    this.refusedBy = isSet ? '`limits.requests`' : ''
    return isSet ? failures.poolOverflow : failures.concurrencyLimit
  }

  #tripped(): Failure {
    this.refusedBy = ''
    return failures.breakerOpen
  }

  release(): void {
    this.give()
    if (this.queue !== null && this.queue.length !== 0) this.queue.serve(this.#deps.clock.now())
  }

  mayWait(refusal: Failure): boolean {
    return this.queue !== null && refusal !== failures.breakerOpen
  }

  wait(refusal: Failure, waiter: AdmissionWaiter, now: number): boolean {
    const { queue } = this
    if (queue === null || !this.mayWait(refusal)) return false
    if (!queue.join(waiter, now)) {
      this.refusedBy = '`queue.requests`'
      return false
    }
    // Where others wait, it may be its turn all the same.
    queue.serve(now)
    return true
  }

  leave(waiter: AdmissionWaiter): void {
    this.queue?.leave(waiter)
  }

  // ── for the queue ──

  take(now: number): boolean {
    return this.#enter(now) === null
  }

  give(): void {
    this.active--
    this.counts.give(limited.requests)
  }

  get leastMs(): number {
    return this.concurrency?.baselineMs ?? 0
  }

  get isShared(): boolean {
    return this.counts.isShared
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
  took(outcome: Classification, tookMs: number): void {
    const { breaker, concurrency } = this
    if (breaker === null && concurrency === null) return
    const now = this.#deps.clock.now()
    breaker?.took(now, tookMs)
    // A failure may come at once, and says nothing of how long an answer takes.
    if (outcome === 'success') concurrency?.took(now, tookMs, this.counts.total(limited.requests))
  }

  describe(now: number): readonly string[] {
    const limits = limitNotes(this.#limits, this.counts)
    const { breaker, concurrency } = this
    return [
      ...limits,
      ...(breaker === null ? [] : [breakerNote(breaker, now)]),
      ...(this.queue === null || this.queue.length === 0 ? [] : [`queue: ${this.queue.length} wait`]),
      ...(concurrency === null ? [] : [concurrencyNote(concurrency, this.counts.total(limited.requests))]),
    ]
  }

  /** The service is gone. */
  close(): void {
    this.counts.close()
    this.#setBreaker(undefined)
    this.#setConcurrency(undefined)
    this.#setQueue(undefined)
  }
}
