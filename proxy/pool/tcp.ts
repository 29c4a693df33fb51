import type { Timer } from '../core/clock.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Connector, ConnectWaiter, Pool } from '../core/pool.ts'
import { add, type EndpointStats } from '../core/telemetry.ts'
import type { Wire } from '../core/wire.ts'
import { DialAttempt, type Dialer, type PoolDeps } from './dial.ts'
import type { PoolSettings, SharesPlaces } from './settings.ts'

type TcpTunnelDeps = Pick<PoolDeps, 'clock' | 'dial'>

interface Waiting {
  readonly pool: TcpPool
  readonly waiter: ConnectWaiter
  readonly since: number
}

/**
 * The tunnels of a service that wait for a place within `limits.connections`, first come first served over all its
 * endpoints.
 */
export class TcpPlaces {
  readonly settings: PoolSettings
  readonly deps: TcpTunnelDeps
  readonly #others: Iterable<SharesPlaces>
  readonly #waiting: Waiting[] = []
  readonly #timer: Timer

  /** `others`: the pools that have the same limits. */
  constructor(settings: PoolSettings, deps: TcpTunnelDeps, others: Iterable<SharesPlaces>) {
    this.settings = settings
    this.#others = others
    this.deps = deps
    this.#timer = deps.clock.timer(() => this.#expire())
    settings.freed = () => this.#fill()
  }

  /** Is there a place now? One that an idle connection takes up is made free. */
  get hasRoom(): boolean {
    const { settings } = this
    for (const pool of this.#others) {
      if (settings.connections < settings.maxConnections) return true
      pool.makeRoom()
    }
    return settings.connections < settings.maxConnections
  }

  wait(pool: TcpPool, waiter: ConnectWaiter): void {
    this.#waiting.push({ pool, waiter, since: this.deps.clock.now() })
    if (this.#waiting.length === 1) this.#timer.arm(this.settings.connectTimeoutMs)
  }

  /** False: it did not wait. */
  cancel(waiter: ConnectWaiter): boolean {
    const at = this.#waiting.findIndex(waiting => waiting.waiter === waiter)
    if (at >= 0) this.#waiting.splice(at, 1)
    return at >= 0
  }

  /** A tunnel has gone: tunnels that wait come first, then requests. */
  freed(): void {
    this.#fill()
    for (const pool of this.#others) pool.placeFreed()
  }

  #fill(): void {
    const { settings } = this
    while (this.#waiting.length !== 0 && settings.connections < settings.maxConnections) {
      const { pool, waiter } = this.#waiting.shift()!
      pool.dial(waiter)
    }
  }

  /** No one waits longer for a place than for a connection. */
  #expire(): void {
    const { clock } = this.deps
    const limit = this.settings.connectTimeoutMs
    while (this.#waiting.length !== 0 && clock.now() - this.#waiting[0]!.since >= limit) {
      const { pool, waiter } = this.#waiting.shift()!
      pool.expired(waiter, failures.pendingTimeout, `no connection within ${limit} ms`)
    }
    if (this.#waiting.length !== 0) this.#timer.arm(Math.max(10, this.#waiting[0]!.since + limit - clock.now()))
  }
}

/**
 * The tunnels to one endpoint: each has a connection of its own, made for it and closed with it. For a service that
 * speaks TCP it is all the pool there is.
 */
export class TcpPool implements Pool, Connector, Dialer {
  readonly protocol = 'TCP'
  readonly idle = 0
  readonly #address: string
  readonly #port: number
  readonly #places: TcpPlaces
  readonly #stats: EndpointStats
  readonly #dials = new Map<DialAttempt, ConnectWaiter>()
  #open = 0
  #pending = 0

  constructor(address: string, port: number, places: TcpPlaces, stats: EndpointStats) {
    this.#address = address
    this.#port = port
    this.#places = places
    this.#stats = stats
  }

  get connections(): number {
    return this.#open
  }

  get pending(): number {
    return this.#pending
  }

  /** The router leads no request to a service that speaks TCP. */
  acquire(): Failure {
    return failures.noRoute
  }

  connect(waiter: ConnectWaiter): Failure | null {
    const { settings } = this.#places
    const hasRoom = this.#places.hasRoom
    if (!hasRoom && settings.pending >= settings.maxPending) return failures.poolOverflow
    this.#pend(1)
    if (hasRoom) this.dial(waiter)
    else this.#places.wait(this, waiter)
    return null
  }

  cancel(): void {}

  giveUp(waiter: ConnectWaiter): void {
    if (this.#places.cancel(waiter)) return this.#pend(-1)
    for (const [attempt, waiting] of this.#dials) {
      if (waiting !== waiter) continue
      this.#dials.delete(attempt)
      attempt.cancel()
      this.#pend(-1)
      this.closed()
      return
    }
  }

  closed(): void {
    this.#places.settings.connections--
    this.#open--
    add(this.#stats.connections, -1)
    this.#places.freed()
  }

  /** The connections go on: each belongs to a tunnel. */
  drain(): void {}

  /** For TcpPlaces: there is a place. */
  dial(waiter: ConnectWaiter): void {
    const { settings, deps } = this.#places
    settings.connections++
    this.#open++
    add(this.#stats.connections, 1)
    this.#dials.set(new DialAttempt(this, deps, this.#address, this.#port, settings.connectTimeoutMs), waiter)
  }

  /** For TcpPlaces: there was no place in time. */
  expired(waiter: ConnectWaiter, failure: Failure, detail: string): void {
    this.#pend(-1)
    waiter.connectFailed(failure, detail)
  }

  dialed(attempt: DialAttempt, wire: Wire): void {
    wire.bufferBytes = this.#places.settings.upstream.bufferBytes
    this.#taken(attempt).connected(wire)
  }

  dialFailed(attempt: DialAttempt, failure: Failure, detail: string): void {
    const waiter = this.#taken(attempt)
    add(this.#stats.connectFailures, 1)
    this.closed()
    waiter.connectFailed(failure, detail)
  }

  #taken(attempt: DialAttempt): ConnectWaiter {
    const waiter = this.#dials.get(attempt)!
    this.#dials.delete(attempt)
    this.#pend(-1)
    return waiter
  }

  #pend(count: number): void {
    this.#pending += count
    this.#places.settings.pending += count
    add(this.#stats.pending, count)
  }
}
