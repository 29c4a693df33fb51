import { describe, expect, test } from 'vitest'
import { http2 } from '../../../proxy/codec/h2/codec.ts'
import * as h2 from '../../../proxy/codec/h2/frame.ts'
import type { UpstreamConnection } from '../../../proxy/core/codec.ts'
import { failures } from '../../../proxy/core/failure.ts'
import { HeaderList } from '../../../proxy/core/header-list.ts'
import type {
  DownstreamStream,
  Receiver,
  RequestHead,
  ResponseHead,
  UpstreamStream,
} from '../../../proxy/core/message.ts'
import { manualClock } from '../../support/clock.ts'
import { EventLoop } from '../../support/event-loop.ts'
import { wirePair } from '../../support/memory-wire.ts'
import { requestLimits, responseLimits } from '../../support/recorder.ts'
import { TapeWire } from '../../support/tape-wire.ts'
import { turn } from '../../support/turns.ts'
import {
  data,
  frame,
  get,
  headers,
  hello,
  parseFrames,
  post,
  reset,
  settings,
  settingsAck,
  windowUpdate,
} from './support/frames.ts'

/**
 * Streams of one connection, of which some misbehave: they are cancelled, broken or stand still with bytes of theirs
 * held. The others are measured.
 */

const KIB = 1024
const MIB = 1024 * KIB
const PIECE = Buffer.alloc(16 * KIB, 'x')
const CALL: RequestHead = {
  method: 'POST',
  scheme: 'http',
  authority: 'a',
  path: '/',
  upgrade: '',
  headers: new HeaderList(),
}
/** A receiver of data that does something else with the first piece. */
const then = (run: () => void) => () => {
  run()
  return true
}
const OK = { status: 200, headers: new HeaderList() }

/** The smallest windows there are, so that little is enough to fill them. */
class Peer {
  readonly wire = new TapeWire()
  /** As the peer counts it. */
  window = h2.DEFAULT_WINDOW
  readonly resets: number[] = []
  goneAway = false
  #skip: number

  constructor(skip: number) {
    this.#skip = skip
    this.wire.bufferBytes = 256 * KIB
  }

  feed(...frames: Buffer[]): void {
    for (const bytes of frames) {
      this.wire.feed(bytes)
      for (const { type, payload } of parseFrames(bytes)) if (type === h2.DATA) this.window -= payload.length
    }
    const written = Buffer.concat(this.wire.writes.splice(0))
    for (const { type, id, payload } of parseFrames(written.subarray(this.#skip))) {
      if (type === h2.WINDOW_UPDATE && id === 0) this.window += payload.readUInt32BE(0)
      if (type === h2.RST_STREAM) this.resets.push(id)
      if (type === h2.GOAWAY) this.goneAway = true
    }
    this.#skip = 0
  }
}

function caller(receive: (stream: DownstreamStream) => Partial<Receiver<RequestHead>>) {
  const peer = new Peer(0)
  const clock = manualClock(new EventLoop())
  http2(clock, { connectionWindowBytes: 512 * KIB, resets: { burst: 1e6, perSecond: 1 } }).serve(
    peer.wire,
    stream => {
      stream.receiver = { head() {}, data: () => true, trailers() {}, reset() {}, writable() {}, ...receive(stream) }
    },
    { ...requestLimits, headTimeoutMs: 0, bodyTimeoutMs: 1000, idleTimeoutMs: 0, onRefused() {}, onClosed() {} },
    clock,
  )
  peer.wire.feed(hello)
  peer.feed()
  return { peer }
}

/** Streams at once, as many pieces of each as the windows allow and no more, and what ends them. */
function rounds(peer: Peer, open: (id: number) => void, body: Buffer, close: (id: number) => void): void {
  const size = body.length - h2.FRAME_HEADER
  for (let round = 0; round < 20; round++) {
    const ids = [0, 1, 2, 3].map(i => 8 * round + 2 * i + 1)
    ids.forEach(open)
    for (let i = 0; i < 240 * KIB; i += size)
      for (const id of ids) {
        if (peer.window < size) break
        body.writeUInt32BE(id, 5)
        peer.feed(body)
      }
    ids.forEach(close)
    peer.feed()
  }
}
const body = data(1, PIECE)
const padded = frame(h2.DATA, h2.PADDED, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(2000)]))

describe('streams that end with bytes held give them back to the connection, however they end: uploads', () => {
  const stop = { data: () => false }
  const refuse = (own: DownstreamStream) => own.head({ status: 403, headers: new HeaderList() }, true)
  const connect = (id: number) => headers(id, false, ':method', 'CONNECT', ':authority', 'a:1')
  const cancel = (id: number) => reset(id, h2.CANCEL)
  test.each<
    [
      string,
      (stream: DownstreamStream) => Partial<Receiver<RequestHead>>,
      (id: number) => Buffer,
      (id: number) => Buffer,
      Buffer,
    ]
  >([
    ['the caller cancels', () => stop, post, cancel, body],
    [
      'the caller resets it with NO_ERROR',
      () => stop,
      post,
      id => Buffer.concat([data(id, 'x', true), reset(id, h2.NO_ERROR)]),
      body,
    ],
    ['the caller breaks a rule', () => stop, post, id => windowUpdate(id, 0), body],
    ['more than its length', () => stop, id => post(id, 'content-length', '200000'), cancel, body],
    ['less than its length', () => stop, id => post(id, 'content-length', '300000'), id => data(id, '', true), body],
    ['trailers that break a rule', () => stop, post, id => headers(id, false, 'x', '1'), body],
    ['refused by its head', () => stop, id => post(id, 'expect', 'much'), cancel, body],
    ['its head is malformed', () => stop, id => post(id, 'X', '1'), cancel, body],
    ['reset by us', own => ({ data: then(() => own.reset(failures.outOfRoom, '')) }), post, cancel, body],
    ['answered before it is whole', own => ({ data: then(() => refuse(own)) }), post, cancel, body],
    ['padding, and nothing is held', () => ({}), post, id => data(id, '', true), padded],
    ['padding', () => stop, post, cancel, padded],
    ['DATA on a stream that is over', () => stop, id => Buffer.concat([post(id), cancel(id)]), cancel, body],
    ['a tunnel that is refused', own => ({ head: () => refuse(own) }), connect, cancel, body],
    ['a tunnel that waits and is cancelled', () => ({}), connect, cancel, body],
    ['a tunnel that is cut', own => ({ head: () => own.head(OK, false), ...stop }), connect, cancel, body],
  ])('%s', (_name, receive, open, close, piece) => {
    const { peer } = caller(receive)
    const { window } = peer
    const over = (id: number) => void peer.feed(close(id))
    rounds(peer, id => peer.feed(open(id)), piece, over)
    expect(peer.goneAway).toBe(false)
    expect(peer.window).toBeGreaterThanOrEqual(window / 2)
  })

  test('its body stops coming, or it runs into its deadline', () => {
    const streams: DownstreamStream[] = []
    const { peer } = caller(own => {
      streams.push(own)
      return stop
    })
    const { window } = peer
    rounds(
      peer,
      id => peer.feed(post(id)),
      body,
      () => turn(() => streams.pop()?.reset(failures.deadlineExceeded, '')),
    )
    expect(peer.resets).not.toHaveLength(0)
    expect(peer.window).toBeGreaterThanOrEqual(window / 2)
  })
})

function endpoint() {
  const peer = new Peer(24)
  const connection = http2(manualClock(new EventLoop()), {
    connectionWindowBytes: 512 * KIB,
    resets: { burst: 1e6, perSecond: 1 },
  }).connect(peer.wire, { released() {}, closed() {}, idleHint() {} }, { bufferBytes: 256 * KIB, ...responseLimits })
  peer.wire.feed(Buffer.concat([settings(), settingsAck]))
  peer.feed()
  return { peer, connection }
}

function ask(
  connection: UpstreamConnection,
  receive: (stream: UpstreamStream) => Partial<Receiver<ResponseHead>>,
  method = 'GET',
): UpstreamStream {
  return turn(() => {
    const stream = connection.open()
    stream.receiver = { head() {}, data: () => true, trailers() {}, reset() {}, writable() {}, ...receive(stream) }
    stream.head({ ...CALL, method }, method !== 'POST')
    return stream
  })
}

describe('and answers', () => {
  const answer = (id: number, ...more: string[]) => headers(id, false, ':status', '200', ...more)
  const stop = () => ({ data: () => false })
  const nothing = () => Buffer.alloc(0)
  const cancel = (own: UpstreamStream) => own.reset(failures.downstreamGone, '')
  type Receive = (stream: UpstreamStream) => Partial<Receiver<ResponseHead>>
  test.each<
    [
      string,
      Receive,
      (id: number) => Buffer,
      (id: number) => Buffer,
      ((stream: UpstreamStream) => void) | null,
      string,
      Buffer,
    ]
  >([
    ['we cancel it', stop, answer, nothing, cancel, 'GET', body],
    ['we cancel an upload', stop, answer, nothing, cancel, 'POST', body],
    ['we cancel it inside a piece', own => ({ data: then(() => cancel(own)) }), answer, nothing, null, 'GET', body],
    ['the endpoint resets it', stop, answer, id => reset(id, h2.INTERNAL_ERROR), null, 'GET', body],
    ['the endpoint breaks a rule', stop, answer, id => windowUpdate(id, 0), null, 'GET', body],
    ['more than its length', stop, id => answer(id, 'content-length', '200000'), nothing, null, 'GET', body],
    [
      'less than its length',
      stop,
      id => answer(id, 'content-length', '300000'),
      id => headers(id, true, 'x', '1'),
      null,
      'GET',
      body,
    ],
    ['a body to HEAD', stop, answer, nothing, null, 'HEAD', body],
    ['its trailers break a rule', stop, answer, id => headers(id, false, 'x', '1'), null, 'GET', body],
    ['the end is held, and then we cancel', stop, answer, id => headers(id, true, 'x', '1'), cancel, 'GET', body],
    ['DATA for what was cancelled long ago', own => ({ head: () => cancel(own) }), answer, nothing, null, 'GET', body],
    ['padding', stop, answer, nothing, cancel, 'GET', padded],
  ])('%s', (_name, receive, open, close, after, method, piece) => {
    const { peer, connection } = endpoint()
    const { window } = peer
    const streams: UpstreamStream[] = []
    const begin = (id: number) => {
      streams.push(ask(connection, receive, method))
      peer.feed(open(id))
    }
    const end = (id: number) => {
      peer.feed(close(id))
      const stream = streams.shift()!
      if (after !== null) turn(() => after(stream))
    }
    rounds(peer, begin, piece, end)
    expect(peer.goneAway).toBe(false)
    expect(peer.window).toBeGreaterThanOrEqual(window / 2)
  })
})

/** Both ends are ours: `stalled` streams whose reader has stopped, and then one that reads. */
function between(bufferBytes = MIB) {
  const loop = new EventLoop()
  const clock = manualClock(loop)
  const [near, far] = wirePair(loop, { latencyMs: 1 })
  near.bufferBytes = bufferBytes
  let reads = false
  let got = 0
  const source = (stream: { data(chunk: Buffer, end: boolean): boolean }, bytes: number) => {
    let left = bytes
    return () => {
      while (left > 0) {
        left -= PIECE.length
        if (!stream.data(PIECE, left <= 0)) return
      }
    }
  }
  let answers = 0
  http2(clock).serve(
    near,
    stream => {
      const more = source(stream, answers)
      const isReading = reads
      stream.receiver = {
        head() {
          if (answers === 0) return
          stream.head(OK, false)
          more()
        },
        data(chunk) {
          if (isReading) got += chunk.length
          return isReading
        },
        trailers() {},
        reset() {},
        writable: more,
      }
    },
    { ...requestLimits, headTimeoutMs: 0, bodyTimeoutMs: 0, idleTimeoutMs: 0, onRefused() {}, onClosed() {} },
    clock,
  )
  const upstream = http2(clock).connect(
    far,
    { released() {}, closed() {}, idleHint() {} },
    { bufferBytes, ...responseLimits },
  )
  const upload = (bytes: number) =>
    turn(() => {
      const stream = upstream.open()
      const more = source(stream, bytes)
      stream.receiver = { head() {}, data: () => true, trailers() {}, reset() {}, writable: more }
      stream.head(CALL, false)
      more()
    })
  const download = () => {
    const isReading = reads
    turn(() => {
      const stream = upstream.open()
      stream.receiver = {
        head() {},
        data(chunk) {
          if (isReading) got += chunk.length
          return isReading
        },
        trailers() {},
        reset() {},
        writable() {},
      }
      stream.head({ ...CALL, method: 'GET' }, true)
    })
  }
  return {
    upload(count: number, bytes: number, reading: boolean) {
      reads = reading
      for (let i = 0; i < count; i++) upload(bytes)
      loop.advance(2000)
    },
    download(count: number, bytes: number, reading: boolean) {
      reads = reading
      answers = bytes
      for (let i = 0; i < count; i++) download()
      loop.advance(2000)
    },
    get got() {
      return got
    },
  }
}

describe.each([3, 4, 129, 250])('%i streams whose readers stand still', stalled => {
  test.each(['upload', 'download'] as const)('%s: another one has all of its bytes', way => {
    const pair = between()
    pair[way](stalled, 4 * MIB, false)
    expect(pair.got).toBe(0)
    pair[way](1, 8 * MIB, true)
    expect(pair.got).toBe(8 * MIB)
  })
})

test('a reader that takes a little and stops again holds a window and no more, however often', () => {
  let left = 0
  const streams: DownstreamStream[] = []
  const { peer } = caller(own => {
    streams.push(own)
    return { data: () => --left > 0 }
  })
  peer.feed(post(1))
  let sent = 0
  let granted = 0
  const send = () => {
    const written = Buffer.concat(peer.wire.writes.splice(0))
    for (const { type, id, payload } of parseFrames(written))
      if (type === h2.WINDOW_UPDATE && id === 1) granted += payload.readUInt32BE(0)
    for (; sent + PIECE.length <= 256 * KIB + granted; sent += PIECE.length) peer.wire.feed(data(1, PIECE))
  }
  let taken = 0
  for (let i = 0; i < 200; i++) {
    send()
    left = 3
    const before = peer.wire.account.bytes
    turn(() => streams[0]!.resume())
    taken += before - peer.wire.account.bytes
    expect(peer.wire.account.bytes).toBeLessThanOrEqual(256 * KIB)
  }
  expect(taken).toBeGreaterThan(200 * PIECE.length)
  expect(peer.resets).toEqual([])
})

test('frames of padding alone do not use up the window of their stream', () => {
  const { peer } = caller(() => ({}))
  const empty = frame(h2.DATA, h2.PADDED, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]))
  peer.feed(post(1))
  for (let i = 0; i < 4096; i++) peer.feed(empty)
  expect(peer.resets).toEqual([])
})

test('small windows of the connection serve streams that wait one after the other', () => {
  const { peer } = caller(stream => ({
    head() {
      stream.head(OK, false)
      stream.data(Buffer.alloc(256 * KIB), true)
    },
  }))
  const sent = new Map<number, number>()
  const count = () => {
    for (const { type, id, payload } of parseFrames(Buffer.concat(peer.wire.writes.splice(0))))
      if (type === h2.DATA) sent.set(id, (sent.get(id) ?? 0) + payload.length)
  }
  peer.wire.feed(Buffer.concat([settings(4, 2 ** 20), windowUpdate(0, 1), ...[1, 3, 5, 7].map(id => get(id))]))
  count()
  // The first had the first window, and waits with the others.
  sent.clear()
  for (let i = 0; i < 40; i++) {
    peer.wire.feed(windowUpdate(0, 16 * KIB))
    count()
  }
  expect([...sent.values()].sort()).toEqual(Array(4).fill(160 * KIB))
})
