import type { Timer } from '../core/clock.ts'
import type { Codec, UpstreamConnection, UpstreamOwner } from '../core/codec.ts'
import type { Failure } from '../core/failure.ts'
import type { RequestHead, UpstreamStream } from '../core/message.ts'
import type { Pool, PoolWaiter } from '../core/pool.ts'
import { add, type EndpointStats } from '../core/telemetry.ts'
import type { Wire } from '../core/wire.ts'
import { DialAttempt, type Dialer, type PoolDeps } from './dial.ts'
import { Http1Pool } from './http1.ts'
import { connectionDue, type PoolSettings, type SharesPlaces } from './settings.ts'

export interface HopSettings extends PoolSettings<Http1Pool> {
  /** HTTP/1.1 may go as HTTP/2 to endpoints that are sidecars. */
  multiplex: boolean
  /** Those that share the limits. */
  readonly hops: Set<HopPool>
}

export interface HopDeps extends PoolDeps {
  /** Carries HTTP/1.1 as HTTP/2. */
  readonly hop: Codec
}

/** How long a sidecar may take for its first frame when there is no connect timeout to go by. */
const GREETING_MS = 10_000
/** Before the hop is tried again after it failed: once, twice, four times this ... */
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 300_000
/** HTTP/1.1 connections that the hop took the work from are closed when they have been idle for so long. */
const LEFT_OVER_MS = 5000
/** The next connection is made when all have so many streams in use, of four. */
const BUSY_OF_FOUR = 3
/** Connections made for the sake of data threads at the other end. */
const MOST_SPREAD = 16

interface Hop {
  readonly connection: UpstreamConnection
  /** When its last stream ended. */
  idleSince: number
  /** Gets no more streams and closes as its last one ends. */
  leaving: boolean
  /** When it is too old; `Infinity`: never. */
  readonly due: number
}

/**
 * The connections to one endpoint of a service that speaks HTTP/1.1. Once the endpoint has said that it is a sidecar,
 * requests go multiplexed over HTTP/2, and come out as HTTP/1.1 behind it. No request waits for that or is lost by it:
 * a connection carries requests only after its peer has confirmed that it is a sidecar, and whatever finds none with
 * room goes over HTTP/1.1, as ever.
 */
export class HopPool implements Pool, UpstreamOwner, Dialer, SharesPlaces {
  readonly #address: string
  readonly #port: number
  readonly #settings: HopSettings
  readonly #stats: EndpointStats
  readonly #deps: HopDeps
  readonly #http1: Http1Pool
  readonly #hops: Hop[] = []
  /** The endpoint said that it is a sidecar. */
  #known = false
  #dial: DialAttempt | null = null
  /** Made, and its peer has not said yet what it is. */
  #greeting: UpstreamConnection | null = null
  readonly #greetingTimer: Timer
  readonly #sweep: Timer
  #open = 0
  /** In a row. */
  #failed = 0
  /** Monotonic milliseconds: no connection is made before. */
  #notBefore = 0
  /**
   * How many connections are wanted as soon as one is not enough: each of the endpoint's data threads is to get some.
   */
  #spread = 1
  #draining = false

  constructor(address: string, port: number, settings: HopSettings, stats: EndpointStats, deps: HopDeps) {
    this.#address = address
    this.#port = port
    this.#settings = settings
    this.#stats = stats
    this.#deps = deps
    this.#http1 = new Http1Pool(address, port, settings, stats, deps, () => {
      this.#known = true
    })
    this.#greetingTimer = deps.clock.timer(() => this.#greeting?.destroy())
    this.#sweep = deps.clock.timer(() => this.#retire())
    settings.hops.add(this)
  }

  get protocol(): string {
    return this.#hops.length === 0 ? this.#http1.protocol : 'HTTP/2 hop'
  }

  get idle(): number {
    return this.#http1.idle + this.#hops.filter(isIdle).length
  }

  get connections(): number {
    return this.#http1.connections + this.#open
  }

  get pending(): number {
    return this.#http1.pending
  }

  acquire(waiter: PoolWaiter, fresh: boolean): UpstreamStream | Failure | null {
    const mayHop = this.#known && !fresh && mayBeCarried(waiter.request)
    if (mayHop) {
      const stream = this.#stream()
      if (stream !== null) return stream
    }
    if (this.#settings.connections >= this.#settings.maxConnections) this.#giveWay()
    const got = this.#http1.acquire(waiter, fresh)
    // Afterwards: this request must not wait because a connection for the next ones has the last place.
    if (mayHop && this.#settings.multiplex) this.#connect()
    return got
  }

  cancel(waiter: PoolWaiter): void {
    this.#http1.cancel(waiter)
  }

  /** Over the one with the fewest streams; null: over HTTP/1.1. */
  #stream(): UpstreamStream | null {
    if (!this.#settings.multiplex) {
      this.#leave()
      return null
    }
    const hops = this.#hops
    let best: UpstreamConnection | null = null
    for (let i = 0; i < hops.length; i++) {
      const hop = hops[i]!
      const { connection } = hop
      if (hop.due !== Number.POSITIVE_INFINITY && this.#deps.clock.now() >= hop.due) hop.leaving = true
      if (hop.leaving || connection.capacity === 0) continue
      if (best === null || connection.active < best.active) best = connection
    }
    if (best === null) return null
    if (best.worn) best = this.#insteadOf(best)
    const { active } = best
    if (active !== 0 && (hops.length < this.#spread || active * 4 >= best.limit * BUSY_OF_FOUR)) this.#connect()
    return best.open()
  }

  /**
   * One that is not worn, or another time: it is made now. Sidecars allow each other far more cancels than wear a
   * connection, so this one serves until then.
   */
  #insteadOf(worn: UpstreamConnection): UpstreamConnection {
    let best: UpstreamConnection | null = null
    for (const { connection, leaving } of this.#hops) {
      if (leaving || connection.worn || connection.capacity === 0) continue
      if (best === null || connection.active < best.active) best = connection
    }
    if (best === null) this.#connect()
    return best ?? worn
  }

  // ── how a connection comes to be ──

  #connect(): void {
    const settings = this.#settings
    if (this.#dial !== null || this.#greeting !== null || this.#draining || this.#deps.clock.now() < this.#notBefore)
      return
    // At the limit it takes the place of an idle one of HTTP/1.1, unless somebody waits for that.
    if (settings.connections >= settings.maxConnections && (settings.pending !== 0 || !this.#http1.closeIdle(0))) return
    settings.connections++
    this.#open++
    add(this.#stats.connections, 1)
    this.#dial = new DialAttempt(this, this.#deps, this.#address, this.#port, settings.connectTimeoutMs)
  }

  dialed(_attempt: DialAttempt, wire: Wire): void {
    const { connectTimeoutMs, upstream } = this.#settings
    this.#dial = null
    this.#greeting = this.#deps.hop.connect(wire, this, upstream)
    if (this.#draining) return this.#greeting.destroy()
    this.#greetingTimer.arm(connectTimeoutMs > 0 ? connectTimeoutMs : GREETING_MS)
  }

  /** No word on what the endpoint speaks: it may only be away. */
  dialFailed(): void {
    this.#dial = null
    add(this.#stats.connectFailures, 1)
    this.#pause()
    this.#gone()
  }

  #pause(): void {
    this.#notBefore = this.#deps.clock.now() + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failed)
    this.#failed++
  }

  /** A stream ended, or the peer's first frame has come. */
  released(connection: UpstreamConnection): void {
    if (connection === this.#greeting) return this.#greeted(connection)
    const hop = this.#hops.find(each => each.connection === connection)
    if (hop === undefined || connection.active !== 0) return
    if (hop.leaving || connection.worn) return connection.destroy()
    hop.idleSince = this.#deps.clock.now()
  }

  #greeted(connection: UpstreamConnection): void {
    const { hopThreads } = connection
    if (hopThreads < 0) return
    // It speaks HTTP/2 and is no sidecar, or one that does not want this.
    if (hopThreads === 0) return connection.destroy()
    this.#spread = Math.min(hopThreads, MOST_SPREAD)
    this.#greeting = null
    this.#greetingTimer.cancel()
    this.#failed = 0
    const now = this.#deps.clock.now()
    this.#hops.push({
      connection,
      idleSince: now,
      leaving: false,
      due: connectionDue(this.#settings, now, this.#deps.random),
    })
    this.#sweep.arm(LEFT_OVER_MS)
  }

  // ── how it ends ──

  closed(connection: UpstreamConnection): void {
    if (connection === this.#greeting) {
      // Something else is there now: it is asked again only when it says again that it is a sidecar.
      this.#greeting = null
      this.#greetingTimer.cancel()
      this.#known = false
      this.#pause()
    }
    const at = this.#hops.findIndex(each => each.connection === connection)
    if (at >= 0) this.#hops.splice(at, 1)
    this.#gone()
  }

  idleHint(): void {}

  #gone(): void {
    this.#settings.connections--
    this.#open--
    add(this.#stats.connections, -1)
    if (this.#draining && this.#open === 0) this.#settings.hops.delete(this)
    this.#http1.placeFreed()
    this.#settings.freed?.()
  }

  makeRoom(): void {
    this.#giveWay()
    this.#http1.makeRoom()
  }

  placeFreed(): void {
    this.#http1.placeFreed()
  }

  /**
   * The limit is reached, and HTTP/1.1 may need a place: an idle connection goes, or a busy one as soon as it can, one
   * at a time.
   */
  #giveWay(): void {
    const { pools, hops } = this.#settings
    for (const pool of pools) if (pool.idle !== 0) return
    let busy: Hop | null = null
    for (const pool of hops) {
      for (const hop of pool.#hops) {
        if (isIdle(hop)) return hop.connection.destroy()
        if (hop.leaving) return
        busy ??= hop
      }
    }
    if (busy !== null) busy.leaving = true
  }

  /** All connections, as their last streams end. */
  #leave(): void {
    for (const hop of [...this.#hops]) {
      hop.leaving = true
      if (isIdle(hop)) hop.connection.destroy()
    }
  }

  /** Closes what nobody needs any more, of both kinds. */
  #retire(): void {
    const { idleTimeoutMs } = this.#settings
    const now = this.#deps.clock.now()
    this.#http1.closeIdle(LEFT_OVER_MS)
    let next = this.#http1.connections === 0 ? Number.POSITIVE_INFINITY : LEFT_OVER_MS
    for (const hop of [...this.#hops]) {
      if (idleTimeoutMs === 0) continue
      const left = hop.leaving && isIdle(hop) ? 0 : isIdle(hop) ? hop.idleSince + idleTimeoutMs - now : idleTimeoutMs
      if (left <= 0) hop.connection.destroy()
      else next = Math.min(next, left)
    }
    if (this.#hops.length !== 0 && next !== Number.POSITIVE_INFINITY)
      this.#sweep.arm(Math.min(Math.max(next, 10), 3_600_000))
  }

  drain(): void {
    this.#draining = true
    this.#http1.drain()
    this.#greeting?.destroy()
    this.#leave()
    this.#sweep.cancel()
    if (this.#open === 0) this.#settings.hops.delete(this)
  }
}

function isIdle({ connection }: Hop): boolean {
  return connection.active === 0
}

/** Tunnels and upgrades need an HTTP/1.1 connection of their own, and HTTP/2 has no request without an authority. */
function mayBeCarried(request: RequestHead): boolean {
  return request.authority !== '' && request.upgrade === ''
}
