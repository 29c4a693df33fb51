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
  /** It has waited too long, and waits no more. */
  expired(waiter: T): void
}

/** Those that wait for a connection, first come first served, and no longer for a permit than for a dial. */
export class Waiters<T> {
  readonly #waiting: Waiting<T>[] = []
  readonly #clock: Clock
  readonly #owner: WaitersOwner<T>
  readonly #timer: Timer

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
    this.#waiting.push({ waiter, since: this.#clock.now(), fresh })
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
    const at = fresh ? 0 : this.#waiting.findIndex(waiting => !waiting.fresh)
    const waiting = this.#waiting[at]
    if (waiting === undefined) return undefined
    this.#waiting.splice(at, 1)
    return waiting.waiter
  }

  /** One waits without a dial: the wait has its limit. */
  watch(): void {
    const { waitMs, withoutDial } = this.#owner
    if (waitMs === 0 || withoutDial <= 0) return
    this.#timer.arm(Math.max(RECHECK_MS, this.since + waitMs - this.#clock.now()))
  }

  #expire(): void {
    const { waitMs } = this.#owner
    const until = this.#clock.now() - waitMs
    const expired: T[] = []
    for (let count = this.#owner.withoutDial; count > 0 && this.since <= until; count--) expired.push(this.next(true)!)
    for (const waiter of expired) this.#owner.expired(waiter)
    this.watch()
  }
}
