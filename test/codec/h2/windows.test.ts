import { expect, test } from 'vitest'
import { http2 } from '../../../proxy/codec/h2/codec.ts'
import { HeaderList } from '../../../proxy/core/header-list.ts'
import type { DownstreamStream, UpstreamStream } from '../../../proxy/core/message.ts'
import { manualClock } from '../../support/clock.ts'
import { EventLoop } from '../../support/event-loop.ts'
import { wirePair } from '../../support/memory-wire.ts'
import { requestLimits, responseLimits } from '../../support/recorder.ts'
import { TapeWire } from '../../support/tape-wire.ts'
import { turn } from '../../support/turns.ts'

const MIB = 1024 * 1024

/**
 * A line of any width: what is written arrives that much later. The memory wire reads once a latency, as a slow reader
 * would.
 */
class LongWire extends TapeWire {
  other!: LongWire
  readonly #loop: EventLoop
  readonly #latencyMs: number

  constructor(loop: EventLoop, latencyMs: number) {
    super()
    this.#loop = loop
    this.#latencyMs = latencyMs
  }

  override write(bytes: Buffer): boolean {
    const copy = Buffer.from(bytes)
    this.#loop.after(this.#latencyMs, () => this.other.feed(copy))
    return true
  }
}

/**
 * Uploads over a line with that much latency each way; how long it takes, in virtual time. `bufferBytes`: what the
 * receiver may hold; `pauseMs`: how long its reader stops after each piece; `stalled`: before them come so many that
 * nobody reads. `most`: what had come and was not read.
 */
function upload(bytes: number, streams: number, latencyMs: number, bufferBytes: number, pauseMs = 0, stalled = 0) {
  const loop = new EventLoop()
  const clock = manualClock(loop)
  const near = new LongWire(loop, latencyMs)
  const far = new LongWire(loop, latencyMs)
  near.other = far
  far.other = near
  near.bufferBytes = bufferBytes
  const codec = http2(clock)
  let got = 0
  let came = 0
  let most = 0
  let ended = 0
  const downs: DownstreamStream[] = []
  codec.serve(
    near,
    stream => {
      downs.push(stream)
      const isRead = downs.length > stalled
      stream.receiver = {
        head() {},
        data(chunk, end) {
          if (!isRead) return false
          got += chunk.length
          if (end) ended++
          if (pauseMs !== 0) loop.after(pauseMs, () => turn(() => stream.resume()))
          return pauseMs === 0
        },
        trailers() {},
        reset() {},
        writable() {},
      }
    },
    { ...requestLimits, headTimeoutMs: 0, bodyTimeoutMs: 0, idleTimeoutMs: 0, onRefused() {}, onClosed() {} },
    clock,
  )
  const feed = near.feed.bind(near)
  near.feed = chunk => {
    came += chunk.length
    most = Math.max(most, came - got)
    feed(chunk)
  }
  const upstream = codec.connect(
    far,
    { released() {}, closed() {}, idleHint() {} },
    { bufferBytes: MIB, ...responseLimits },
  )
  const began = loop.now
  const piece = Buffer.alloc(64 * 1024)
  for (let i = 0; i < streams + stalled; i++) {
    let left = bytes
    const send = (stream: UpstreamStream) => {
      while (left > 0) {
        left -= piece.length
        if (!stream.data(piece, left <= 0)) return
      }
    }
    turn(() => {
      const stream = upstream.open()
      stream.receiver = { head() {}, data: () => true, trailers() {}, reset() {}, writable: () => send(stream) }
      stream.head(
        { method: 'POST', scheme: 'http', authority: 'a', path: '/', upgrade: '', headers: new HeaderList() },
        false,
      )
      send(stream)
    })
  }
  while (ended < streams && loop.now - began < 600_000) loop.advance(10)
  return { ms: loop.now - began, got, most }
}

test('the window of a stream grows to fill a long line, up to what may be held of the connection', () => {
  // With 256 KiB a round trip of 40 ms it would be 10 s.
  const grown = upload(64 * MIB, 1, 20, 16 * MIB)
  expect(grown.got).toBe(64 * MIB)
  expect(grown.ms).toBeLessThan(2500)
  const fixed = upload(64 * MIB, 1, 20, 256 * 1024)
  expect(fixed.ms).toBeGreaterThan(5000)
})

test('it does not grow for a reader that is slower than the line: what would come would only have to be held', () => {
  const slow = upload(16 * MIB, 1, 5, 16 * MIB, 20)
  expect(slow.got).toBe(16 * MIB)
  expect(slow.most).toBeLessThan(600 * 1024)
})

test('it grows as ever beside streams that stand still', () => {
  const { got, ms } = upload(64 * MIB, 1, 20, 16 * MIB, 0, 10)
  expect(got).toBe(64 * MIB)
  expect(ms).toBeLessThan(2500)
})

test('and so does that of the connection, for many streams', () => {
  const grown = upload(16 * MIB, 16, 20, 16 * MIB)
  expect(grown.got).toBe(256 * MIB)
  expect(grown.ms).toBeLessThan(3000)
})

test('streams that wait for the window of the connection have it in turns', () => {
  const { ms, got } = upload(MIB, 50, 5, MIB)
  expect(got).toBe(50 * MIB)
  expect(ms).toBeLessThan(2000)
})

test('keep-alive: a PING after quiet, and no answer is the end', () => {
  const loop = new EventLoop()
  const clock = manualClock(loop)
  const [near, far] = wirePair(loop)
  const log: string[] = []
  http2(clock).serve(
    near,
    () => {},
    { ...requestLimits, headTimeoutMs: 0, bodyTimeoutMs: 0, idleTimeoutMs: 0, onRefused() {}, onClosed() {} },
    clock,
  )
  const upstream = http2(clock, {
    keepAliveIntervalMs: 1000,
    keepAliveTimeoutMs: 500,
    onGuard: guard => log.push(guard),
  }).connect(
    far,
    { released() {}, closed: (_connection, idle) => log.push(idle ? 'closed idle' : 'closed busy'), idleHint() {} },
    { bufferBytes: MIB, ...responseLimits },
  )
  turn(() => {
    const stream = upstream.open()
    stream.receiver = {
      head() {},
      data: () => true,
      trailers() {},
      reset: (failure, detail) => log.push(`${failure.failure}: ${detail}`),
      writable() {},
    }
    stream.head(
      { method: 'GET', scheme: 'http', authority: 'a', path: '/', upgrade: '', headers: new HeaderList() },
      true,
    )
  })
  loop.advance(60_000)
  expect(log).toEqual([])
  near.pause()
  loop.advance(3000)
  expect(log).toEqual(['keep-alive', 'reset-before-response: no answer to a PING within 500 ms', 'closed busy'])
})

test('drain: a request that was under way is still served, one after the last GOAWAY is not', () => {
  const loop = new EventLoop()
  const clock = manualClock(loop)
  const [near, far] = wirePair(loop, { latencyMs: 10 })
  const log: string[] = []
  const down = http2(clock).serve(
    near,
    stream => {
      stream.receiver = {
        head: () => stream.head({ status: 204, headers: new HeaderList() }, true),
        data: () => true,
        trailers() {},
        reset() {},
        writable() {},
      }
    },
    {
      ...requestLimits,
      headTimeoutMs: 0,
      bodyTimeoutMs: 0,
      idleTimeoutMs: 0,
      onRefused() {},
      onClosed: () => log.push('server closed'),
    },
    clock,
  )
  const upstream = http2(clock).connect(
    far,
    { released() {}, closed: () => log.push('closed'), idleHint() {} },
    { bufferBytes: MIB, ...responseLimits },
  )
  const get = () =>
    turn(() => {
      const stream = upstream.open()
      stream.receiver = {
        head: ({ status }) => log.push(`${status}`),
        data: () => true,
        trailers() {},
        reset: ({ failure }) => log.push(failure),
        writable() {},
      }
      stream.head(
        { method: 'GET', scheme: 'http', authority: 'a', path: '/', upgrade: '', headers: new HeaderList() },
        true,
      )
    })
  get()
  loop.advance(100)
  turn(() => down.drain())
  loop.advance(5)
  // The GOAWAY is on its way and has not come.
  get()
  loop.advance(6)
  expect(upstream.capacity).toBe(0)
  loop.advance(3000)
  expect(log).toEqual(['204', '204', 'closed', 'server closed'])
})
