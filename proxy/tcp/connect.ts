import type { Attempt } from '../core/attempt.ts'
import { type AttemptRecord, NO_ATTEMPT } from '../core/decision.ts'
import type { Failure } from '../core/failure.ts'
import type { ConnectWaiter } from '../core/pool.ts'
import type { Wire } from '../core/wire.ts'

/** The tunnel a connection is for. */
export interface ConnectOwner {
  connected(attempt: Connect, wire: Wire): void
  connectFailed(attempt: Connect, failure: Failure, detail: string): void
}

/** One try of a tunnel at one endpoint: a connection of its own. */
export class Connect implements Attempt, ConnectWaiter {
  record: AttemptRecord = NO_ATTEMPT
  readonly #owner: ConnectOwner
  #isWaiting = false

  constructor(owner: ConnectOwner) {
    this.#owner = owner
  }

  /** Every connection of a tunnel is a fresh one. */
  open(): void {
    this.#isWaiting = true
    const refused = this.record.endpoint!.pool.connect(this)
    if (refused !== null) this.connectFailed(refused, this.record.endpoint!.pool.room.refusedBy)
  }

  connected(wire: Wire): void {
    this.#isWaiting = false
    this.#owner.connected(this, wire)
  }

  connectFailed(failure: Failure, detail: string): void {
    this.#isWaiting = false
    this.#owner.connectFailed(this, failure, detail)
  }

  get isRunning(): boolean {
    return this.#isWaiting
  }

  giveUp(): boolean {
    if (!this.#isWaiting) return false
    this.#isWaiting = false
    this.record.endpoint!.pool.giveUp(this)
    return true
  }
}
