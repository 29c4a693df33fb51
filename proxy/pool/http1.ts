import type { Timer } from '../core/clock.ts'
import type { UpstreamConnection, UpstreamOwner } from '../core/codec.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { UpstreamStream } from '../core/message.ts'
import type { Pool, PoolWaiter } from '../core/pool.ts'
import { add, type EndpointStats } from '../core/telemetry.ts'
import type { Wire } from '../core/wire.ts'
import { DialAttempt, type Dialer, type PoolDeps } from './dial.ts'
import { idleClose } from './idle-close.ts'
import { type Contender, dialForWaiters, neediest } from './places.ts'
import { connectionDue, type PoolSettings, type SharesPlaces } from './settings.ts'

interface Waiting {
  readonly waiter: PoolWaiter
  readonly since: number
  /** Only a connection that never carried a stream will do. */
  readonly fresh: boolean
}

/**
 * The connections to one endpoint. The one used last is used first, so that a quiet service keeps few and the others
 * grow old and are retired.
 */
export class Http1Pool implements Pool, UpstreamOwner, Dialer, Contender, SharesPlaces {
  readonly #address: string
  readonly #port: number
  readonly #settings: PoolSettings<Http1Pool>
  readonly #stats: EndpointStats
  readonly #deps: PoolDeps
  readonly #idle: UpstreamConnection[] = []
  /** When each of `#idle` became so. */
  readonly #idleSince: number[] = []
  readonly #waiters: Waiting[] = []
  readonly #dials = new Set<DialAttempt>()
  /** When each is too old; only of connections that get old at all. */
  readonly #due = new Map<UpstreamConnection, number>()
  readonly #idleClose = idleClose()
  readonly #sweep: Timer
  readonly #pendingTimer: Timer
  readonly #onOffer: () => void
  #open = 0
  #draining = false

  constructor(
    address: string,
    port: number,
    settings: PoolSettings<Http1Pool>,
    stats: EndpointStats,
    deps: PoolDeps,
    onOffer: () => void,
  ) {
    this.#address = address
    this.#port = port
    this.#settings = settings
    this.#stats = stats
    this.#deps = deps
    this.#onOffer = onOffer
    this.#sweep = deps.clock.timer(() => this.#retire())
    this.#pendingTimer = deps.clock.timer(() => this.#expirePending())
    settings.pools.add(this)
  }

  readonly protocol = 'HTTP/1.1'

  get idle(): number {
    return this.#idle.length
  }

  get connections(): number {
    return this.#open
  }

  get pending(): number {
    return this.#waiters.length
  }

  acquire(waiter: PoolWaiter, fresh: boolean): UpstreamStream | Failure | null {
    if (!fresh && this.#idle.length !== 0) {
      const limit = this.#idleLimit()
      const now = this.#deps.clock.now()
      while (this.#idle.length !== 0) {
        const connection = this.#idle.pop()!
        if (now - this.#idleSince.pop()! < limit && !this.#isOld(connection)) return connection.open()
        // Too old to be trusted: the peer may be closing it just now.
        connection.destroy()
      }
    }
    const settings = this.#settings
    if (settings.connections >= settings.maxConnections) this.#freePlace()
    const mayDial = settings.connections < settings.maxConnections
    if (!mayDial && settings.pending >= settings.maxPending) return failures.poolOverflow
    this.#waiters.push({ waiter, since: this.#deps.clock.now(), fresh })
    settings.pending++
    add(this.#stats.pending, 1)
    if (mayDial) this.dial()
    else if (this.withoutDial === 1) this.#pendingTimer.arm(settings.connectTimeoutMs)
    return null
  }

  cancel(waiter: PoolWaiter): void {
    const at = this.#waiters.findIndex(waiting => waiting.waiter === waiter)
    if (at < 0) return
    this.#waiters.splice(at, 1)
    this.#settings.pending--
    add(this.#stats.pending, -1)
    // A dial made in its name goes on: the next request will want the connection.
  }

  /** The first who waits, and would take a connection that is `fresh` or not. */
  #takeWaiter(fresh: boolean): PoolWaiter | undefined {
    const at = fresh ? 0 : this.#waiters.findIndex(waiting => !waiting.fresh)
    const waiting = this.#waiters[at]
    if (waiting === undefined) return undefined
    this.#waiters.splice(at, 1)
    this.#settings.pending--
    add(this.#stats.pending, -1)
    return waiting.waiter
  }

  get waitingSince(): number {
    return this.#waiters[0]!.since
  }

  /** How many wait for a place within the limit, not for a dial. */
  get withoutDial(): number {
    return this.#waiters.length - this.#dials.size
  }

  /** Closes the oldest idle connection there is, at whatever endpoint. */
  #freePlace(): void {
    for (const pool of this.#settings.pools) {
      const connection = pool.#idle.shift()
      if (connection === undefined) continue
      pool.#idleSince.shift()
      connection.destroy()
      return
    }
  }

  dial(): void {
    this.#settings.connections++
    this.#open++
    add(this.#stats.connections, 1)
    const attempt = new DialAttempt(this, this.#deps, this.#address, this.#port, this.#settings.connectTimeoutMs)
    this.#dials.add(attempt)
  }

  dialed(attempt: DialAttempt, wire: Wire): void {
    this.#dials.delete(attempt)
    const connection = this.#deps.codec.connect(wire, this, this.#settings.upstream)
    const due = connectionDue(this.#settings, this.#deps.clock.now(), this.#deps.random)
    if (due !== Number.POSITIVE_INFINITY) this.#due.set(connection, due)
    this.#handOut(connection, true)
  }

  #isOld(connection: UpstreamConnection): boolean {
    return this.#due.size !== 0 && (this.#due.get(connection) ?? Number.POSITIVE_INFINITY) <= this.#deps.clock.now()
  }

  dialFailed(attempt: DialAttempt, failure: Failure, detail: string): void {
    this.#dials.delete(attempt)
    add(this.#stats.connectFailures, 1)
    this.#gone()
    this.#takeWaiter(true)?.acquireFailed(failure, detail)
    dialForWaiters(this.#settings)
  }

  released(connection: UpstreamConnection): void {
    if (!this.#isOld(connection)) return this.#handOut(connection, false)
    // `closed` looks after those who wait for its place.
    connection.destroy()
  }

  #handOut(connection: UpstreamConnection, fresh: boolean): void {
    const { pending, connections, maxConnections } = this.#settings
    const needier = pending === 0 || connections < maxConnections ? null : neediest(this.#settings)
    // A used one goes elsewhere even before our own next one, if they have waited longer and have no connection at all:
    // else a busy endpoint would keep it for good.
    const givesWay = !fresh && needier !== null && needier !== this && needier.#open === 0
    const waiter = givesWay ? undefined : this.#takeWaiter(fresh)
    if (waiter !== undefined) return waiter.acquired(connection.open())
    if (this.#draining || needier !== null) return connection.destroy()
    this.#idle.push(connection)
    this.#idleSince.push(this.#deps.clock.now())
    if (this.#idle.length === 1) this.#sweep.arm(this.#idleLimit())
  }

  closed(connection: UpstreamConnection, idle: boolean): void {
    this.#due.delete(connection)
    this.#gone()
    if (idle) {
      const at = this.#idle.indexOf(connection)
      if (at >= 0) {
        this.#idleClose.observed(this.#deps.clock.now() - this.#idleSince[at]!)
        this.#idle.splice(at, 1)
        this.#idleSince.splice(at, 1)
      }
    }
    dialForWaiters(this.#settings)
  }

  idleHint(milliseconds: number): void {
    this.#idleClose.hinted(milliseconds)
  }

  offered(): void {
    this.#onOffer()
  }

  /** Closes those that have been idle for so long; false: there was none. */
  closeIdle(forMs: number): boolean {
    const until = this.#deps.clock.now() - forMs
    const before = this.#idle.length
    while (this.#idle.length !== 0 && this.#idleSince[0]! <= until) {
      this.#idleSince.shift()
      this.#idle.shift()!.destroy()
    }
    return this.#idle.length !== before
  }

  makeRoom(): void {
    this.#freePlace()
  }

  /** A connection that counts with ours, and is not one of ours, is gone. */
  placeFreed(): void {
    dialForWaiters(this.#settings)
  }

  #gone(): void {
    this.#settings.connections--
    this.#open--
    add(this.#stats.connections, -1)
    if (this.#draining && this.#open === 0) this.#settings.pools.delete(this)
    this.#settings.freed?.()
  }

  #idleLimit(): number {
    const { idleTimeoutMs } = this.#settings
    return Math.min(idleTimeoutMs > 0 ? idleTimeoutMs : Number.POSITIVE_INFINITY, this.#idleClose.limitMs)
  }

  /** Closes what has been idle for too long; the oldest are at the front. */
  #retire(): void {
    const limit = this.#idleLimit()
    const now = this.#deps.clock.now()
    while (this.#idle.length !== 0 && now - this.#idleSince[0]! >= limit) {
      const connection = this.#idle.shift()!
      this.#idleSince.shift()
      connection.destroy()
    }
    if (this.#idle.length !== 0 && limit !== Number.POSITIVE_INFINITY)
      this.#sweep.arm(Math.min(this.#idleSince[0]! + limit - now, 3_600_000))
  }

  #expirePending(): void {
    const limit = this.#settings.connectTimeoutMs
    const now = this.#deps.clock.now()
    // Those for whom a dial runs are told by the dial.
    while (this.withoutDial > 0 && now - this.#waiters[0]!.since >= limit)
      this.#takeWaiter(true)!.acquireFailed(failures.pendingTimeout, `no connection within ${limit} ms`)
    if (this.#waiters.length > 0) this.#pendingTimer.arm(Math.max(10, this.#waiters[0]!.since + limit - now))
  }

  drain(): void {
    this.#draining = true
    while (this.#idle.length !== 0) {
      this.#idleSince.pop()
      this.#idle.pop()!.destroy()
    }
    this.#sweep.cancel()
    if (this.#open === 0) this.#settings.pools.delete(this)
  }
}
