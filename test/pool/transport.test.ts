import { describe, expect, test } from 'vitest'
import { http1 } from '../../proxy/codec/h1/codec.ts'
import { http2 } from '../../proxy/codec/h2/codec.ts'
import { raw } from '../../proxy/codec/raw.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { Receiver, RequestHead, ResponseHead, UpstreamStream } from '../../proxy/core/message.ts'
import type { PoolWaiter } from '../../proxy/core/pool.ts'
import type { Peer } from '../../proxy/core/wire.ts'
import { EndpointPool } from '../../proxy/pool/endpoint-pool.ts'
import type { PoolPolicy } from '../../proxy/pool/policy.ts'
import { ServicePools } from '../../proxy/pool/service-pools.ts'
import type { Transport } from '../../proxy/pool/transport.ts'
import { manualClock } from '../support/clock.ts'
import { noStats } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { type MemoryWire, wirePair } from '../support/memory-wire.ts'
import { PlainEnd } from '../support/plain-end.ts'
import { seeded } from '../support/random.ts'
import { turn } from '../support/turns.ts'

const POLICY: PoolPolicy = Object.freeze({
  protocol: 'http1',
  multiplex: true,
  connectTimeoutMs: 1000,
  idleTimeoutMs: 60_000,
  connectionAgeMs: 0,
  maxConnections: 10,
  maxPending: 10,
  queue: null,
  upstream: Object.freeze({ bufferBytes: 65_536, maxHeaders: 100, maxHeadBytes: 8192 }),
})

/** Connections in memory, made as one certificate would have it. */
class Certificate implements Transport {
  readonly isTls = false
  readonly key: string
  readonly ends: PlainEnd[] = []
  readonly wires: MemoryWire[] = []
  readonly dial: Transport['dial']
  delayMs = 0

  constructor(key: string, loop: EventLoop, alpn?: string) {
    this.key = key
    const peer: Peer = { address: '10.0.0.1', port: 80, local: '10.0.0.9', localPort: 1, ...(alpn && { alpn }) }
    this.dial = (_address, _port, listener) =>
      loop.after(this.delayMs, () => {
        const [near, far] = wirePair(loop, {}, { a: peer })
        this.wires.push(near)
        const end = new PlainEnd(far)
        end.onEnd = () => far.end()
        this.ends.push(end)
        turn(() => listener.connected(near))
      })
  }

  get open(): PlainEnd[] {
    return this.ends.filter(({ over }) => !over)
  }
}

const GET: RequestHead = {
  method: 'GET',
  scheme: 'http',
  authority: 'orders',
  path: '/',
  upgrade: '',
  headers: new HeaderList(),
}

const IGNORED: Receiver<ResponseHead> = { head() {}, data: () => true, trailers() {}, reset() {}, writable() {} }

class Caller implements PoolWaiter {
  readonly request = GET
  stream: UpstreamStream | null = null
  failure = ''

  acquired(stream: UpstreamStream): void {
    this.stream = stream
    stream.receiver = IGNORED
    stream.head(this.request, true)
  }

  acquireFailed({ failure }: { readonly failure: string }): void {
    this.failure = failure
  }
}

function setUp(policy: Partial<PoolPolicy> = {}, alpn?: string) {
  const loop = new EventLoop()
  const clock = manualClock(loop)
  const [old, next] = [new Certificate('certificate 1', loop, alpn), new Certificate('certificate 2', loop, alpn)]
  const codecs = { http1, http2: http2(clock), hop: http2(clock, { carriesHttp1: true }), raw }
  const pools = new ServicePools({ ...POLICY, ...policy }, old, { clock, random: seeded(1), codecs })
  const pool = new EndpointPool('10.0.0.1', 80, pools, noStats())
  const call = () => {
    const caller = new Caller()
    turn(() => {
      const got = pool.acquire(caller, false)
      if (got !== null && 'head' in got) caller.acquired(got)
      else if (got !== null) caller.acquireFailed(got)
    })
    loop.settle()
    return caller
  }
  return { loop, old, next, pools, pool, call }
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

describe('a certificate is replaced', () => {
  test('new connections use the new one; the old ones finish what they have and close', () => {
    const { loop, old, next, pools, pool, call } = setUp()
    call()
    call()
    old.ends[0]!.send(OK)
    loop.settle()
    expect([pool.connections, pool.idle]).toEqual([2, 1])
    turn(() => pools.configure(pools.policy, next))
    loop.settle()
    expect([old.ends[0]!.over, old.ends[1]!.over]).toEqual([true, false])
    call()
    expect(next.open).toHaveLength(1)
    old.ends[1]!.send(OK)
    next.ends[0]!.send(OK)
    loop.settle()
    expect(old.open).toHaveLength(0)
    expect([pool.connections, pool.idle]).toEqual([1, 1])
    call()
    expect([old.ends.length, next.ends.length]).toEqual([2, 1])
  })

  test('a connection that was being made by the old one is not used', () => {
    const { loop, old, next, pools, pool, call } = setUp()
    old.delayMs = 100
    const caller = call()
    turn(() => pools.configure(pools.policy, next))
    loop.advance(100)
    expect(caller.stream).not.toBeNull()
    expect([old.open.length, next.open.length]).toEqual([0, 1])
    expect(next.ends[0]!.text).toContain('GET / HTTP/1.1')
    expect([pool.connections, pool.pending]).toEqual([1, 0])
  })

  test('the same key is the same transport: nothing closes', () => {
    const { loop, old, pools, pool, call } = setUp()
    call()
    old.ends[0]!.send(OK)
    loop.settle()
    turn(() => pools.configure({ ...pools.policy, maxPending: 5 }, { key: old.key, isTls: true, dial: old.dial }))
    call()
    expect([old.ends.length, pool.connections]).toEqual([1, 1])
  })

  test('how long the endpoint keeps idle connections is known still', () => {
    const { loop, old, next, pools, call } = setUp()
    call()
    old.ends[0]!.send('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n')
    loop.settle()
    turn(() => pools.configure(pools.policy, next))
    call()
    next.ends[0]!.send(OK)
    loop.advance(3900)
    expect(next.open).toHaveLength(1)
    loop.advance(200)
    expect(next.open).toHaveLength(0)
  })

  test('permits hold for old and new connections together', () => {
    const { loop, old, next, pools, call } = setUp({ maxConnections: 1 })
    call()
    turn(() => pools.configure(pools.policy, next))
    const waiting = call()
    expect([waiting.stream, next.ends.length]).toEqual([null, 0])
    old.ends[0]!.send(OK)
    loop.settle()
    expect(waiting.stream).not.toBeNull()
    expect([old.open.length, next.open.length]).toEqual([0, 1])
  })
})

describe('the protocol is chosen after the dial', () => {
  test.each([
    ['http1', 'h2', 'PRI * HTTP/2.0', 'HTTP/2'],
    ['http2', 'http/1.1', 'GET / HTTP/1.1', 'HTTP/1.1'],
    ['http2', undefined, 'PRI * HTTP/2.0', 'HTTP/2'],
  ] as const)('policy %s, the handshake agreed on %s: %s', (protocol, alpn, first, spoken) => {
    const { old, pool, call } = setUp({ protocol }, alpn)
    const caller = call()
    expect(caller.stream).not.toBeNull()
    expect(old.ends[0]!.text).toContain(first)
    expect(pool.protocol).toBe(spoken)
  })

  test('more requests than the connection turned out to carry each get one of their own', () => {
    const { loop, old, call } = setUp({ protocol: 'http2' }, 'http/1.1')
    old.delayMs = 10
    const callers = [call(), call(), call()]
    expect(old.ends).toHaveLength(0)
    loop.advance(50)
    expect(callers.every(({ stream }) => stream !== null)).toBe(true)
    expect(old.open).toHaveLength(3)
  })
})
