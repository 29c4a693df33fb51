/** It shares the permits of a service with others. */
export interface Contender {
  /** How many wait for a permit, and not for a dial. */
  readonly withoutDial: number
  /** Since when the first has waited; asked for only when one waits. */
  readonly waitingSince: number
  /** Connections that it has, or makes, for those that wait. */
  readonly open: number
  /** Makes another connection, with a permit that was taken for it. */
  dial(): void
}

/**
 * The permits of a service on this data thread. Each connection to one of its endpoints has one, from the dial on,
 * within `limits.connections`. The waits for a connection are counted here too, within `limits.pending`.
 */
export class Permits {
  #limit = 0
  #maxWaiting = 0
  #taken = 0
  #waiting = 0
  readonly #first: Contender
  readonly #contenders: Iterable<Contender>

  /** `first` comes before all `contenders`, which come in the order in which their first waiter came. */
  constructor(first: Contender, contenders: Iterable<Contender>) {
    this.#first = first
    this.#contenders = contenders
  }

  limitTo(connections: number, waiting: number): void {
    this.#limit = connections
    this.#maxWaiting = waiting
    this.share()
  }

  get isFull(): boolean {
    return this.#taken >= this.#limit
  }

  get waiting(): number {
    return this.#waiting
  }

  /** A permit for one more connection; false: there is none. */
  take(): boolean {
    if (this.#taken >= this.#limit) return false
    this.#taken++
    return true
  }

  /** A connection is gone: its permit goes to a contender that waits. */
  give(): void {
    this.#taken--
    this.share()
  }

  get mayWait(): boolean {
    return this.#waiting < this.#maxWaiting
  }

  wait(): void {
    this.#waiting++
  }

  waited(): void {
    this.#waiting--
  }

  /** Permits that are free go to those that wait for one. */
  share(): void {
    while (this.#waiting !== 0 && this.#taken < this.#limit) {
      const contender = this.#neediest()
      if (contender === null) return
      this.#taken++
      contender.dial()
    }
  }

  /** No permit is left, and this contender waits for one; null: none does. */
  get rival(): Contender | null {
    return this.#waiting === 0 || this.#taken < this.#limit ? null : this.#neediest()
  }

  #neediest(): Contender | null {
    if (this.#first.withoutDial > 0) return this.#first
    let found: Contender | null = null
    for (const contender of this.#contenders) {
      if (contender.withoutDial <= 0) continue
      if (found === null || contender.waitingSince < found.waitingSince) found = contender
    }
    return found
  }
}
