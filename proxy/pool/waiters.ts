import type { QueueSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Timer } from '../core/clock.ts'

const RECHECK_MS = 10

interface Waiting<T> {
  readonly waiter: T
  readonly since: number
  /** Only a connection that never carried a stream will do. */
  readonly fresh: boolean
}

export interface WaitersOwner<T> {
  /** How many of them wait for a permit, and not for a dial: a dial ends the wait of the others. */
  readonly withoutDial: number
  /** 0: for as long as it takes. */
  readonly waitMs: number
  /** `queue` of the service; null: none, or it is not for these. */
  readonly queue: QueueSpec | null
  /** It has waited so long, which is too long, and waits no more. */
  expired(waiter: T, waitMs: number): void
}

/**
 * Those that wait for a connection, first come first served, and no longer for a permit than for a dial. With a `queue`
 * it is the controlled delay of cluster/queue.ts: a shorter wait, and the newest first while the line does not empty.
 */
export class Waiters<T> {
  readonly #waiting: Waiting<T>[] = []
  readonly #clock: Clock
  readonly #owner: WaitersOwner<T>
  readonly #timer: Timer
  /** Since when the line has not been empty. */
  #since = 0

  constructor(clock: Clock, owner: WaitersOwner<T>) {
    this.#clock = clock
    this.#owner = owner
    this.#timer = clock.timer(() => this.#expire())
  }

  get length(): number {
    return this.#waiting.length
  }

  /** Since when the first has waited. */
  get since(): number {
    return this.#waiting[0]!.since
  }

  add(waiter: T, fresh: boolean): void {
    const now = this.#clock.now()
    if (this.#waiting.length === 0) this.#since = now
    this.#waiting.push({ waiter, since: now, fresh })
  }

  /** False: it did not wait. */
  remove(waiter: T): boolean {
    const at = this.#waiting.findIndex(waiting => waiting.waiter === waiter)
    if (at >= 0) this.#waiting.splice(at, 1)
    return at >= 0
  }

  /** Takes out the first that a connection, `fresh` or not, will do for. */
  next(fresh: boolean): T | undefined {
    if (this.#waiting.length === 0) return undefined
    const at = this.#turnOf(fresh)
    const waiting = this.#waiting[at]
    if (waiting === undefined) return undefined
    this.#waiting.splice(at, 1)
    return waiting.waiter
  }

  #turnOf(fresh: boolean): number {
    const waiting = this.#waiting
    if (this.#isOverloaded()) return fresh ? waiting.length - 1 : waiting.findLastIndex(each => !each.fresh)
    return fresh ? 0 : waiting.findIndex(each => !each.fresh)
  }

  /** It has not been empty for a whole interval of its queue. */
  #isOverloaded(): boolean {
    const { queue, withoutDial } = this.#owner
    return queue !== null && withoutDial > 0 && this.#clock.now() - this.#since > queue.intervalMs
  }

  /** 0: for as long as it takes. */
  #allowedMs(): number {
    const { queue, waitMs } = this.#owner
    if (queue === null) return waitMs
    const allowed = this.#isOverloaded() ? queue.targetMs : queue.intervalMs
    return waitMs === 0 ? allowed : Math.min(waitMs, allowed)
  }

  /** One waits without a dial: the wait has its limit. */
  watch(): void {
    const allowedMs = this.#allowedMs()
    if (allowedMs === 0 || this.#owner.withoutDial <= 0) return
    const { queue } = this.#owner
    // Once it is overloaded the wait is a shorter one.
    const since = queue === null || this.#isOverloaded() ? this.since : Math.min(this.since, this.#since + 1)
    this.#timer.arm(Math.max(RECHECK_MS, since + allowedMs - this.#clock.now()))
  }

  #expire(): void {
    const allowedMs = this.#allowedMs()
    const until = this.#clock.now() - allowedMs
    const expired: T[] = []
    for (let count = this.#owner.withoutDial; count > 0 && this.since <= until; count--)
      expired.push(this.#waiting.shift()!.waiter)
    for (const waiter of expired) this.#owner.expired(waiter, allowedMs)
    this.watch()
  }
}
