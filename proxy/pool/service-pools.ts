import type { Clock, Random, Timer } from '../core/clock.ts'
import type { Codec } from '../core/codec.ts'
import { limited, SharedCounts } from '../core/shared-counts.ts'
import { ANOTHER_THREAD, type Contender, Permits } from './permits.ts'
import type { PoolPolicy } from './policy.ts'
import type { Room } from './room.ts'
import type { Transport } from './transport.ts'
import { TunnelLine } from './tunnel-line.ts'

/** How often a thread looks what others gave back or wait for, while nothing is left of a limit; and otherwise. */
const LOOK_MS = 20
const GLANCE_MS = 250

type UpstreamCodec = Pick<Codec, 'connect'>

export interface PoolDeps {
  readonly clock: Clock
  readonly random: Random
  readonly codecs: {
    readonly http1: UpstreamCodec
    readonly http2: UpstreamCodec
    /** Carries HTTP/1.1 as HTTP/2. */
    readonly hop: UpstreamCodec
    /** Of a tunnel asked for by CONNECT: no HTTP is spoken on it. */
    readonly raw: UpstreamCodec
  }
}

/** The pool of one endpoint, as others of its service see it. */
export interface SharingPool extends Contender {
  /** Closes an idle connection; false: it has none. */
  closeIdle(): boolean
  /** The same of those that carry HTTP/1.1 as HTTP/2: each serves many callers. */
  closeIdleHop(): boolean
  /** A connection with streams on it already closes as its last one ends, for the sake of others. */
  readonly isLeaving: boolean
  /** It has such a connection that may leave for the sake of `needy`. */
  mayLeave(needy: Contender): boolean
  readonly room: Room
  /** Has it leave. */
  leave(): void
  /** The policy was replaced. `isOther`: connections are made in another way, or speak another protocol. */
  reconfigure(isOther: boolean): void
}

/** What the pools of a service's endpoints share: its policy, how connections are made, and the permits for them. */
export class ServicePools {
  readonly deps: PoolDeps
  readonly permits: Permits
  /** The tunnels that wait for a permit. */
  readonly tunnels: TunnelLine
  readonly #pools = new Set<SharingPool>()
  /** Null: there is one data thread. */
  readonly #look: Timer | null
  #isLooking = false
  #policy: PoolPolicy
  #transport: Transport

  constructor(policy: PoolPolicy, transport: Transport, deps: PoolDeps, counts = new SharedCounts('')) {
    this.deps = deps
    this.#policy = policy
    this.#transport = transport
    this.tunnels = new TunnelLine(deps.clock, () => this.#policy.connectTimeoutMs)
    this.permits = new Permits(this.tunnels, this.#pools, counts)
    this.#look = counts.isShared ? deps.clock.timer(() => this.#lookAround()) : null
    this.permits.limitTo(policy.maxConnections, policy.maxPending)
  }

  get policy(): PoolPolicy {
    return this.#policy
  }

  get transport(): Transport {
    return this.#transport
  }

  /** From a reload, or as a certificate is replaced. What runs goes on as it is. */
  configure(policy: PoolPolicy, transport: Transport = this.#transport): void {
    const isOther = policy.protocol !== this.#policy.protocol || transport.key !== this.#transport.key
    this.#policy = policy
    this.#transport = transport
    for (const pool of this.#pools) pool.reconfigure(isOther)
    this.permits.limitTo(policy.maxConnections, policy.maxPending)
  }

  join(pool: SharingPool): void {
    this.#pools.add(pool)
  }

  part(pool: SharingPool): void {
    this.#pools.delete(pool)
  }

  /**
   * A permit for one more connection. Where none is left an idle connection closes for it, at whatever endpoint; where
   * none is idle, a busy one closes as soon as it can, one at a time, and there is no permit yet.
   */
  takePermit(needy: SharingPool): boolean {
    const { permits } = this
    this.watch()
    if (!needy.room.mayConnect) needy.closeIdle()
    if (!needy.room.mayConnect) return false
    if (permits.isFull) this.#makeRoom(needy)
    if (!permits.take()) return false
    if (needy.room.takeConnection()) return true
    permits.give()
    return false
  }

  /** There are other data threads, and one of them may need what this one has, or give what it waits for. */
  watch(): void {
    if (this.#look === null || this.#isLooking) return
    this.#isLooking = true
    this.#look.arm(LOOK_MS)
  }

  #lookAround(): void {
    const { permits } = this
    const { counts } = permits
    if (counts.waitingElsewhere > 0) this.#yield()
    permits.share()
    this.#isLooking = permits.waiting !== 0 || counts.own(limited.connections) !== 0
    if (this.#isLooking) this.#look!.arm(permits.waiting !== 0 || permits.isFull ? LOOK_MS : GLANCE_MS)
  }

  /** Idle connections close for what waits in other threads; of a thread that has none, busy ones make way. */
  #yield(): void {
    const { counts } = this.permits
    if (this.permits.isFull) {
      if (counts.isOtherStarving) this.#makeRoom(ANOTHER_THREAD)
      else for (const pool of this.#pools) if (pool.closeIdle()) break
    }
    for (const pool of this.#pools) {
      const { limits } = pool.room
      if (limits !== null && !limits.mayConnect && limits.counts.waitingElsewhere > 0) pool.closeIdle()
    }
  }

  #makeRoom(needy: Contender): void {
    for (const pool of this.#pools) if (pool.closeIdle()) return
    for (const pool of this.#pools) if (pool.closeIdleHop()) return
    let leaver: SharingPool | null = null
    for (const pool of this.#pools) {
      if (pool.isLeaving) return
      if (pool.mayLeave(needy) && (leaver === null || pool.open > leaver.open)) leaver = pool
    }
    leaver?.leave()
  }
}
