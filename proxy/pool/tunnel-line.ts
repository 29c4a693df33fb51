import type { Clock } from '../core/clock.ts'
import type { ConnectWaiter } from '../core/pool.ts'
import type { Contender } from './permits.ts'
import { Waiters, type WaitersOwner } from './waiters.ts'

/** The tunnels to one endpoint, as the line sees them. */
export interface LinedUp {
  /** There is a permit. */
  dial(waiter: ConnectWaiter): void
  /** There was none in time. */
  expired(waiter: ConnectWaiter, detail: string): void
}

/**
 * The tunnels of a service that wait for a permit, first come first served over all its endpoints. They come before
 * requests: those may still be served by a connection that is there.
 */
export class TunnelLine implements Contender, WaitersOwner<ConnectWaiter> {
  /** It has no connections: each belongs to a tunnel. */
  readonly open = 0
  readonly #waiters: Waiters<ConnectWaiter>
  readonly #tunnelsOf = new Map<ConnectWaiter, LinedUp>()
  readonly #waitMs: () => number

  constructor(clock: Clock, waitMs: () => number) {
    this.#waiters = new Waiters(clock, this)
    this.#waitMs = waitMs
  }

  get withoutDial(): number {
    return this.#waiters.length
  }

  get waitingSince(): number {
    return this.#waiters.since
  }

  get waitMs(): number {
    return this.#waitMs()
  }

  add(waiter: ConnectWaiter, tunnels: LinedUp): void {
    this.#tunnelsOf.set(waiter, tunnels)
    this.#waiters.add(waiter, true)
    this.#waiters.watch()
  }

  /** False: it did not wait. */
  remove(waiter: ConnectWaiter): boolean {
    return this.#waiters.remove(waiter) && this.#tunnelsOf.delete(waiter)
  }

  dial(): void {
    const waiter = this.#waiters.next(true)!
    this.#leave(waiter).dial(waiter)
  }

  expired(waiter: ConnectWaiter): void {
    this.#leave(waiter).expired(waiter, `no connection within ${this.waitMs} ms`)
  }

  #leave(waiter: ConnectWaiter): LinedUp {
    const tunnels = this.#tunnelsOf.get(waiter)!
    this.#tunnelsOf.delete(waiter)
    return tunnels
  }
}
