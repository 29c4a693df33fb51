import type { Codec, UpstreamConnection, UpstreamOwner } from '../core/codec.ts'
import type { Wire } from '../core/wire.ts'
import { type Carrier, isIdle } from './carrier.ts'
import type { ConnectionSet, SetOwner } from './connection-set.ts'
import { connectionDue } from './policy.ts'

/**
 * Streams of a connection whose peer has not said yet how many it allows: what RFC 9113 section 6.5.2 asks every
 * endpoint for.
 */
export const UNTOLD = 100

/**
 * Connections with many streams each. The first that has room is used, so that few are kept; another one is made when
 * none has room, or when the peer has said that it goes away.
 */
export class Http2Connections implements ConnectionSet, UpstreamOwner {
  readonly protocol = 'http2'
  readonly #pool: SetOwner
  readonly #codec: Pick<Codec, 'connect'>
  readonly #carriers: Carrier[] = []
  /**
   * How many streams the endpoint allows on a connection, as it said last: a new connection is taken to be like the
   * others.
   */
  #streams = UNTOLD
  #isRetired = false

  constructor(pool: SetOwner, codec: Pick<Codec, 'connect'>) {
    this.#pool = pool
    this.#codec = codec
  }

  get idle(): number {
    return this.#carriers.filter(isIdle).length
  }

  /** One that is too old to be trusted is closed: the peer may be closing it just now. */
  take(): UpstreamConnection | null {
    const carriers = this.#carriers
    const pool = this.#pool
    for (let i = 0; i < carriers.length; i++) {
      const carrier = carriers[i]!
      if (this.#roomOf(carrier) <= 0) continue
      if (carrier.due !== Number.POSITIVE_INFINITY && pool.clock.now() >= carrier.due) {
        carrier.leaving = true
        if (!isIdle(carrier)) continue
      } else if (carrier.connection.active !== 0 || pool.clock.now() - carrier.idleSince < pool.idleClock.limitMs) {
        return carrier.connection
      }
      this.#close(carrier)
      i--
    }
    return null
  }

  #roomOf({ leaving, connection }: Carrier): number {
    // With no permit left a worn connection is better than none.
    if (leaving || (connection.worn && !this.#pool.isFull)) return 0
    const { capacity } = connection
    return connection.limit === UNTOLD ? Math.min(capacity, this.#streams - connection.active) : capacity
  }

  #learn({ limit }: UpstreamConnection): void {
    // None at all, for now, is no measure.
    this.#streams = Math.max(1, limit)
    if (!this.#isRetired) this.#pool.expect(this.#streams)
  }

  add(wire: Wire): void {
    const { policy, clock, random } = this.#pool
    for (const { connection } of this.#carriers) if (connection.limit !== UNTOLD) this.#learn(connection)
    const connection = this.#codec.connect(wire, this, policy.upstream)
    const now = clock.now()
    const carrier = { connection, idleSince: now, leaving: false, due: connectionDue(policy, now, random) }
    this.#carriers.push(carrier)
    this.#serve(carrier, true)
    this.#settle(carrier)
  }

  released(connection: UpstreamConnection): void {
    const carrier = this.#carriers.find(each => each.connection === connection)
    if (carrier === undefined) return
    this.#learn(connection)
    this.#serve(carrier, false)
    this.#settle(carrier)
  }

  /** Gives its room to those that wait. */
  #serve(carrier: Carrier, fresh: boolean): void {
    while (this.#roomOf(carrier) > 0) {
      const waiter = this.#pool.nextWaiter(fresh)
      if (waiter === undefined) return
      waiter.acquired(carrier.connection.open())
    }
  }

  /** It may be idle now. */
  #settle(carrier: Carrier): void {
    const { connection, leaving } = carrier
    if (connection.active !== 0) return
    const pool = this.#pool
    if (pool.isDraining || leaving || connection.worn || pool.rival !== null) return this.#close(carrier)
    carrier.idleSince = pool.clock.now()
    pool.becameIdle(carrier.idleSince)
  }

  /** Out of the list first: what the proxy closes says nothing of how long the endpoint keeps idle connections. */
  #close(carrier: Carrier): void {
    this.#carriers.splice(this.#carriers.indexOf(carrier), 1)
    carrier.connection.destroy()
  }

  closed(connection: UpstreamConnection, idle: boolean): void {
    const at = this.#carriers.findIndex(each => each.connection === connection)
    if (at >= 0) {
      if (idle) this.#pool.idleClock.observed(this.#pool.clock.now() - this.#carriers[at]!.idleSince)
      this.#carriers.splice(at, 1)
    }
    this.#pool.gone()
  }

  idleHint(milliseconds: number): void {
    this.#pool.idleClock.hinted(milliseconds)
  }

  closeIdle(): boolean {
    const carrier = this.#carriers.find(isIdle)
    if (carrier === undefined) return false
    this.#close(carrier)
    return true
  }

  sweep(idleMs: number): number {
    const now = this.#pool.clock.now()
    let next = Number.POSITIVE_INFINITY
    for (const carrier of this.#carriers.filter(isIdle)) {
      const due = carrier.idleSince + idleMs
      if (due <= now) this.#close(carrier)
      else next = Math.min(next, due)
    }
    return next
  }

  get isLeaving(): boolean {
    return this.#carriers.some(({ leaving }) => leaving)
  }

  get mayLeave(): boolean {
    return this.#carriers.some(({ leaving }) => !leaving)
  }

  leave(): void {
    this.#carriers.findLast(({ leaving }) => !leaving)!.leaving = true
  }

  retire(): void {
    this.#isRetired = true
    for (const carrier of [...this.#carriers]) {
      carrier.leaving = true
      if (isIdle(carrier)) this.#close(carrier)
    }
  }
}
