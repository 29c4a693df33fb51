import type { Codec, UpstreamConnection, UpstreamOwner } from '../core/codec.ts'
import type { Wire } from '../core/wire.ts'
import type { ConnectionSet, SetOwner } from './connection-set.ts'
import { connectionDue } from './policy.ts'

/**
 * Connections with one stream at a time. The one used last is used first, so that a quiet service keeps few and the
 * others grow old and are retired.
 */
export class Http1Connections implements ConnectionSet, UpstreamOwner {
  readonly protocol = 'http1'
  /** Each is one user's. */
  readonly isLeaving = false
  readonly mayLeave = false
  readonly #pool: SetOwner
  readonly #codec: Pick<Codec, 'connect'>
  readonly #idle: UpstreamConnection[] = []
  /** When each of `#idle` became so. */
  readonly #idleSince: number[] = []
  /** When each is too old; only of connections that get old at all. */
  readonly #due = new Map<UpstreamConnection, number>()
  #isRetired = false

  constructor(pool: SetOwner, codec: Pick<Codec, 'connect'>) {
    this.#pool = pool
    this.#codec = codec
  }

  get idle(): number {
    return this.#idle.length
  }

  take(): UpstreamConnection | null {
    const idle = this.#idle
    if (idle.length === 0) return null
    const limit = this.#pool.idleClock.limitMs
    const now = this.#pool.clock.now()
    do {
      const connection = idle.pop()!
      if (now - this.#idleSince.pop()! < limit && !this.#isOld(connection, now)) return connection
      // Too old to be trusted: the peer may be closing it just now.
      connection.destroy()
    } while (idle.length !== 0)
    return null
  }

  add(wire: Wire): void {
    const { policy, clock, random } = this.#pool
    const connection = this.#codec.connect(wire, this, policy.upstream)
    const due = connectionDue(policy, clock.now(), random)
    if (due !== Number.POSITIVE_INFINITY) this.#due.set(connection, due)
    this.#handOut(connection, true)
  }

  #isOld(connection: UpstreamConnection, now: number): boolean {
    return this.#due.size !== 0 && (this.#due.get(connection) ?? Number.POSITIVE_INFINITY) <= now
  }

  released(connection: UpstreamConnection): void {
    if (!this.#isRetired && (this.#due.size === 0 || !this.#isOld(connection, this.#pool.clock.now())))
      return this.#handOut(connection, false)
    // `closed` gives its permit to those that wait.
    connection.destroy()
  }

  #handOut(connection: UpstreamConnection, fresh: boolean): void {
    const pool = this.#pool
    const { rival } = pool
    // A used one goes elsewhere even before our own next one, if they have waited longer and have no connection at all:
    // else a busy endpoint would keep it for good.
    const givesWay = !fresh && rival !== null && pool.isPoorer(rival)
    const waiter = givesWay ? undefined : pool.nextWaiter(fresh)
    if (waiter !== undefined) return waiter.acquired(connection.open())
    if (pool.isDraining || rival !== null) return connection.destroy()
    const now = pool.clock.now()
    this.#idle.push(connection)
    this.#idleSince.push(now)
    pool.becameIdle(now)
  }

  closed(connection: UpstreamConnection, idle: boolean): void {
    this.#due.delete(connection)
    const at = idle ? this.#idle.indexOf(connection) : -1
    if (at >= 0) {
      this.#pool.idleClock.observed(this.#pool.clock.now() - this.#idleSince[at]!)
      this.#idle.splice(at, 1)
      this.#idleSince.splice(at, 1)
    }
    this.#pool.gone()
  }

  idleHint(milliseconds: number): void {
    this.#pool.idleClock.hinted(milliseconds)
  }

  offered(): void {
    this.#pool.offered()
  }

  vouched(answer: (isSidecar: boolean) => void): boolean | 'later' {
    return this.#pool.vouched(answer)
  }

  /** The one that has been idle for the longest is at the front. */
  closeIdle(): boolean {
    const connection = this.#idle.shift()
    if (connection === undefined) return false
    this.#idleSince.shift()
    connection.destroy()
    return true
  }

  sweep(idleMs: number): number {
    const until = this.#pool.clock.now() - idleMs
    while (this.#idle.length !== 0 && this.#idleSince[0]! <= until) this.closeIdle()
    return this.#idle.length === 0 ? Number.POSITIVE_INFINITY : this.#idleSince[0]! + idleMs
  }

  leave(): void {}

  retire(): void {
    this.#isRetired = true
    while (this.closeIdle());
  }
}
