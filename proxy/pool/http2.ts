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

/**
 * Streams of a connection whose peer has not said yet how many it allows: what RFC 9113 section 6.5.2 asks every
 * endpoint for.
 */
const UNTOLD = 100
const RECHECK_MS = 10

interface Waiting {
  readonly waiter: PoolWaiter
  readonly since: number
  /** Only a connection that never carried a stream will do. */
  readonly fresh: boolean
}

interface Carrier {
  readonly connection: UpstreamConnection
  /** When its last stream ended. */
  idleSince: number
  /** Gets no more streams and closes as its last one ends: it is old, or its place is needed elsewhere. */
  leaving: boolean
  /** When it is too old; `Infinity`: never. */
  readonly due: number
}

/**
 * The connections to one endpoint, many streams on each. The first that has room is used, so that few are kept; another
 * one is made when none has room, or when the peer has said that it goes away.
 */
export class Http2Pool implements Pool, UpstreamOwner, Dialer, Contender, SharesPlaces {
  readonly #address: string
  readonly #port: number
  readonly #settings: PoolSettings<Http2Pool>
  readonly #stats: EndpointStats
  readonly #deps: PoolDeps
  readonly #carriers: Carrier[] = []
  readonly #waiters: Waiting[] = []
  readonly #dials = new Set<DialAttempt>()
  readonly #idleClose = idleClose()
  readonly #sweep: Timer
  readonly #pendingTimer: Timer
  #open = 0
  /**
   * How many streams the endpoint allows on a connection, as it said last: a new connection is taken to be like the
   * others.
   */
  #streams = UNTOLD
  #draining = false

  constructor(address: string, port: number, settings: PoolSettings<Http2Pool>, stats: EndpointStats, deps: PoolDeps) {
    this.#address = address
    this.#port = port
    this.#settings = settings
    this.#stats = stats
    this.#deps = deps
    this.#sweep = deps.clock.timer(() => this.#retire())
    this.#pendingTimer = deps.clock.timer(() => this.#expirePending())
    settings.pools.add(this)
  }

  readonly protocol = 'HTTP/2'

  get idle(): number {
    return this.#carriers.filter(isIdle).length
  }

  get connections(): number {
    return this.#open
  }

  get pending(): number {
    return this.#waiters.length
  }

  acquire(waiter: PoolWaiter, fresh: boolean): UpstreamStream | Failure | null {
    const carrier = fresh ? null : this.#withRoom()
    if (carrier !== null) return carrier.connection.open()
    const settings = this.#settings
    // A connection that is being made has room for it.
    const isCovered = this.#waiters.length < this.#dials.size * this.#streams
    if (!isCovered && settings.connections >= settings.maxConnections) this.#freePlace()
    const mayDial = !isCovered && settings.connections < settings.maxConnections
    if (!isCovered && !mayDial && settings.pending >= settings.maxPending) return failures.poolOverflow
    this.#waiters.push({ waiter, since: this.#deps.clock.now(), fresh })
    settings.pending++
    add(this.#stats.pending, 1)
    if (mayDial) this.dial()
    else if (this.withoutDial === 1) this.#watchPending()
    return null
  }

  /**
   * The first that takes another stream. One that is too old to be trusted is closed: the peer may be closing it just
   * now.
   */
  #withRoom(): Carrier | null {
    const carriers = this.#carriers
    for (let i = 0; i < carriers.length; i++) {
      const carrier = carriers[i]!
      if (this.#roomOf(carrier) <= 0) continue
      if (carrier.due !== Number.POSITIVE_INFINITY && this.#deps.clock.now() >= carrier.due) {
        carrier.leaving = true
        if (!isIdle(carrier)) continue
      } else if (carrier.connection.active !== 0 || this.#deps.clock.now() - carrier.idleSince < this.#idleLimit()) {
        return carrier
      }
      // It takes itself out of the list.
      carrier.connection.destroy()
      i--
    }
    return null
  }

  #roomOf({ leaving, connection }: Carrier): number {
    const { connections, maxConnections } = this.#settings
    // At the limit a worn connection is better than none.
    if (leaving || (connection.worn && connections < maxConnections)) return 0
    const { capacity } = connection
    return connection.limit === UNTOLD ? Math.min(capacity, this.#streams - connection.active) : capacity
  }

  #learn({ limit }: UpstreamConnection): void {
    // None at all, for now, is no measure.
    this.#streams = Math.max(1, limit)
  }

  cancel(waiter: PoolWaiter): void {
    const at = this.#waiters.findIndex(waiting => waiting.waiter === waiter)
    if (at >= 0) this.#take(at)
  }

  #take(at: number): PoolWaiter {
    const [waiting] = this.#waiters.splice(at, 1)
    this.#settings.pending--
    add(this.#stats.pending, -1)
    return waiting!.waiter
  }

  get waitingSince(): number {
    return this.#waiters[0]!.since
  }

  /** How many wait for a place within the limit, not for a dial. */
  get withoutDial(): number {
    return Math.max(0, this.#waiters.length - this.#dials.size * this.#streams)
  }

  /**
   * Closes an idle connection of the service, at whatever endpoint; where there is none and we have nothing at all, a
   * busy one is to leave as soon as it can.
   */
  #freePlace(): void {
    let leaver: Carrier | null = null
    let most = 0
    for (const pool of this.#settings.pools) {
      const idle = pool.#carriers.find(isIdle)
      if (idle !== undefined) return idle.connection.destroy()
      if (pool === this) continue
      for (const carrier of pool.#carriers) {
        if (carrier.leaving) return
        if (pool.#open < most) continue
        most = pool.#open
        leaver = carrier
      }
    }
    if (leaver !== null && this.#open === 0) leaver.leaving = true
  }

  dial(): void {
    this.#settings.connections++
    this.#open++
    add(this.#stats.connections, 1)
    this.#dials.add(new DialAttempt(this, this.#deps, this.#address, this.#port, this.#settings.connectTimeoutMs))
  }

  dialed(attempt: DialAttempt, wire: Wire): void {
    this.#dials.delete(attempt)
    for (const { connection } of this.#carriers) if (connection.limit !== UNTOLD) this.#learn(connection)
    const connection = this.#deps.codec.connect(wire, this, this.#settings.upstream)
    const now = this.#deps.clock.now()
    const carrier = {
      connection,
      idleSince: now,
      leaving: false,
      due: connectionDue(this.#settings, now, this.#deps.random),
    }
    this.#carriers.push(carrier)
    this.#serve(carrier, true)
    this.#settle(carrier)
    dialForWaiters(this.#settings)
    this.#watchPending()
  }

  dialFailed(attempt: DialAttempt, failure: Failure, detail: string): void {
    this.#dials.delete(attempt)
    add(this.#stats.connectFailures, 1)
    this.#gone()
    // All that it would have served, at once: one after the other would each wait for a dial of its own.
    const failed: PoolWaiter[] = []
    for (let count = this.withoutDial; count > 0; count--) failed.push(this.#take(0))
    for (const waiter of failed) waiter.acquireFailed(failure, detail)
    dialForWaiters(this.#settings)
  }

  released(connection: UpstreamConnection): void {
    const carrier = this.#carriers.find(each => each.connection === connection)
    if (carrier === undefined) return
    this.#learn(connection)
    this.#serve(carrier, false)
    this.#settle(carrier)
  }

  /** Gives its room to those who wait. */
  #serve(carrier: Carrier, fresh: boolean): void {
    while (this.#roomOf(carrier) > 0) {
      const at = fresh ? 0 : this.#waiters.findIndex(waiting => !waiting.fresh)
      if (at < 0 || at >= this.#waiters.length) return
      const waiter = this.#take(at)
      waiter.acquired(carrier.connection.open())
    }
  }

  /** It may be idle now. */
  #settle(carrier: Carrier): void {
    if (carrier.connection.active !== 0) return
    const { pending, connections, maxConnections } = this.#settings
    const isWanted = pending > 0 && connections >= maxConnections && neediest(this.#settings) !== null
    if (this.#draining || carrier.leaving || carrier.connection.worn || isWanted) return carrier.connection.destroy()
    carrier.idleSince = this.#deps.clock.now()
    if (this.#sweepDue === Number.POSITIVE_INFINITY) this.#armSweep(this.#idleLimit())
  }

  closed(connection: UpstreamConnection, idle: boolean): void {
    const at = this.#carriers.findIndex(each => each.connection === connection)
    if (at >= 0) {
      if (idle) this.#idleClose.observed(this.#deps.clock.now() - this.#carriers[at]!.idleSince)
      this.#carriers.splice(at, 1)
    }
    this.#gone()
    dialForWaiters(this.#settings)
  }

  idleHint(milliseconds: number): void {
    this.#idleClose.hinted(milliseconds)
  }

  makeRoom(): void {
    this.#freePlace()
  }

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

  #sweepDue = Number.POSITIVE_INFINITY

  #armSweep(delayMs: number): void {
    if (delayMs === Number.POSITIVE_INFINITY) return
    const delay = Math.min(Math.max(delayMs, RECHECK_MS), 3_600_000)
    this.#sweepDue = this.#deps.clock.now() + delay
    this.#sweep.arm(delay)
  }

  /** Closes what has been idle for too long. */
  #retire(): void {
    this.#sweepDue = Number.POSITIVE_INFINITY
    const limit = this.#idleLimit()
    const now = this.#deps.clock.now()
    let next = Number.POSITIVE_INFINITY
    for (const carrier of this.#carriers.filter(isIdle)) {
      const left = carrier.idleSince + limit - now
      if (left <= 0) carrier.connection.destroy()
      else next = Math.min(next, left)
    }
    this.#armSweep(next)
  }

  /** Who waits for a place waits no longer than for a connection. */
  #watchPending(): void {
    const { connectTimeoutMs } = this.#settings
    if (connectTimeoutMs === 0 || this.withoutDial === 0) return
    this.#pendingTimer.arm(Math.max(RECHECK_MS, this.#waiters[0]!.since + connectTimeoutMs - this.#deps.clock.now()))
  }

  #expirePending(): void {
    const limit = this.#settings.connectTimeoutMs
    const now = this.#deps.clock.now()
    const failed: PoolWaiter[] = []
    while (this.withoutDial > 0 && now - this.#waiters[0]!.since >= limit) failed.push(this.#take(0))
    for (const waiter of failed) waiter.acquireFailed(failures.pendingTimeout, `no connection within ${limit} ms`)
    this.#watchPending()
  }

  drain(): void {
    this.#draining = true
    for (const carrier of this.#carriers.filter(isIdle)) carrier.connection.destroy()
    this.#sweep.cancel()
    if (this.#open === 0) this.#settings.pools.delete(this)
  }
}

function isIdle({ connection }: Carrier): boolean {
  return connection.active === 0
}
