import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { http2 } from '../../../proxy/codec/h2/codec.ts'
import * as h2 from '../../../proxy/codec/h2/frame.ts'
import type { Http2Options } from '../../../proxy/codec/h2/options.ts'
import { PREFACE } from '../../../proxy/codec/h2/preface.ts'
import { CARRIES_HTTP1 } from '../../../proxy/codec/hop/names.ts'
import type { DownstreamConnection } from '../../../proxy/core/codec.ts'
import { failures } from '../../../proxy/core/failure.ts'
import { HeaderList } from '../../../proxy/core/header-list.ts'
import type { DownstreamStream, Receiver, RequestHead } from '../../../proxy/core/message.ts'
import { manualClock } from '../../support/clock.ts'
import { EventLoop } from '../../support/event-loop.ts'
import { requestLimits, responseLimits } from '../../support/recorder.ts'
import { TapeWire } from '../../support/tape-wire.ts'
import {
  data,
  frame,
  get,
  hello,
  linesOf,
  literals,
  ping,
  post,
  reset,
  settings,
  settingsAck,
  uint32,
  windowUpdate,
} from './support/frames.ts'

/**
 * Each attack goes on until the connection is closed, for a bounded number of rounds; what it may cost is said. Another
 * connection is served all the while.
 */

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

const ROUNDS = 20_000

/** Keeps no byte of what is written; `takes` false: a peer that reads nothing. */
class AttackedWire extends TapeWire {
  takes = true
  bytesWritten = 0

  override write(bytes: Buffer): boolean {
    this.bytesWritten += bytes.length
    if (!this.takes) this.unsent += bytes.length
    super.write(bytes)
    if (this.bytesWritten > 4096) this.writes.length = 0
    return this.unsent < this.bufferBytes / 4
  }
}

type Behaviour = 'answers' | 'waits' | 'stops' | 'sends much'

class Target implements Receiver<RequestHead> {
  readonly #stream: DownstreamStream
  readonly #behaviour: Behaviour
  readonly #counts: { requests: number; resets: number; bytes: number }
  static readonly piece = Buffer.alloc(256 * 1024)

  constructor(
    stream: DownstreamStream,
    behaviour: Behaviour,
    counts: { requests: number; resets: number; bytes: number },
  ) {
    this.#stream = stream
    this.#behaviour = behaviour
    this.#counts = counts
  }

  head(_head: RequestHead, end: boolean): void {
    this.#counts.requests++
    if (this.#behaviour === 'sends much') {
      this.#stream.head({ status: 200, headers: new HeaderList() }, false)
      this.writable()
    } else if (end && this.#behaviour === 'answers') this.#answer()
  }

  data(chunk: Buffer, end: boolean): boolean {
    this.#counts.bytes += chunk.length
    if (end && this.#behaviour === 'answers') this.#answer()
    return this.#behaviour !== 'stops'
  }

  trailers(): void {}

  reset(): void {
    this.#counts.resets++
  }

  writable(): void {
    if (this.#behaviour === 'sends much') while (this.#stream.data(Target.piece, false));
  }

  #answer(): void {
    this.#stream.head({ status: 204, headers: new HeaderList() }, true)
  }
}

const loop = new EventLoop()
const clock = manualClock(loop)

function serve(
  behaviour: Behaviour = 'answers',
  options: Partial<Http2Options> = {},
  idleTimeoutMs = 60_000,
  maxStreams = requestLimits.maxStreams,
  hopThreads = 0,
  greeting = hello,
) {
  const wire = new AttackedWire()
  const counts = { requests: 0, resets: 0, bytes: 0 }
  const refused: string[] = []
  const guards: string[] = []
  let closed = false
  const connection: DownstreamConnection = http2(clock, { ...options, onGuard: guard => guards.push(guard) }).serve(
    wire,
    stream => {
      stream.receiver = new Target(stream, behaviour, counts)
    },
    {
      ...requestLimits,
      maxStreams,
      hopThreads,
      headTimeoutMs: 10_000,
      bodyTimeoutMs: 30_000,
      idleTimeoutMs,
      onRefused: ({ detail }) => refused.push(detail),
      onClosed() {
        closed = true
      },
    },
    clock,
  )
  wire.feed(greeting)
  return { wire, counts, refused, guards, connection, isClosed: () => closed }
}

let bystander = serve()
let bystanderId = 1
beforeEach(() => {
  bystander = serve('answers', {}, 0)
  bystanderId = 1
})
/** Whatever happened to the other connection. */
afterEach(() => {
  bystander.wire.writes.length = 0
  bystander.wire.feed(get(bystanderId))
  expect(linesOf(Buffer.concat(bystander.wire.writes))).toEqual([`HEADERS ${bystanderId} END_STREAM`, '  :status: 204'])
})

/** Feeds rounds until the connection is closed; returns how many it took. */
function attack(wire: AttackedWire, round: (i: number) => Buffer, rounds = ROUNDS): number {
  for (let i = 0; i < rounds; i++) {
    wire.feed(round(i))
    if (wire.closing !== '') return i + 1
  }
  return rounds
}

/** Everything that is held: what a test looks at is the difference. */
function held(): number {
  // Memory of Buffers is swept by a thread of its own: the second collection waits for it.
  gc()
  gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

describe('floods end the connection soon', () => {
  test.each<[string, string, (i: number) => Buffer]>([
    ['rapid reset (CVE-2023-44487)', 'resets', i => Buffer.concat([get(2 * i + 1), reset(2 * i + 1, h2.CANCEL)])],
    ['made you reset (CVE-2025-8671)', 'resets', i => Buffer.concat([get(2 * i + 1), windowUpdate(2 * i + 1, 0)])],
    ['malformed requests', 'resets', i => get(2 * i + 1, 'X', '1')],
    ['PING', 'chatter', () => ping()],
    ['acknowledgements of nothing', 'chatter', () => ping('abcdefgh', true)],
    ['SETTINGS', 'chatter', i => settings(4, i)],
    ['acknowledgements of SETTINGS', 'chatter', () => settingsAck],
    ['PRIORITY', 'chatter', () => frame(h2.PRIORITY, 0, 1, Buffer.concat([uint32(3), Buffer.from([1])]))],
    ['frames nobody knows', 'chatter', () => frame(0xfa, 0, 0, Buffer.alloc(10))],
    ['WINDOW_UPDATE of one byte', 'chatter', () => windowUpdate(0, 1)],
    ['RST_STREAM on streams long closed', 'chatter', i => (i === 0 ? get(1) : reset(1, h2.CANCEL))],
    ['empty DATA', 'chatter', i => (i === 0 ? post(1) : data(1, ''))],
    ['empty CONTINUATION', 'continuations', i => frame(i === 0 ? h2.HEADERS : h2.CONTINUATION, 0, 1)],
  ])('%s', (_name, guard, round) => {
    const { wire, guards, counts } = serve('waits')
    const rounds = attack(wire, round)
    expect(rounds).toBeLessThan(2500)
    expect(guards).toEqual([guard])
    expect(wire.closing).toBe('end')
    // Whatever began was ended.
    expect(counts.resets).toBe(counts.requests)
  })

  test.each([
    ['is not offered: it is a caller as any other', 0, 1000],
    ['is offered', 1, 10_000],
  ])('a caller that says to be a sidecar where the hop %s', (_name, hopThreads, resets) => {
    const greeting = Buffer.concat([PREFACE, settings(CARRIES_HTTP1, 1), settingsAck])
    const { wire } = serve('waits', {}, undefined, undefined, hopThreads, greeting)
    expect(attack(wire, i => Buffer.concat([get(2 * i + 1), reset(2 * i + 1, h2.CANCEL)]))).toBe(resets + 1)
  })

  test('refused streams, beyond those allowed at once', () => {
    const { wire, guards } = serve('waits', {}, undefined, 10)
    expect(attack(wire, i => get(2 * i + 1))).toBeLessThan(2500)
    expect(guards).toEqual(['resets'])
  })
})

describe('callers that give up', () => {
  const cancels = (count: number, perSecond: number, patienceMs: number, beside: number) => {
    const { wire, guards } = serve()
    let id = 1
    for (let i = 0; i < count; i++, id += 2) {
      // It waits for its body, and so for its answer.
      wire.feed(post(id))
      loop.advance(patienceMs)
      wire.feed(reset(id, h2.CANCEL))
      for (let k = 0; k < beside; k++) {
        id += 2
        wire.feed(get(id))
      }
      loop.advance(Math.max(0, 1000 / perSecond - patienceMs))
    }
    return guards
  }
  test.each<[string, number, number, number, string[]]>([
    ['at once, 300 a second, as a proxy brings them from its callers', 300, 2, 0, []],
    ['at once, 2,000 a second', 2000, 0, 0, ['resets']],
    ['at once, 2,000 a second, beside as many that are served', 2000, 0, 1, []],
    ['after a second', 10_000, 1000, 0, []],
  ])('%s', (_name, perSecond, patienceMs, beside, expected) => {
    expect(cancels(2500, perSecond, patienceMs, beside)).toEqual(expected)
  })
})

test('what was on its way of streams that were given up is no flood, however many have ended since', () => {
  const wire = new AttackedWire()
  const guards: string[] = []
  const owner = { released() {}, closed() {}, idleHint() {} }
  const connection = http2(clock, { onGuard: guard => guards.push(guard) }).connect(wire, owner, {
    ...responseLimits,
    bufferBytes: 1024 * 1024,
  })
  wire.feed(Buffer.concat([settings(), settingsAck]))
  for (let i = 0; i < 200; i++) {
    const stream = connection.open()
    stream.head(
      { method: 'GET', scheme: 'http', authority: 'a', path: '/', upgrade: '', headers: new HeaderList() },
      true,
    )
    stream.reset(failures.downstreamGone, '')
    loop.advance(1)
  }
  wire.writes.length = 0
  for (let i = 0; i < 3000; i++)
    wire.feed(i % 3 === 0 ? reset(2 * (i % 200) + 1, h2.CANCEL) : data(2 * (i % 200) + 1, 'late'))
  expect(guards).toEqual([])
  expect(wire.closing).toBe('')
  expect(linesOf(Buffer.concat(wire.writes)).filter(line => line.startsWith('RST_STREAM'))).toEqual([])
})

test('what a real caller does at its wildest is no flood', () => {
  const { wire, guards } = serve()
  for (let i = 0; i < 30_000; i++) {
    const id = 2 * i + 1
    // A request, two window updates, and of every third one a cancelled neighbour; a PING now and then.
    wire.feed(Buffer.concat([get(id), windowUpdate(0, 13), ...(i % 3 === 0 ? [ping()] : [])]))
    if (i % 100 === 0) loop.advance(20)
  }
  expect(guards).toEqual([])
  expect(wire.closing).toBe('')
})

test('a budget comes back with time', () => {
  const { wire, guards } = serve()
  for (let minute = 0; minute < 60; minute++) {
    for (let i = 0; i < 900; i++) wire.feed(ping())
    loop.advance(50_000)
    wire.feed(get(2 * minute + 1))
  }
  expect(guards).toEqual([])
})

describe('memory', () => {
  test('answers to a caller that reads nothing are limited', () => {
    const { wire, guards } = serve('answers', { chatter: { burst: 1e9, perSecond: 1 } })
    wire.takes = false
    wire.unsent = wire.bufferBytes
    expect(attack(wire, () => ping())).toBeLessThan(2500)
    expect(guards).toEqual(['replies'])
    expect(wire.bytesWritten).toBeLessThan(100_000)
  })

  test('a head of references to one large entry is neither unpacked nor taken (HPACK bomb)', () => {
    const { wire, counts } = serve()
    // An entry of 3,900 bytes, then 16,000 references to it: 62 MB.
    const entry = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xbd, 0x1d]), Buffer.alloc(3900, 'v')])
    wire.feed(
      frame(
        h2.HEADERS,
        h2.END_HEADERS | h2.END_STREAM,
        1,
        Buffer.concat([literals(':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'), entry]),
      ),
    )
    expect(counts.requests).toBe(1)
    const before = held()
    const bomb = Buffer.concat([
      literals(':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'),
      Buffer.alloc(16_000, 0xbe),
    ])
    const began = process.cpuUsage()
    for (let i = 1; i <= 200; i++) wire.feed(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 2 * i + 1, bomb))
    // 12.5 GB, had it been unpacked.
    expect(process.cpuUsage(began).user / 1000).toBeLessThan(2000)
    expect(held() - before).toBeLessThan(2_000_000)
    expect(counts.requests).toBe(1)
  })

  test('a head that is not finished holds what came of it, and not for long', () => {
    const all = Array.from({ length: 200 }, () => serve())
    const before = held()
    for (const { wire } of all) {
      // It says 16 KiB, and sends a byte.
      const head = Buffer.alloc(10)
      h2.putFrameHeader(head, 0, 16_000, h2.HEADERS, 0, 1)
      wire.feed(head)
    }
    expect(held() - before).toBeLessThan(200 * 2000)
    for (const { wire } of all) wire.feed(Buffer.alloc(15_999))
    loop.advance(11_000)
    expect(all.every(({ wire }) => wire.closing !== '')).toBe(true)
  })

  test('answers that the caller gives no window for wait in their sources; above the bound of a connection the one with the most is cut', () => {
    const { wire, counts, guards, isClosed } = serve('sends much', { maxHeldBytes: 32 * 1024 * 1024 })
    wire.feed(settings(4, 0))
    const before = held()
    for (let i = 0; i < 100; i++) wire.feed(get(2 * i + 1))
    expect(counts.requests).toBe(100)
    // One piece a stream.
    expect(held() - before).toBeLessThan(100 * (Target.piece.length + 20_000))
    expect(guards).toEqual([])
    attack(wire, i => get(2 * i + 201), 100)
    expect(counts.requests).toBe(200)
    expect(guards).toEqual(Array(72).fill('held-bytes'))
    expect(counts.resets).toBe(72)
    expect(held() - before).toBeLessThan(36 * 1024 * 1024)
    expect(isClosed()).toBe(false)
  })

  test('uploads into receivers that have stopped hold a first window each, and no more; beyond it only their streams break', () => {
    const { wire, counts } = serve('stops')
    const before = held()
    const piece = Buffer.alloc(16_384)
    const streams = 40
    const window = 256 * 1024
    for (let i = 0; i < streams; i++) wire.feed(post(2 * i + 1))
    for (let sent = 0; sent < window; sent += piece.length)
      for (let i = 0; i < streams; i++) wire.feed(data(2 * i + 1, piece))
    expect(counts.resets).toBe(0)
    // The first piece of each went to its receiver; what came then is held.
    expect(counts.bytes).toBe(streams * piece.length)
    expect(held() - before).toBeLessThan(streams * (window + 40_000))
    for (let i = 0; i < streams; i++) wire.feed(data(2 * i + 1, 'x'))
    expect(counts.resets).toBe(streams)
    expect(wire.closing).toBe('')
    expect(wire.account.bytes).toBe(0)
    expect(held() - before).toBeLessThan(4_000_000)
  })

  test('a connection that waits holds little, also after many streams', () => {
    const before = held()
    const all = Array.from({ length: 500 }, () => serve())
    for (const { wire } of all) {
      for (let i = 0; i < 20; i++) wire.feed(get(2 * i + 1, 'x-request-id', `${i}`))
      wire.writes.length = 0
    }
    const each = (held() - before) / all.length
    // 64 KiB of it are the test's wire.
    expect(each).toBeLessThan(64 * 1024 + 24_000)
    for (const { connection } of all) connection.destroy()
  })
})

describe('slowness', () => {
  test('a caller that says nothing is gone after the time for a head', () => {
    const { wire, isClosed } = serve()
    const silent = new AttackedWire()
    http2(clock).serve(
      silent,
      () => {},
      {
        ...requestLimits,
        headTimeoutMs: 10_000,
        bodyTimeoutMs: 0,
        idleTimeoutMs: 300_000,
        onRefused() {},
        onClosed() {},
      },
      clock,
    )
    loop.advance(11_000)
    expect(silent.closing).not.toBe('')
    // The other one has greeted, and may be idle for a minute.
    expect(wire.closing).toBe('')
    loop.advance(52_000)
    expect(isClosed()).toBe(true)
  })

  test('a caller that never acknowledges our SETTINGS is cut', () => {
    const { wire, guards } = serve()
    const other = new AttackedWire()
    http2(clock, { onGuard: guard => guards.push(guard) }).serve(
      other,
      () => {},
      { ...requestLimits, headTimeoutMs: 0, bodyTimeoutMs: 0, idleTimeoutMs: 0, onRefused() {}, onClosed() {} },
      clock,
    )
    other.feed(hello.subarray(0, hello.length - settingsAck.length))
    loop.advance(11_000)
    expect(guards).toEqual(['settings'])
    expect(wire.closing).toBe('')
  })

  test('a body that stops coming is answered with 408, and the connection goes on', () => {
    const { wire, counts } = serve()
    wire.feed(post(1))
    loop.advance(20_000)
    wire.feed(data(1, 'x'))
    loop.advance(20_000)
    expect(counts.resets).toBe(0)
    loop.advance(11_000)
    expect(counts.resets).toBe(1)
    wire.feed(get(3))
    expect(counts.requests).toBe(2)
    expect(wire.closing).toBe('')
  })

  test('an answer that is not taken is given up when it is whole, after the idle time', () => {
    const wire = new TapeWire()
    const guards: string[] = []
    http2(clock, { onGuard: guard => guards.push(guard) }).serve(
      wire,
      stream => {
        stream.receiver = {
          head() {
            stream.head({ status: 200, headers: new HeaderList() }, false)
            stream.data(Buffer.alloc(100_000), true)
          },
          data: () => true,
          trailers() {},
          reset() {},
          writable() {},
        }
      },
      { ...requestLimits, headTimeoutMs: 0, bodyTimeoutMs: 0, idleTimeoutMs: 60_000, onRefused() {}, onClosed() {} },
      clock,
    )
    wire.feed(Buffer.concat([hello, get(1)]))
    loop.advance(50_000)
    wire.feed(windowUpdate(1, 100))
    wire.feed(windowUpdate(0, 100))
    loop.advance(50_000)
    expect(guards).toEqual([])
    loop.advance(20_000)
    expect(guards).toEqual(['stalled'])
    expect(linesOf(Buffer.concat(wire.writes)).at(-1)).toBe('RST_STREAM 1 CANCEL')
  })
})
