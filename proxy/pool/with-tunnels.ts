import type { Codec, UpstreamConnection, UpstreamOwner } from '../core/codec.ts'
import type { Failure } from '../core/failure.ts'
import type { UpstreamStream } from '../core/message.ts'
import type { Connector, ConnectWaiter, Pool, PoolWaiter } from '../core/pool.ts'
import { CONNECT } from '../core/tunnel.ts'
import type { Wire } from '../core/wire.ts'
import type { PoolSettings } from './settings.ts'

/**
 * A pool whose endpoint may be asked for by CONNECT too: each such tunnel has a connection of its own, on which no HTTP
 * is spoken.
 */
export class WithTunnels implements Pool {
  readonly #pool: Pool
  readonly #connector: Connector
  readonly #codec: Pick<Codec, 'connect'>
  readonly #settings: Pick<PoolSettings, 'upstream'>
  readonly #waiting = new Map<PoolWaiter, ConnectWaiter>()

  /** `codec`: of the tunnels. */
  constructor(
    pool: Pool,
    connector: Connector,
    codec: Pick<Codec, 'connect'>,
    settings: Pick<PoolSettings, 'upstream'>,
  ) {
    this.#pool = pool
    this.#connector = connector
    this.#codec = codec
    this.#settings = settings
  }

  acquire(waiter: PoolWaiter, fresh: boolean): UpstreamStream | Failure | null {
    return waiter.request.upgrade === CONNECT ? this.#connect(waiter) : this.#pool.acquire(waiter, fresh)
  }

  #connect(waiter: PoolWaiter): Failure | null {
    const connecting: ConnectWaiter = {
      connected: wire => {
        this.#waiting.delete(waiter)
        waiter.acquired(this.#serve(wire).open())
      },
      connectFailed: (failure, detail) => {
        this.#waiting.delete(waiter)
        waiter.acquireFailed(failure, detail)
      },
    }
    const failure = this.#connector.connect(connecting)
    if (failure === null) this.#waiting.set(waiter, connecting)
    return failure
  }

  #serve(wire: Wire): UpstreamConnection {
    const owner: UpstreamOwner = { released() {}, closed: () => this.#connector.closed(), idleHint() {} }
    return this.#codec.connect(wire, owner, this.#settings.upstream)
  }

  cancel(waiter: PoolWaiter): void {
    const connecting = this.#waiting.get(waiter)
    if (connecting === undefined) return this.#pool.cancel(waiter)
    this.#waiting.delete(waiter)
    this.#connector.giveUp(connecting)
  }

  drain(): void {
    this.#pool.drain()
  }

  get protocol(): string {
    return this.#pool.protocol
  }

  get idle(): number {
    return this.#pool.idle
  }

  /** Without those of tunnels, which the connector counts; where it is the pool as well, there are no others. */
  get connections(): number {
    return this.#isConnector ? 0 : this.#pool.connections
  }

  get pending(): number {
    return this.#isConnector ? 0 : this.#pool.pending
  }

  get #isConnector(): boolean {
    return (this.#pool as object) === this.#connector
  }
}
