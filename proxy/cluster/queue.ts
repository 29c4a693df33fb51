import type { QueueSpec } from '../../mesh-config/snapshot.ts'
import type { AdmissionWaiter } from '../core/admission.ts'
import type { Clock, Timer } from '../core/clock.ts'
import { failures } from '../core/failure.ts'
import { priorities } from '../core/priority.ts'

export interface QueueOwner {
  /** Takes a permit for one more request; false: there is none. */
  take(now: number): boolean
  give(): void
  /** What an answer takes at least, as far as it is known. */
  readonly leastMs: number
  /** Permits may be given back by other data threads, which this one hears nothing of. */
  readonly isShared: boolean
}

interface Queued {
  readonly waiter: AdmissionWaiter
  readonly since: number
}

/** Each so many requests one of the lowest priority that waits is served. */
const LOW_TURN = 8
const POLL_MS = 10

/**
 * The requests of a service that wait for a permit, in one data thread. A controlled delay (Facebook's, after CoDel)
 * bounds the wait: `interval` as long as the queue has been empty lately, else `target`. A queue that never empties
 * only makes answers late, so it is kept short, and then the newest request is served first: the oldest are those whose
 * callers have given up. The lowest priority is shed first.
 */
export class RequestQueue {
  /** A reload replaces it. */
  spec: QueueSpec
  readonly #owner: QueueOwner
  readonly #clock: Clock
  readonly #lines: Queued[][] = priorities.map(() => [])
  readonly #timer: Timer
  /** Since when it has not been empty. */
  #since = 0
  #served = 0
  #isServing = false

  constructor(spec: QueueSpec, owner: QueueOwner, clock: Clock) {
    this.spec = spec
    this.#owner = owner
    this.#clock = clock
    this.#timer = clock.timer(() => this.#expire())
  }

  get length(): number {
    return this.#lines.reduce((sum, { length }) => sum + length, 0)
  }

  /** Waits, if it may; false: the queue is full of what is as important. */
  join(waiter: AdmissionWaiter, now: number): boolean {
    if (this.length >= this.spec.requests && !this.#evictBelow(waiter.priority)) return false
    if (this.length === 0) this.#since = now
    this.#lines[waiter.priority]!.push({ waiter, since: now })
    this.#watch(now)
    return true
  }

  /** Its caller has gone, or its time is over. */
  leave(waiter: AdmissionWaiter): void {
    const line = this.#lines[waiter.priority]!
    const at = line.findIndex(queued => queued.waiter === waiter)
    if (at >= 0) line.splice(at, 1)
  }

  /** Permits that are free go to those that wait. */
  serve(now: number): void {
    // One that is served may end at once, and give its permit back.
    if (this.#isServing) return
    this.#isServing = true
    this.#shed(now)
    for (let line = this.#next(); line !== null && this.#owner.take(now); line = this.#next()) {
      const { waiter } = this.#isOverloaded(now) ? line.pop()! : line.shift()!
      this.#served++
      const { deadlineAt } = waiter
      if (deadlineAt !== 0 && deadlineAt - now <= this.#owner.leastMs) {
        this.#owner.give()
        waiter.refused(failures.deadlineExceeded, 'what was left of it in the queue is less than an answer takes')
      } else waiter.admitted(now)
    }
    this.#isServing = false
  }

  /** It has not been empty for a whole interval. */
  #isOverloaded(now: number): boolean {
    return now - this.#since > this.spec.intervalMs
  }

  /** The line whose turn it is; null: nothing waits. */
  #next(): Queued[] | null {
    const lines = this.#lines
    if (this.#served % LOW_TURN === LOW_TURN - 1) return lines.findLast(({ length }) => length !== 0) ?? null
    return lines.find(({ length }) => length !== 0) ?? null
  }

  #evictBelow(priority: number): boolean {
    for (let below = priorities.length - 1; below > priority; below--) {
      const evicted = this.#lines[below]!.shift()
      if (evicted === undefined) continue
      evicted.waiter.refused(failures.poolOverflow, '`queue.requests`: a request of a higher priority came')
      return true
    }
    return false
  }

  // ── the time of a wait ──

  #allowedMs(now: number): number {
    return this.#isOverloaded(now) ? this.spec.targetMs : this.spec.intervalMs
  }

  #watch(now: number): void {
    let oldest = Number.POSITIVE_INFINITY
    for (const line of this.#lines) if (line.length !== 0) oldest = Math.min(oldest, line[0]!.since)
    if (oldest === Number.POSITIVE_INFINITY) return
    // Once it is overloaded the wait is a shorter one.
    const due = this.#isOverloaded(now)
      ? oldest + this.spec.targetMs
      : Math.min(oldest, this.#since + 1) + this.spec.intervalMs
    const leftMs = Math.max(1, due - now)
    this.#timer.arm(this.#owner.isShared ? Math.min(POLL_MS, leftMs) : leftMs)
  }

  #expire(): void {
    const now = this.#clock.now()
    if (this.#owner.isShared) this.serve(now)
    else this.#shed(now)
    this.#watch(now)
  }

  /** Those that have waited too long are refused. */
  #shed(now: number): void {
    const allowed = this.#allowedMs(now)
    for (const line of this.#lines)
      while (line.length !== 0 && now - line[0]!.since >= allowed)
        line.shift()!.waiter.refused(failures.poolOverflow, `\`queue\`: no permit within ${allowed} ms`)
  }

  /** Nothing waits any more. */
  stop(): void {
    this.#timer.cancel()
    for (const line of this.#lines)
      while (line.length !== 0) line.shift()!.waiter.refused(failures.poolOverflow, '`queue` was turned off')
  }
}
