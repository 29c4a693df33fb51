import type { Codec, UpstreamConnection, UpstreamOwner } from '../../proxy/core/codec.ts'
import type { UpstreamStream } from '../../proxy/core/message.ts'
import type { PoolWaiter } from '../../proxy/core/pool.ts'
import type { DialListener } from '../../proxy/core/wire.ts'
import { EndpointPool } from '../../proxy/pool/endpoint-pool.ts'
import { ServicePools } from '../../proxy/pool/service-pools.ts'
import { systemClock, systemRandom } from '../../proxy/system/clock.ts'
import { noStats } from '../../test/support/endpoints.ts'
import type { PreparedCase } from './case.ts'

/** A connection on which nothing is spoken: what is timed is the pool. */
class Silent implements UpstreamConnection {
  readonly limit: number
  readonly worn = false
  readonly hopThreads = 0
  active = 0
  readonly #owner: UpstreamOwner

  constructor(owner: UpstreamOwner, limit: number) {
    this.#owner = owner
    this.limit = limit
  }

  get capacity(): number {
    return this.limit - this.active
  }

  open(): UpstreamStream {
    this.active++
    return this as never
  }

  end(): void {
    this.active--
    this.#owner.released(this)
  }

  destroy(): void {
    this.#owner.closed(this, this.active === 0)
  }
}

const codec = (limit: number): Pick<Codec, 'connect'> => ({ connect: (_wire, owner) => new Silent(owner, limit) })

const waiter: PoolWaiter = {
  request: { method: 'GET', scheme: 'http', authority: 'a', path: '/', upgrade: '', headers: null as never },
  acquired() {},
  acquireFailed() {},
}

/** A stream on one of `connections` that are idle, and its end. */
function reuse(protocol: 'http1' | 'http2', connections: number): PreparedCase {
  return {
    setup() {
      const dialled: DialListener[] = []
      const dial = (_address: string, _port: number, listener: DialListener) => {
        dialled.push(listener)
        return () => {}
      }
      const policy = {
        protocol,
        multiplex: true,
        connectTimeoutMs: 1000,
        idleTimeoutMs: 300_000,
        connectionAgeMs: 0,
        maxConnections: 10_000,
        maxPending: 10_000,
        queue: null,
        upstream: { bufferBytes: 1, maxHeaders: 1, maxHeadBytes: 1 },
      }
      const codecs = { http1: codec(1), http2: codec(100), hop: codec(100), raw: codec(1) }
      const deps = { clock: systemClock, random: systemRandom, codecs }
      const pool = new EndpointPool(
        '10.0.0.1',
        80,
        new ServicePools(policy, { key: 'plain', isTls: false, dial }, deps),
        noStats(),
      )
      const streams: Silent[] = []
      const acquired = (stream: UpstreamStream) => streams.push(stream as unknown as Silent)
      for (let i = 0; i < connections; i++) pool.acquire({ ...waiter, acquired }, true)
      for (const listener of dialled) listener.connected({ peer: {} } as never)
      for (const stream of streams) stream.end()
      return () => {
        const stream = pool.acquire(waiter, false) as unknown as Silent
        stream.end()
        return stream
      }
    },
  }
}

export const http1Reuse = reuse('http1', 1)
export const http1ReuseOf64 = reuse('http1', 64)
export const http2Reuse = reuse('http2', 1)
