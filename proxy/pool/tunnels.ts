import type { UpstreamConnection, UpstreamOwner } from '../core/codec.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { ConnectWaiter, PoolWaiter } from '../core/pool.ts'
import { add, type EndpointStats } from '../core/telemetry.ts'
import type { Wire } from '../core/wire.ts'
import { DialAttempt, type Dialer } from './dial.ts'
import type { Room } from './room.ts'
import type { ServicePools, SharingPool } from './service-pools.ts'
import type { LinedUp } from './tunnel-line.ts'

/** The pool of the endpoint, as its tunnels see it. */
export interface TunnelPool extends SharingPool {
  readonly address: string
  readonly port: number
  readonly service: ServicePools
  readonly stats: EndpointStats
}

/** The tunnels to one endpoint: each has a connection of its own, made for it and closed with it. */
export class Tunnels implements Dialer, LinedUp {
  readonly #pool: TunnelPool
  readonly #dials = new Map<DialAttempt, ConnectWaiter>()
  /** Those asked for by a CONNECT request. */
  readonly #requests = new Map<PoolWaiter, ConnectWaiter>()
  open = 0
  pending = 0

  constructor(pool: TunnelPool) {
    this.#pool = pool
  }

  connect(waiter: ConnectWaiter): Failure | null {
    const { service } = this.#pool
    const hasPermit = service.takePermit(this.#pool)
    if (!this.#pool.room.mayWait(hasPermit)) return failures.poolOverflow
    this.pending++
    add(this.#pool.stats.pending, 1)
    if (hasPermit) this.dial(waiter)
    else service.tunnels.add(waiter, this)
    return null
  }

  giveUp(waiter: ConnectWaiter): void {
    if (this.#pool.service.tunnels.remove(waiter)) return this.#waited()
    for (const [attempt, waiting] of this.#dials) {
      if (waiting !== waiter) continue
      this.#dials.delete(attempt)
      attempt.cancel()
      this.#waited()
      this.closed()
      return
    }
  }

  /** The connection of a tunnel is gone. */
  closed(): void {
    this.open--
    add(this.#pool.stats.connections, -1)
    this.#pool.room.giveConnection()
    this.#pool.service.permits.give()
  }

  get room(): Room {
    return this.#pool.room
  }

  // ── a CONNECT request ──

  acquire(waiter: PoolWaiter): Failure | null {
    const connecting: ConnectWaiter = {
      connected: wire => {
        this.#requests.delete(waiter)
        waiter.acquired(this.#carry(wire).open())
      },
      connectFailed: (failure, detail) => {
        this.#requests.delete(waiter)
        waiter.acquireFailed(failure, detail)
      },
    }
    const failure = this.connect(connecting)
    if (failure === null) this.#requests.set(waiter, connecting)
    return failure
  }

  #carry(wire: Wire): UpstreamConnection {
    const { deps, policy } = this.#pool.service
    const owner: UpstreamOwner = { released() {}, closed: () => this.closed(), idleHint() {} }
    return deps.codecs.raw.connect(wire, owner, policy.upstream)
  }

  /** False: it does not wait for a tunnel. */
  cancel(waiter: PoolWaiter): boolean {
    const connecting = this.#requests.get(waiter)
    if (connecting === undefined) return false
    this.#requests.delete(waiter)
    this.giveUp(connecting)
    return true
  }

  // ── how a connection comes to be ──

  dial(waiter: ConnectWaiter): void {
    const { service, address, port, stats } = this.#pool
    const { transport, policy, deps } = service
    this.open++
    add(stats.connections, 1)
    const { connectTimeoutMs } = policy
    this.#dials.set(new DialAttempt(this, deps.clock, { address, port, transport, connectTimeoutMs }), waiter)
  }

  expired(waiter: ConnectWaiter, detail: string): void {
    this.#waited()
    waiter.connectFailed(failures.pendingTimeout, detail)
  }

  dialed(attempt: DialAttempt, wire: Wire): void {
    wire.bufferBytes = this.#pool.service.policy.upstream.bufferBytes
    this.#taken(attempt).connected(wire)
  }

  dialFailed(attempt: DialAttempt, failure: Failure, detail: string): void {
    const waiter = this.#taken(attempt)
    add(this.#pool.stats.connectFailures, 1)
    this.closed()
    waiter.connectFailed(failure, detail)
  }

  #taken(attempt: DialAttempt): ConnectWaiter {
    const waiter = this.#dials.get(attempt)!
    this.#dials.delete(attempt)
    this.#waited()
    return waiter
  }

  #waited(): void {
    this.pending--
    this.#pool.room.waited()
    add(this.#pool.stats.pending, -1)
  }
}
