import { describe, expect, test } from 'vitest'
import type { Codec, UpstreamConnection, UpstreamOwner } from '../../proxy/core/codec.ts'
import type { UpstreamStream } from '../../proxy/core/message.ts'
import type { ConnectWaiter, PoolWaiter } from '../../proxy/core/pool.ts'
import { CONNECT } from '../../proxy/core/tunnel.ts'
import type { DialListener, Wire } from '../../proxy/core/wire.ts'
import { EndpointPool } from '../../proxy/pool/endpoint-pool.ts'
import type { PoolPolicy } from '../../proxy/pool/policy.ts'
import { ServicePools } from '../../proxy/pool/service-pools.ts'
import type { Transport } from '../../proxy/pool/transport.ts'
import { manualClock } from '../support/clock.ts'
import { noStats } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { seeded } from '../support/random.ts'
import { turn } from '../support/turns.ts'

/**
 * Requests and tunnels to three endpoints, whose connections come, fail, break, end and are counted, while limits,
 * protocol and transport change. The codecs are stand-ins: what is tested is who gets which connection, and when.
 */

class FakeWire {
  readonly key: string
  readonly peer: { readonly alpn?: string }
  bufferBytes = 0
  destroyed = false

  constructor(key: string, alpn: string | undefined) {
    this.key = key
    this.peer = alpn === undefined ? {} : { alpn }
  }

  destroy(): void {
    this.destroyed = true
  }
}

class FakeConnection implements UpstreamConnection {
  readonly key: string
  readonly limit: number
  readonly worn = false
  hopThreads: number
  active = 0
  over = false
  readonly #owner: UpstreamOwner

  constructor(key: string, limit: number, hopThreads: number, owner: UpstreamOwner) {
    this.key = key
    this.limit = limit
    this.hopThreads = hopThreads
    this.#owner = owner
  }

  get capacity(): number {
    return this.over ? 0 : this.limit - this.active
  }

  open(): UpstreamStream {
    expect(this.capacity).toBeGreaterThan(0)
    this.active++
    return this as never
  }

  /** A stream has ended. */
  end(): void {
    if (this.over) return
    this.active--
    this.#owner.released(this)
  }

  offer(): void {
    this.#owner.offered?.()
  }

  greet(): void {
    if (!this.over) this.#owner.released(this)
  }

  destroy(): void {
    if (this.over) return
    this.over = true
    this.#owner.closed(this, this.active === 0)
  }
}

class World {
  readonly loop = new EventLoop()
  readonly random: () => number
  readonly connections: FakeConnection[] = []
  readonly pools: ServicePools
  readonly endpoints: EndpointPool[]
  readonly drained = new Set<EndpointPool>()
  /** Streams and tunnels that run: each with what ends it. */
  readonly running: (() => void)[] = []
  /** What waits: each with what gives it up. */
  readonly waiting = new Map<object, () => void>()
  answered = 0
  asked = 0

  constructor(seed: number) {
    this.random = seeded(seed)
    const clock = manualClock(this.loop)
    const codec = (limit: number, hopThreads: number): Pick<Codec, 'connect'> => ({
      connect: (wire, owner) => {
        const connection = new FakeConnection((wire as unknown as FakeWire).key, limit, hopThreads, owner)
        this.connections.push(connection)
        if (hopThreads !== 0) this.loop.after(5, () => turn(() => connection.greet()))
        return connection
      },
    })
    const codecs = { http1: codec(1, 0), http2: codec(3, 0), hop: codec(3, 1), raw: codec(1, 0) }
    this.pools = new ServicePools(this.policy(), this.transport('1'), { clock, random: this.random, codecs })
    this.endpoints = [1, 2, 3].map(port => new EndpointPool('10.0.0.1', port, this.pools, noStats()))
  }

  chance(share: number): boolean {
    return this.random() < share
  }

  one<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)]!
  }

  policy(): PoolPolicy {
    return Object.freeze({
      protocol: this.one(['http1', 'http2', 'http1', 'http2', 'tcp'] as const),
      multiplex: this.chance(0.7),
      connectTimeoutMs: 100,
      idleTimeoutMs: 300,
      connectionAgeMs: this.one([0, 400]),
      maxConnections: 1 + Math.floor(this.random() * 5),
      maxPending: 1 + Math.floor(this.random() * 20),
      queue: this.one([null, { requests: 5, intervalMs: 40, targetMs: 10 }]),
      upstream: { bufferBytes: 1, maxHeaders: 1, maxHeadBytes: 1 },
    })
  }

  transport(key: string): Transport {
    const dial = (_address: string, _port: number, listener: DialListener) => {
      if (this.chance(0.1)) return () => {}
      const isRefused = this.chance(0.1)
      const alpn = this.one([undefined, undefined, 'h2', 'http/1.1'])
      return this.loop.after(this.random() * 30, () =>
        turn(() => {
          if (isRefused) listener.failed('ECONNREFUSED')
          else listener.connected(new FakeWire(key, alpn) as unknown as Wire)
        }),
      )
    }
    return { key, isTls: false, dial }
  }

  /** Each is answered exactly once, and not when it has been given up. */
  #answer(waiter: object): void {
    expect(this.waiting.delete(waiter)).toBe(true)
    this.answered++
  }

  request(pool: EndpointPool): void {
    const upgrade = this.chance(0.1) ? CONNECT : ''
    const fresh = this.chance(0.1)
    const isOurs = (connection: FakeConnection) => {
      expect(connection.over).toBe(false)
      if (upgrade === '') expect(connection.key, 'made by the transport that holds').toBe(this.pools.transport.key)
      this.running.push(() => (upgrade === '' ? connection.end() : connection.destroy()))
    }
    const waiter: PoolWaiter = {
      request: { method: 'GET', scheme: 'http', authority: 'a', path: '/', upgrade, headers: null as never },
      acquired: stream => {
        this.#answer(waiter)
        isOurs(stream as never)
      },
      acquireFailed: () => this.#answer(waiter),
    }
    this.asked++
    this.waiting.set(waiter, () => pool.cancel(waiter))
    const got = pool.acquire(waiter, fresh)
    if (got === null) return
    this.#answer(waiter)
    if (got instanceof FakeConnection) isOurs(got)
  }

  tunnel(pool: EndpointPool): void {
    const waiter: ConnectWaiter = {
      connected: () => {
        this.#answer(waiter)
        this.running.push(() => pool.closed())
      },
      connectFailed: () => this.#answer(waiter),
    }
    this.asked++
    this.waiting.set(waiter, () => pool.giveUp(waiter))
    if (pool.connect(waiter) !== null) this.#answer(waiter)
  }

  step(): void {
    const pool = this.one(this.endpoints)
    const what = this.random()
    if (what < 0.45) this.request(pool)
    else if (what < 0.5) this.tunnel(pool)
    else if (what < 0.8) this.endOne()
    else if (what < 0.85) this.giveUpOne()
    else if (what < 0.9) this.one(this.connections)?.destroy()
    else if (what < 0.93) this.one(this.connections.filter(({ over }) => !over))?.offer()
    else if (what < 0.94) this.reload()
    else if (what < 0.945) this.drain(pool)
  }

  endOne(): void {
    if (this.running.length !== 0) this.running.splice(Math.floor(this.random() * this.running.length), 1)[0]!()
  }

  giveUpOne(): void {
    const [waiter] = this.waiting.keys()
    if (waiter === undefined) return
    const giveUp = this.waiting.get(waiter)!
    this.waiting.delete(waiter)
    this.answered++
    giveUp()
  }

  reload(): void {
    this.pools.configure(this.policy(), this.chance(0.5) ? this.transport(this.one(['1', '2', '3'])) : undefined)
  }

  drain(pool: EndpointPool): void {
    const at = this.endpoints.indexOf(pool)
    pool.drain()
    this.drained.add(pool)
    this.endpoints[at] = new EndpointPool(pool.address, pool.port, this.pools, noStats())
  }

  get all(): EndpointPool[] {
    return [...this.endpoints, ...this.drained]
  }

  get open(): number {
    return this.all.reduce((sum, { connections }) => sum + connections, 0)
  }
}

describe.each(Array.from({ length: 40 }, (_, i) => i + 1))('seed %i', seed => {
  test('limits hold, each wait ends once, and nothing is left', () => {
    const world = new World(seed)
    let before = 0
    for (let i = 0; i < 1500; i++) {
      turn(() => world.step())
      world.loop.advance(world.random() * 4)
      // A lowered limit takes no connection away, but lets none be made.
      expect(world.open).toBeLessThanOrEqual(Math.max(world.pools.policy.maxConnections, before))
      before = world.open
    }
    world.loop.advance(200)
    while (world.running.length !== 0 || world.waiting.size !== 0) {
      turn(() => world.endOne())
      world.loop.advance(50)
    }
    expect(world.answered).toBe(world.asked)
    world.loop.advance(20_000)
    for (const pool of world.all) expect([pool.connections, pool.idle, pool.pending]).toEqual([0, 0, 0])
    expect(world.connections.every(({ over }) => over)).toBe(true)
    expect(world.pools.permits.waiting).toBe(0)
    const { maxConnections } = world.pools.policy
    expect(Array.from({ length: maxConnections + 1 }, () => world.pools.permits.take()).filter(Boolean)).toHaveLength(
      maxConnections,
    )
  })
})
