import type { Clock, Random, Timer } from '../core/clock.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { UpstreamStream } from '../core/message.ts'
import type { ConnectWaiter, Pool, PoolWaiter } from '../core/pool.ts'
import { add, type EndpointStats } from '../core/telemetry.ts'
import { CONNECT } from '../core/tunnel.ts'
import type { Wire } from '../core/wire.ts'
import type { ConnectionSet, SetOwner } from './connection-set.ts'
import { DialAttempt, type Dialer } from './dial.ts'
import { Hop, type HopOwner } from './hop.ts'
import { Http1Connections } from './http1.ts'
import { Http2Connections, UNTOLD } from './http2.ts'
import { IdleClock } from './idle-clock.ts'
import type { Contender, Permits } from './permits.ts'
import type { HttpProtocol, PoolPolicy } from './policy.ts'
import { Room } from './room.ts'
import type { ServicePools } from './service-pools.ts'
import { protocolOf } from './transport.ts'
import { type TunnelPool, Tunnels } from './tunnels.ts'
import { Waiters, type WaitersOwner } from './waiters.ts'

const LONGEST_MS = 3_600_000
const SHORTEST_MS = 10

/**
 * All connections to one endpoint, whatever they speak. Requests wait here for a connection; what a dialled wire speaks
 * says which set of connections gets it. A change of transport or protocol begins new sets, and the old ones end by
 * themselves: what waits goes on waiting, and what was learnt of the endpoint stays.
 */
export class EndpointPool implements Pool, TunnelPool, SetOwner, HopOwner, Dialer, WaitersOwner<PoolWaiter> {
  readonly address: string
  readonly port: number
  readonly service: ServicePools
  readonly stats: EndpointStats
  readonly clock: Clock
  readonly random: Random
  isDraining = false
  readonly room: Room
  /** Connections for requests, those being made too. */
  open = 0
  /** Of the transport and the protocol that hold now: one, or two where the endpoint agrees on different protocols. */
  readonly #sets: ConnectionSet[] = []
  /** Null until the endpoint says that it is a sidecar. */
  #hop: Hop | null = null
  /** Null until there is one. */
  #tunnels: Tunnels | null = null
  readonly #waiters: Waiters<PoolWaiter>
  readonly #dials = new Set<DialAttempt>()
  /** What the next wire is expected to speak, if it does not say. */
  #spoken: HttpProtocol = 'http1'
  /** How many streams are expected of a connection that is being made. */
  #perDial = 1
  readonly #permits: Permits
  readonly idleClock = new IdleClock()
  readonly #sweep: Timer
  /** When `#sweep` is due. */
  #sweepDue = Number.POSITIVE_INFINITY

  constructor(address: string, port: number, service: ServicePools, stats: EndpointStats) {
    this.address = address
    this.port = port
    this.service = service
    this.stats = stats
    this.clock = service.deps.clock
    this.random = service.deps.random
    this.#permits = service.permits
    this.room = new Room(service.permits)
    this.#waiters = new Waiters(this.clock, this)
    this.#sweep = this.clock.timer(() => this.#closeOld())
    this.#expectPolicy()
    this.idleClock.limitTo(this.policy.idleTimeoutMs)
    service.join(this)
  }

  get policy(): PoolPolicy {
    return this.service.policy
  }

  // ── as balancing and forwarding see it ──

  get protocol(): string {
    return this.service.transport.isTls ? `${this.#protocol} over TLS` : this.#protocol
  }

  get #protocol(): string {
    if (this.policy.protocol === 'tcp') return 'TCP'
    if (this.#hop !== null && this.#hop.size !== 0) return 'HTTP/2 hop'
    return this.#spoken === 'http2' ? 'HTTP/2' : 'HTTP/1.1'
  }

  get idle(): number {
    return this.#sets.reduce((sum, { idle }) => sum + idle, this.#hop?.idle ?? 0)
  }

  get connections(): number {
    return this.open + (this.#tunnels?.open ?? 0)
  }

  get pending(): number {
    return this.#waiters.length + (this.#tunnels?.pending ?? 0)
  }

  acquire(waiter: PoolWaiter, fresh: boolean): UpstreamStream | Failure | null {
    const { request } = waiter
    if (request.upgrade === CONNECT) return this.#tunnelsOf().acquire(waiter)
    const hop = this.#hop
    const mayHop = hop !== null && !fresh && hop.mayCarry(request)
    if (mayHop) {
      const stream = hop.stream()
      if (stream !== null) return stream
    }
    const got = (fresh ? null : this.#reused()) ?? this.#wait(waiter, fresh)
    // Afterwards: this request must not wait because a connection for the next ones has the last permit.
    if (mayHop) hop.connect()
    return got
  }

  #reused(): UpstreamStream | null {
    const sets = this.#sets
    for (let i = 0; i < sets.length; i++) {
      const connection = sets[i]!.take()
      if (connection !== null) return connection.open()
    }
    return null
  }

  #wait(waiter: PoolWaiter, fresh: boolean): Failure | null {
    // The router leads no request to a service that speaks TCP.
    if (this.policy.protocol === 'tcp') return failures.noRoute
    // A connection that is being made has room for it.
    const isCovered = this.#spoken === 'http2' && this.#waiters.length < this.#dials.size * this.#perDial
    const mayDial = !isCovered && this.service.takePermit(this)
    if (!this.room.mayWait(isCovered || mayDial)) return failures.poolOverflow
    this.#waiters.add(waiter, fresh)
    add(this.stats.pending, 1)
    if (mayDial) this.dial()
    else this.#waiters.watch()
    return null
  }

  cancel(waiter: PoolWaiter): void {
    if (this.#tunnels?.cancel(waiter)) return
    // A dial made in its name goes on: the next request will want the connection.
    if (this.#waiters.remove(waiter)) this.#waited()
  }

  connect(waiter: ConnectWaiter): Failure | null {
    return this.#tunnelsOf().connect(waiter)
  }

  giveUp(waiter: ConnectWaiter): void {
    this.#tunnels?.giveUp(waiter)
  }

  closed(): void {
    this.#tunnels?.closed()
  }

  get hasAllRequests(): boolean {
    return this.room.limits?.isFull === true
  }

  get isBusy(): boolean {
    return this.hasAllRequests || (this.#spoken === 'http1' && !this.room.mayConnect && this.idle === 0)
  }

  #tunnelsOf(): Tunnels {
    this.#tunnels ??= new Tunnels(this)
    return this.#tunnels
  }

  drain(): void {
    this.isDraining = true
    while (this.closeIdle());
    this.#hop?.retire()
    this.#sweep.cancel()
    this.#mayPart()
  }

  // ── requests that wait ──

  get withoutDial(): number {
    return this.#waiters.length - this.#dials.size * this.#perDial
  }

  get waitingSince(): number {
    return this.#waiters.since
  }

  get waitMs(): number {
    return this.policy.connectTimeoutMs
  }

  nextWaiter(fresh: boolean): PoolWaiter | undefined {
    const waiter = this.#waiters.next(fresh)
    if (waiter !== undefined) this.#waited()
    return waiter
  }

  get queue(): PoolPolicy['queue'] {
    return this.policy.queue
  }

  expired(waiter: PoolWaiter, waitMs: number): void {
    this.#waited()
    waiter.acquireFailed(failures.pendingTimeout, `no connection within ${waitMs} ms`)
  }

  #waited(): void {
    this.room.waited()
    add(this.stats.pending, -1)
    this.#mayPart()
  }

  // ── how a connection comes to be ──

  dial(): void {
    this.#dials.add(this.#begin(this))
  }

  dialHop(hop: Dialer): DialAttempt | null {
    const permits = this.#permits
    // Where none is left an idle connection closes for it, unless a request waits for that.
    if ((permits.isFull && permits.waiting === 0) || !this.room.mayConnect) this.closeIdle()
    if (!permits.take()) return null
    if (this.room.takeConnection()) return this.#begin(hop)
    permits.give()
    return null
  }

  #begin(dialer: Dialer): DialAttempt {
    this.open++
    add(this.stats.connections, 1)
    const { address, port, service } = this
    const { connectTimeoutMs } = service.policy
    return new DialAttempt(dialer, this.clock, { address, port, transport: service.transport, connectTimeoutMs })
  }

  dialed(attempt: DialAttempt, wire: Wire): void {
    this.#dials.delete(attempt)
    if (attempt.transport.key !== this.service.transport.key) {
      // What waits is dialled for anew, as the transport is now.
      wire.destroy()
      return this.gone()
    }
    this.#expect(protocolOf(wire, this.#spoken))
    this.#setOf(this.#spoken).add(wire)
    this.#permits.share()
    this.#waiters.watch()
  }

  #setOf(protocol: HttpProtocol): ConnectionSet {
    const known = this.#sets.find(set => set.protocol === protocol)
    if (known !== undefined) return known
    const { http1, http2 } = this.service.deps.codecs
    const set = protocol === 'http2' ? new Http2Connections(this, http2) : new Http1Connections(this, http1)
    this.#sets.push(set)
    return set
  }

  dialFailed(attempt: DialAttempt, failure: Failure, detail: string): void {
    this.#dials.delete(attempt)
    add(this.stats.connectFailures, 1)
    // All that it would have served, at once: one after the other would each wait for a dial of its own.
    const count = this.#spoken === 'http2' ? this.withoutDial : 1
    const failed: PoolWaiter[] = []
    while (failed.length < count && this.#waiters.length !== 0) failed.push(this.nextWaiter(true)!)
    this.gone()
    for (const waiter of failed) waiter.acquireFailed(failure, detail)
  }

  hopFailed(): void {
    add(this.stats.connectFailures, 1)
  }

  // ── what its connections tell and ask ──

  get isFull(): boolean {
    return this.#permits.isFull
  }

  get rival(): Contender | null {
    return this.#permits.rival
  }

  isPoorer(rival: Contender): boolean {
    return rival !== this && rival.open === 0
  }

  gone(): void {
    this.open--
    add(this.stats.connections, -1)
    this.room.giveConnection()
    this.#permits.give()
    this.#mayPart()
  }

  expect(streams: number): void {
    if (this.#spoken === 'http2') this.#perDial = streams
  }

  offered(): void {
    if (this.#hop !== null) this.#hop.offered()
    else if (!this.isDraining && this.#spoken === 'http1') this.#hop = new Hop(this, this.service.deps.codecs.hop)
  }

  vouched(answer: (isSidecar: boolean) => void): boolean | 'later' {
    return this.policy.multiplex && (this.#hop?.vouched(answer) ?? false)
  }

  // ── idle connections ──

  becameIdle(now: number): void {
    const due = now + this.idleClock.limitMs
    if (due < this.#sweepDue) this.#sweepAt(due, now)
  }

  #sweepAt(due: number, now: number): void {
    if (due === Number.POSITIVE_INFINITY) return
    const delay = Math.min(Math.max(due - now, SHORTEST_MS), LONGEST_MS)
    this.#sweepDue = now + delay
    this.#sweep.arm(delay)
  }

  #closeOld(): void {
    const { limitMs } = this.idleClock
    let next = Number.POSITIVE_INFINITY
    for (const set of this.#sets) next = Math.min(next, set.sweep(limitMs))
    this.#sweepDue = Number.POSITIVE_INFINITY
    this.#sweepAt(next, this.clock.now())
  }

  closeLeftOver(idleMs: number): void {
    for (const set of this.#sets) set.sweep(idleMs)
  }

  // ── permits for others of the service ──

  closeIdle(): boolean {
    return this.#sets.some(set => set.closeIdle())
  }

  closeIdleHop(): boolean {
    return this.#hop?.closeIdle() ?? false
  }

  get isLeaving(): boolean {
    return this.#hop?.isLeaving || this.#sets.some(set => set.isLeaving)
  }

  mayLeave(needy: Contender): boolean {
    if (this.#hop !== null && this.#hop.size !== 0) return true
    return this.isPoorer(needy) && this.#sets.some(set => set.mayLeave)
  }

  leave(): void {
    if (this.#hop !== null && this.#hop.size !== 0) this.#hop.leave()
    else this.#sets.find(set => set.mayLeave)?.leave()
  }

  // ── a new policy or transport ──

  reconfigure(isOther: boolean): void {
    if (isOther) this.#renew()
    this.idleClock.limitTo(this.policy.idleTimeoutMs)
    if (!this.policy.multiplex) this.#hop?.leaveAll()
  }

  #renew(): void {
    for (const set of this.#sets.splice(0)) set.retire()
    const hop = this.#hop
    this.#expectPolicy()
    this.#hop = null
    if (hop === null) return
    hop.retire()
    // It is a sidecar still.
    if (this.policy.protocol === 'http1') this.offered()
  }

  #expectPolicy(): void {
    const { protocol } = this.policy
    // What waits as the service becomes one of TCP is served as before.
    if (protocol !== 'tcp') this.#expect(protocol)
  }

  #expect(protocol: HttpProtocol): void {
    if (this.#spoken === protocol) return
    this.#spoken = protocol
    this.#perDial = protocol === 'http2' ? UNTOLD : 1
    // Another program may be there now.
    this.idleClock.forget()
  }

  /** An endpoint that is gone leaves the others when nothing of it is left. */
  #mayPart(): void {
    if (this.isDraining && this.open === 0 && this.#waiters.length === 0) this.service.part(this)
  }
}
