import type { Clock, Random, Timer } from '../core/clock.ts'
import type { Codec, UpstreamConnection, UpstreamOwner } from '../core/codec.ts'
import type { RequestHead, UpstreamStream } from '../core/message.ts'
import type { Wire } from '../core/wire.ts'
import { type Carrier, isIdle } from './carrier.ts'
import type { DialAttempt, Dialer } from './dial.ts'
import { connectionDue, type PoolPolicy } from './policy.ts'

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

/** What the hop asks of the pool that it belongs to. */
export interface HopOwner {
  readonly policy: PoolPolicy
  readonly clock: Clock
  readonly random: Random
  /** Connections of the pool, those of the hop too. */
  readonly open: number
  /** Null: there is no permit that no request wants. */
  dialHop(hop: Dialer): DialAttempt | null
  hopFailed(): void
  /** Closes the connections of HTTP/1.1 that have been idle for so long. */
  closeLeftOver(idleMs: number): void
  /** A connection is gone. */
  gone(): void
}

/**
 * The connections that carry HTTP/1.1 as HTTP/2 to an endpoint that has said that it is a sidecar; behind it requests
 * come out as HTTP/1.1. No request waits for that or is lost by it: a connection carries requests only after its peer
 * has confirmed that it is a sidecar, and a request that finds none with room goes over HTTP/1.1, as ever.
 */
export class Hop implements UpstreamOwner, Dialer {
  readonly #pool: HopOwner
  readonly #codec: Pick<Codec, 'connect'>
  readonly #carriers: Carrier[] = []
  /** The endpoint said that it is a sidecar. */
  #known = true
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
  #isRetired = false
  /** Who wants to know whether it is a sidecar. */
  readonly #asking: ((isSidecar: boolean) => void)[] = []

  constructor(pool: HopOwner, codec: Pick<Codec, 'connect'>) {
    this.#pool = pool
    this.#codec = codec
    this.#greetingTimer = pool.clock.timer(() => this.#greeting?.destroy())
    this.#sweep = pool.clock.timer(() => this.#retireIdle())
  }

  /** The endpoint has said again that it is a sidecar. */
  offered(): void {
    this.#known = true
  }

  /**
   * Whether the endpoint is a sidecar: it is where a connection of this kind is open. Else one is made, and `answer` is
   * called when it has said what it is, or could not be made.
   */
  vouched(answer: (isSidecar: boolean) => void): boolean | 'later' {
    if (this.#carriers.length > 0) return true
    if (!this.#known) return false
    this.connect()
    if (this.#dial === null && this.#greeting === null) return false
    this.#asking.push(answer)
    return 'later'
  }

  #settle(isSidecar: boolean): void {
    for (const answer of this.#asking.splice(0)) answer(isSidecar)
  }

  get size(): number {
    return this.#carriers.length
  }

  get idle(): number {
    return this.#carriers.filter(isIdle).length
  }

  mayCarry(request: RequestHead): boolean {
    return this.#known && this.#pool.policy.multiplex && mayBeCarried(request)
  }

  /** Over the one with the fewest streams; null: over HTTP/1.1. */
  stream(): UpstreamStream | null {
    const hops = this.#carriers
    if (hops.length === 0) return null
    let best: UpstreamConnection | null = null
    for (let i = 0; i < hops.length; i++) {
      const hop = hops[i]!
      const { connection } = hop
      if (hop.due !== Number.POSITIVE_INFINITY && this.#pool.clock.now() >= hop.due) hop.leaving = true
      if (hop.leaving || connection.capacity === 0) continue
      if (best === null || connection.active < best.active) best = connection
    }
    if (best === null) return null
    if (best.worn) best = this.#insteadOf(best)
    const { active } = best
    if (active !== 0 && (hops.length < this.#spread || active * 4 >= best.limit * BUSY_OF_FOUR)) this.connect()
    return best.open()
  }

  /**
   * One that is not worn, or another time: it is made now. Sidecars allow each other far more cancels than wear a
   * connection, so this one serves until then.
   */
  #insteadOf(worn: UpstreamConnection): UpstreamConnection {
    let best: UpstreamConnection | null = null
    for (const { connection, leaving } of this.#carriers) {
      if (leaving || connection.worn || connection.capacity === 0) continue
      if (best === null || connection.active < best.active) best = connection
    }
    if (best === null) this.connect()
    return best ?? worn
  }

  // ── how a connection comes to be ──

  /** For the requests to come. */
  connect(): void {
    if (this.#dial !== null || this.#greeting !== null || this.#isRetired) return
    if (this.#pool.clock.now() < this.#notBefore) return
    this.#dial = this.#pool.dialHop(this)
    if (this.#dial !== null) this.#open++
  }

  dialed(_attempt: DialAttempt, wire: Wire): void {
    const { connectTimeoutMs, upstream } = this.#pool.policy
    this.#dial = null
    this.#greeting = this.#codec.connect(wire, this, upstream)
    // `closed` tells those that wait.
    if (this.#isRetired) return this.#greeting.destroy()
    this.#greetingTimer.arm(connectTimeoutMs > 0 ? connectTimeoutMs : GREETING_MS)
  }

  /** No word on what the endpoint speaks: it may only be away. */
  dialFailed(): void {
    this.#dial = null
    this.#pool.hopFailed()
    this.#pause()
    this.#gone()
    this.#settle(false)
  }

  #pause(): void {
    this.#notBefore = this.#pool.clock.now() + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failed)
    this.#failed++
  }

  /** A stream ended, or the peer's first frame has come. */
  released(connection: UpstreamConnection): void {
    if (connection === this.#greeting) return this.#greeted(connection)
    const hop = this.#carriers.find(each => each.connection === connection)
    if (hop === undefined || connection.active !== 0) return
    if (hop.leaving || connection.worn) return connection.destroy()
    hop.idleSince = this.#pool.clock.now()
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
    const now = this.#pool.clock.now()
    this.#carriers.push({
      connection,
      idleSince: now,
      leaving: false,
      due: connectionDue(this.#pool.policy, now, this.#pool.random),
    })
    this.#sweep.arm(LEFT_OVER_MS)
    this.#settle(true)
  }

  // ── how it ends ──

  closed(connection: UpstreamConnection): void {
    const wasGreeting = connection === this.#greeting
    if (wasGreeting) {
      // Something else is there now: it is asked again only when it says again that it is a sidecar.
      this.#greeting = null
      this.#greetingTimer.cancel()
      this.#known = false
      this.#pause()
    }
    const at = this.#carriers.findIndex(each => each.connection === connection)
    if (at >= 0) this.#carriers.splice(at, 1)
    this.#gone()
    if (wasGreeting) this.#settle(false)
  }

  idleHint(): void {}

  #gone(): void {
    this.#open--
    this.#pool.gone()
  }

  // ── permits for others ──

  /** Closes an idle one; false: there is none. */
  closeIdle(): boolean {
    const carrier = this.#carriers.find(isIdle)
    carrier?.connection.destroy()
    return carrier !== undefined
  }

  get isLeaving(): boolean {
    return this.#carriers.some(({ leaving }) => leaving)
  }

  /** A busy one closes as its last stream ends. */
  leave(): void {
    const carrier = this.#carriers[0]
    if (carrier !== undefined) carrier.leaving = true
  }

  /** All connections, as their last streams end. */
  leaveAll(): void {
    for (const hop of [...this.#carriers]) {
      hop.leaving = true
      if (isIdle(hop)) hop.connection.destroy()
    }
  }

  /** Closes idle connections of both kinds. */
  #retireIdle(): void {
    const { idleTimeoutMs } = this.#pool.policy
    const now = this.#pool.clock.now()
    this.#pool.closeLeftOver(LEFT_OVER_MS)
    let next = this.#pool.open === this.#open ? Number.POSITIVE_INFINITY : LEFT_OVER_MS
    for (const hop of [...this.#carriers]) {
      if (idleTimeoutMs === 0) continue
      const left = hop.leaving && isIdle(hop) ? 0 : isIdle(hop) ? hop.idleSince + idleTimeoutMs - now : idleTimeoutMs
      if (left <= 0) hop.connection.destroy()
      else next = Math.min(next, left)
    }
    if (this.#carriers.length !== 0 && next !== Number.POSITIVE_INFINITY)
      this.#sweep.arm(Math.min(Math.max(next, 10), 3_600_000))
  }

  /** For good: another one takes its place, or the endpoint is gone. */
  retire(): void {
    this.#isRetired = true
    this.#greeting?.destroy()
    this.leaveAll()
    this.#sweep.cancel()
  }
}

/** Tunnels and upgrades need an HTTP/1.1 connection of their own, and HTTP/2 has no request without an authority. */
function mayBeCarried(request: RequestHead): boolean {
  return request.authority !== '' && request.upgrade === ''
}
