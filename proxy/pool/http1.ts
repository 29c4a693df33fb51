import type { Clock, Timer } from '../core/clock.ts'
import type { Codec, UpstreamConnection, UpstreamOptions, UpstreamOwner } from '../core/codec.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { UpstreamStream } from '../core/message.ts'
import type { Pool, PoolWaiter } from '../core/pool.ts'
import type { EndpointStats } from '../core/telemetry.ts'
import type { Dial, Wire } from '../core/wire.ts'
import { idleClose } from './idle-close.ts'

/** One object for all pools of a service: so a reload changes them all, and its limits count them together. */
export interface PoolSettings {
  connectTimeoutMs: number
  idleTimeoutMs: number
  maxConnections: number
  maxPending: number
  /** Over all endpoints of the service on this data thread. */
  connections: number
  pending: number
  upstream: UpstreamOptions
}

export interface PoolDeps {
  readonly clock: Clock
  readonly dial: Dial
  readonly codec: Codec
}

/** The connections to one endpoint. The one used last is used first, so that a quiet service keeps few and the others grow old and are retired. */
export class Http1Pool implements Pool, UpstreamOwner {
  readonly #address: string
  readonly #port: number
  readonly #settings: PoolSettings
  readonly #stats: EndpointStats
  readonly #deps: PoolDeps
  readonly #idle: UpstreamConnection[] = []
  /** When each of `#idle` became so. */
  readonly #idleSince: number[] = []
  readonly #waiters: PoolWaiter[] = []
  readonly #waitingSince: number[] = []
  readonly #dials = new Set<DialAttempt>()
  readonly #idleClose = idleClose()
  readonly #sweep: Timer
  readonly #pendingTimer: Timer
  #open = 0
  #draining = false

  constructor(address: string, port: number, settings: PoolSettings, stats: EndpointStats, deps: PoolDeps) {
    this.#address = address
    this.#port = port
    this.#settings = settings
    this.#stats = stats
    this.#deps = deps
    this.#sweep = deps.clock.timer(() => this.#retire())
    this.#pendingTimer = deps.clock.timer(() => this.#expirePending())
  }

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
        if (now - this.#idleSince.pop()! < limit) return connection.open()
        // Too old to be trusted: the peer may be closing it just now.
        connection.destroy()
      }
    }
    const settings = this.#settings
    const mayDial = settings.connections < settings.maxConnections
    if (!mayDial && settings.pending >= settings.maxPending) return failures.poolOverflow
    this.#waiters.push(waiter)
    this.#waitingSince.push(this.#deps.clock.now())
    settings.pending++
    if (mayDial) this.#dial()
    else if (this.#waiters.length === 1) this.#pendingTimer.arm(settings.connectTimeoutMs)
    return null
  }

  cancel(waiter: PoolWaiter): void {
    const at = this.#waiters.indexOf(waiter)
    if (at < 0) return
    this.#waiters.splice(at, 1)
    this.#waitingSince.splice(at, 1)
    this.#settings.pending--
    // A dial made in its name goes on: the next request will want the connection.
  }

  #takeWaiter(): PoolWaiter | undefined {
    const waiter = this.#waiters.shift()
    if (waiter === undefined) return undefined
    this.#waitingSince.shift()
    this.#settings.pending--
    return waiter
  }

  #dial(): void {
    this.#settings.connections++
    this.#open++
    this.#stats.connections.values[this.#stats.connections.index]!++
    const attempt = new DialAttempt(this, this.#deps, this.#address, this.#port, this.#settings.connectTimeoutMs)
    this.#dials.add(attempt)
  }

  dialed(attempt: DialAttempt, wire: Wire): void {
    this.#dials.delete(attempt)
    this.released(this.#deps.codec.connect(wire, this, this.#settings.upstream))
  }

  dialFailed(attempt: DialAttempt, failure: Failure, detail: string): void {
    this.#dials.delete(attempt)
    this.#stats.connectFailures.values[this.#stats.connectFailures.index]!++
    this.#gone()
    this.#takeWaiter()?.acquireFailed(failure, detail)
    this.#dialForWaiters()
  }

  released(connection: UpstreamConnection): void {
    const waiter = this.#takeWaiter()
    if (waiter !== undefined) return waiter.acquired(connection.open())
    if (this.#draining) return connection.destroy()
    this.#idle.push(connection)
    this.#idleSince.push(this.#deps.clock.now())
    if (this.#idle.length === 1) this.#sweep.arm(this.#idleLimit())
  }

  closed(connection: UpstreamConnection, idle: boolean): void {
    this.#gone()
    if (idle) {
      const at = this.#idle.indexOf(connection)
      if (at >= 0) {
        this.#idleClose.observed(this.#deps.clock.now() - this.#idleSince[at]!)
        this.#idle.splice(at, 1)
        this.#idleSince.splice(at, 1)
      }
    }
    this.#dialForWaiters()
  }

  idleHint(milliseconds: number): void {
    this.#idleClose.hinted(milliseconds)
  }

  #gone(): void {
    this.#settings.connections--
    this.#open--
    this.#stats.connections.values[this.#stats.connections.index]!--
  }

  /** A place became free: those who waited for one, without a dial of their own, get it. */
  #dialForWaiters(): void {
    while (this.#waiters.length > this.#dials.size && this.#settings.connections < this.#settings.maxConnections) this.#dial()
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
    if (this.#idle.length !== 0 && limit !== Number.POSITIVE_INFINITY) this.#sweep.arm(Math.min(this.#idleSince[0]! + limit - now, 3_600_000))
  }

  #expirePending(): void {
    const limit = this.#settings.connectTimeoutMs
    const now = this.#deps.clock.now()
    // Those for whom a dial runs are told by the dial.
    while (this.#waiters.length > this.#dials.size && now - this.#waitingSince[0]! >= limit)
      this.#takeWaiter()!.acquireFailed(failures.pendingTimeout, `no connection within ${limit} ms`)
    if (this.#waiters.length > 0) this.#pendingTimer.arm(Math.max(10, this.#waitingSince[0]! + limit - now))
  }

  drain(): void {
    this.#draining = true
    while (this.#idle.length !== 0) {
      this.#idleSince.pop()
      this.#idle.pop()!.destroy()
    }
    this.#sweep.cancel()
  }
}

/** A connection being made. */
class DialAttempt {
  readonly #timer: Timer
  readonly #cancel: () => void

  constructor(pool: Http1Pool, deps: PoolDeps, address: string, port: number, timeoutMs: number) {
    this.#timer = deps.clock.timer(() => {
      this.#cancel()
      pool.dialFailed(this, failures.connectTimeout, `no connection within ${timeoutMs} ms`)
    })
    if (timeoutMs > 0) this.#timer.arm(timeoutMs)
    this.#cancel = deps.dial(address, port, {
      connected: wire => {
        this.#timer.cancel()
        pool.dialed(this, wire)
      },
      failed: code => {
        this.#timer.cancel()
        pool.dialFailed(this, code === 'ECONNREFUSED' ? failures.connectRefused : failures.connectFailed, code)
      },
    })
  }
}
