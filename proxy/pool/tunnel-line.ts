import type { Clock } from '../core/clock.ts'
import type { ConnectWaiter } from '../core/pool.ts'
import type { Contender, OwnRoom } from './permits.ts'
import { Waiters, type WaitersOwner } from './waiters.ts'

/** The tunnels to one endpoint, as the line sees them. */
export interface LinedUp {
  readonly room: OwnRoom
  /** There is a permit. */
  dial(waiter: ConnectWaiter): void
  /** There was none in time. */
  expired(waiter: ConnectWaiter, detail: string): void
}

/**
 * The tunnels of a service that wait for a permit, first come first served over all its endpoints. They come before
 * requests: those may still be served by a connection that is there.
 */
export class TunnelLine implements Contender, OwnRoom, WaitersOwner<ConnectWaiter> {
  /** It has no connections: each belongs to a tunnel. */
  readonly open = 0
  readonly #waiters: Waiters<ConnectWaiter>
  readonly #tunnelsOf = new Map<ConnectWaiter, LinedUp>()
  readonly #waitMs: () => number
  /** Its endpoint's own room is taken: it is dialled next. */
  #chosen: ConnectWaiter | null = null

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

  /** That of the endpoint of the next one. */
  get room(): OwnRoom {
    return this
  }

  get mayConnect(): boolean {
    return this.#next() !== null
  }

  takeConnection(): boolean {
    const waiter = this.#next()
    if (waiter === null || !this.#tunnelsOf.get(waiter)!.room.takeConnection()) return false
    this.#chosen = waiter
    return true
  }

  /** The first whose endpoint has room: one that is full keeps no tunnel to another from its permit. */
  #next(): ConnectWaiter | null {
    for (const [waiter, tunnels] of this.#tunnelsOf) if (tunnels.room.mayConnect) return waiter
    return null
  }

  dial(): void {
    const waiter = this.#chosen!
    this.#chosen = null
    this.#waiters.remove(waiter)
    this.#leave(waiter).dial(waiter)
  }

  /** What a tunnel carries may wait. */
  readonly queue = null

  expired(waiter: ConnectWaiter): void {
    this.#leave(waiter).expired(waiter, `no connection within ${this.waitMs} ms`)
  }

  #leave(waiter: ConnectWaiter): LinedUp {
    const tunnels = this.#tunnelsOf.get(waiter)!
    this.#tunnelsOf.delete(waiter)
    return tunnels
  }
}
