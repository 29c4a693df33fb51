import type { Clock, Random } from '../core/clock.ts'
import type { Codec } from '../core/codec.ts'
import { type Contender, Permits } from './permits.ts'
import type { PoolPolicy } from './policy.ts'
import type { Transport } from './transport.ts'
import { TunnelLine } from './tunnel-line.ts'

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
  mayLeave(needy: SharingPool): boolean
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
  #policy: PoolPolicy
  #transport: Transport

  constructor(policy: PoolPolicy, transport: Transport, deps: PoolDeps) {
    this.deps = deps
    this.#policy = policy
    this.#transport = transport
    this.tunnels = new TunnelLine(deps.clock, () => this.#policy.connectTimeoutMs)
    this.permits = new Permits(this.tunnels, this.#pools)
    this.permits.limitTo(policy.maxConnections, policy.maxPending)
  }

  get policy(): PoolPolicy {
    return this.#policy
  }

  get transport(): Transport {
    return this.#transport
  }

  /** From a reload, or as a certificate is replaced. What runs goes on as it is. */
  apply(policy: PoolPolicy, transport: Transport = this.#transport): void {
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
    if (permits.isFull) this.#makeRoom(needy)
    return permits.take()
  }

  #makeRoom(needy: SharingPool): void {
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
