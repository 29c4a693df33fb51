import { limited, SharedCounts } from '../core/shared-counts.ts'

/** What an endpoint may have by itself. */
export interface OwnRoom {
  /** One more connection. */
  readonly mayConnect: boolean
  /** Takes the room for one; false: there is none any more. */
  takeConnection(): boolean
}

/** It shares the permits of a service with others. */
export interface Contender {
  /** How many wait for a permit, and not for a dial. */
  readonly withoutDial: number
  /** Since when the first has waited; asked for only when one waits. */
  readonly waitingSince: number
  /** Connections that it has, or makes, for those that wait. */
  readonly open: number
  /** Limits of its own: they may have no room for one more connection. */
  readonly room: OwnRoom
  /** Makes another connection, with a permit that was taken for it. */
  dial(): void
}

/** Another data thread. It comes for its permit itself. */
export const ANOTHER_THREAD: Contender = {
  withoutDial: 0,
  waitingSince: 0,
  open: 0,
  room: { mayConnect: false, takeConnection: () => false },
  dial() {},
}

/**
 * The permits of a service. Each connection to one of its endpoints has one, from the dial on, within
 * `limits.connections`. The waits for a connection are counted here too, within `limits.pending`. Both are counted over
 * all data threads; who gets a permit that is given back is decided in each.
 */
export class Permits {
  readonly counts: SharedCounts
  #limit = 0
  #maxWaiting = 0
  readonly #first: Contender
  readonly #contenders: Iterable<Contender>

  /** `first` comes before all `contenders`, which come in the order in which their first waiter came. */
  constructor(first: Contender, contenders: Iterable<Contender>, counts = new SharedCounts('')) {
    this.#first = first
    this.#contenders = contenders
    this.counts = counts
  }

  limitTo(connections: number, waiting: number): void {
    this.#limit = connections
    this.#maxWaiting = waiting
    this.share()
  }

  get isFull(): boolean {
    return this.counts.total(limited.connections) >= this.#limit
  }

  /** In this thread. */
  get waiting(): number {
    return this.counts.own(limited.pending)
  }

  /** A permit for one more connection; false: there is none. */
  take(): boolean {
    return this.counts.take(limited.connections, this.#limit)
  }

  /** A connection is gone: its permit goes to a contender that waits. */
  give(): void {
    this.counts.give(limited.connections)
    this.share()
  }

  get mayWait(): boolean {
    return this.counts.total(limited.pending) < this.#maxWaiting
  }

  /** Waits, if one more may. */
  tryWait(): boolean {
    return this.counts.take(limited.pending, this.#maxWaiting)
  }

  /** Waits whatever the limit: a connection is being made for it. */
  wait(): void {
    this.counts.add(limited.pending)
  }

  waited(): void {
    this.counts.give(limited.pending)
  }

  /** Permits that are free go to those that wait for one. */
  share(): void {
    while (this.waiting !== 0) {
      const contender = this.#neediest()
      if (contender === null || !this.take()) return
      if (!contender.room.takeConnection()) return this.counts.give(limited.connections)
      contender.dial()
    }
  }

  /** No permit is left, and this contender waits for one; null: none does. */
  get rival(): Contender | null {
    const isSharing = this.waiting !== 0 || this.counts.isShared
    if (!isSharing || !this.isFull) return null
    if (this.counts.isOtherStarving) return ANOTHER_THREAD
    return this.waiting === 0 ? null : this.#neediest()
  }

  #neediest(): Contender | null {
    const first = this.#first
    if (first.withoutDial > 0 && first.room.mayConnect) return first
    let found: Contender | null = null
    for (const contender of this.#contenders) {
      if (contender.withoutDial <= 0 || !contender.room.mayConnect) continue
      if (found === null || contender.waitingSince < found.waitingSince) found = contender
    }
    return found
  }
}
