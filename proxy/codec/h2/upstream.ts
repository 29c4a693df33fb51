import type { Clock } from '../../core/clock.ts'
import type { UpstreamConnection, UpstreamOptions, UpstreamOwner } from '../../core/codec.ts'
import { type Failure, failures } from '../../core/failure.ts'
import type { RequestHead, ResponseHead, UpstreamStream } from '../../core/message.ts'
import { CONNECT } from '../../core/tunnel.ts'
import type { Wire } from '../../core/wire.ts'
import { NO_BYTES } from '../bytes.ts'
import { TELLS_FAILURE } from '../hop/names.ts'
import { HOP_FRAME, HOP_RESETS } from '../hop/room.ts'
import { INTERIM_OVERHEAD } from '../interim.ts'
import { Cancels } from './cancels.ts'
import { BY_RESET, BY_RULE, BY_US, type Cause } from './cause.ts'
import { Http2Connection } from './connection.ts'
import {
  CANCEL,
  COMPRESSION_ERROR,
  MAX_STREAM_ID,
  MIN_MAX_FRAME,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
} from './frame.ts'
import { blockBytes, type HeadLimits, Http2Head } from './head.ts'
import type { Http2Options } from './options.ts'
import { PREFACE } from './preface.ts'
import { ENABLE_PUSH, firstSettings } from './settings.ts'
import type { Side } from './side.ts'
import { Http2Stream } from './stream.ts'
import { ASK, WRITE_HEAD } from './stream-state.ts'
import { receiveTrailers } from './trailers.ts'
import { OPEN } from './tunnel-state.ts'

const KEPT_STREAMS = 64

interface Asking {
  readonly stream: Http2Stream
  readonly id: number
  readonly request: RequestHead
  readonly hasBody: boolean
}

/** A connection to an endpoint, with as many streams at once as the endpoint allows. */
export class Http2Upstream implements UpstreamConnection, Side {
  readonly isClient = true
  readonly lastId = 0
  farewell = ''
  readonly #connection: Http2Connection
  readonly #owner: UpstreamOwner
  readonly #http2: Http2Options
  readonly #limits: HeadLimits
  readonly #maxInterimBytes: number
  readonly #cancels: Cancels
  readonly #free: Http2Stream[] = []
  /** Over since this turn began: used again only when the turn has ended, because their users may still be at work. */
  readonly #retired: Http2Stream[] = []
  /** Response heads are looked at inside one call only, so one serves all streams. */
  readonly #head: Http2Head
  #nextId = 1
  /** The peer takes no more streams. */
  #goneAway = false
  /** Streams at once, as the peer said last. */
  #limit = 100
  #released = false
  /** The peer's first SETTINGS have come. */
  #greeted = false
  /** Before the endpoint has said whether it takes an extended CONNECT; and those that cannot be asked over HTTP/2. */
  #asking: Asking[] = []
  #isClosed = false

  constructor(wire: Wire, owner: UpstreamOwner, options: UpstreamOptions, http2: Http2Options, clock: Clock) {
    this.#owner = owner
    this.#http2 = http2
    this.#limits = { maxHeaders: options.maxHeaders, maxHeadBytes: options.maxHeadBytes, maxTargetBytes: 0 }
    this.#head = new Http2Head(this.#limits)
    wire.bufferBytes = options.bufferBytes
    this.#maxInterimBytes = options.bufferBytes
    this.#cancels = new Cancels(http2.cancels, clock)
    const own = options.keepAliveMs === undefined ? http2 : { ...http2, keepAliveIntervalMs: options.keepAliveMs }
    const maxFrame = http2.carriesHttp1 ? HOP_FRAME : MIN_MAX_FRAME
    this.#connection = new Http2Connection(wire, this, own, clock, blockBytes(options.maxHeadBytes), maxFrame, false)
    const settings = firstSettings(this.#connection, options, http2.carriesHttp1 ? 1 : 0, [
      ENABLE_PUSH,
      0,
      TELLS_FAILURE,
      1,
    ])
    this.#connection.begin(Buffer.concat([PREFACE, settings]))
    this.#connection.standForMany(http2.carriesHttp1 ? HOP_RESETS : null)
  }

  // ── requests ──

  get capacity(): number {
    const connection = this.#connection
    if (this.#goneAway || !connection.isOpen || this.#nextId > MAX_STREAM_ID) return 0
    return Math.max(0, this.limit - connection.streams.size)
  }

  get limit(): number {
    return Math.min(this.#connection.peer.maxConcurrentStreams, this.#http2.maxUpstreamStreams)
  }

  /** Streams that run. */
  get active(): number {
    return this.#connection.streams.size
  }

  /** The endpoint takes extended CONNECT (RFC 8441); known once its SETTINGS have come. */
  get extendedConnect(): boolean {
    return this.#connection.peer.extendedConnect
  }

  get hopThreads(): number {
    return this.#greeted ? this.#connection.peer.hopThreads : -1
  }

  open(): UpstreamStream {
    const stream = this.#free.pop() ?? new Http2Stream(this.#connection, this.#head)
    stream.open(this.#nextId)
    this.#connection.streams.set(this.#nextId, stream)
    this.#connection.chatter.give(4)
    this.#nextId += 2
    return stream
  }

  /** Said to sidecars only. */
  get #source(): string {
    return this.#connection.peer.tellsFailure ? this.#http2.source() : ''
  }

  writeHead(stream: Http2Stream, head: RequestHead | ResponseHead, end: boolean): void {
    const request = head as RequestHead
    stream.method = request.method
    stream.upgrade = request.upgrade
    const { authority, upgrade } = request
    const isExtended = upgrade !== '' && upgrade !== CONNECT
    // Nothing of a body goes where no head went.
    if (authority === '' || (isExtended && (!this.extendedConnect || request.method !== 'GET' || !end))) {
      stream.step(ASK)
      this.#asking.push({ stream, id: stream.id, request, hasBody: !end })
      this.#connection.out()
      return
    }
    stream.step(WRITE_HEAD)
    const source = this.#source
    if (this.#http2.carriesHttp1) this.#connection.out().carriedRequest(stream.id, request, end, source)
    else this.#connection.out().request(stream.id, request, end && upgrade === '', source)
  }

  /**
   * Requests for an extended CONNECT go on, or not, as soon as the endpoint has said whether it takes one (RFC 8441
   * section 3).
   */
  #answerAsking(): void {
    const connection = this.#connection
    if (this.#asking.length === 0 || !connection.peer.isKnown) return
    const asking = this.#asking
    this.#asking = []
    for (const { stream, id, request, hasBody } of asking) {
      if (stream.closed || stream.id !== id) continue
      // HTTP/1.1 may come without a host. An endpoint resets such a request, and would be blamed for that.
      if (request.authority === '')
        stream.fail(failures.badRequest, 'no host, which HTTP/2 cannot do without (RFC 9113 section 8.3.1)', false)
      // An extended CONNECT has no place for another method.
      else if (request.method !== 'GET')
        stream.fail(failures.upgradeUnsupported, `${request.method}: only a GET can be upgraded over HTTP/2`, false)
      else if (hasBody)
        stream.fail(failures.upgradeUnsupported, 'a request with a body cannot be upgraded over HTTP/2', false)
      else if (!this.extendedConnect)
        stream.fail(failures.upgradeUnsupported, 'no SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 section 3)', false)
      else if (this.#nextId > MAX_STREAM_ID) stream.fail(failures.refusedStream, '', false)
      else {
        // Streams open in the order of their ids (RFC 9113 section 5.1.1), and others may have opened since.
        connection.streams.delete(id)
        stream.id = this.#nextId
        this.#nextId += 2
        connection.streams.set(stream.id, stream)
        stream.step(WRITE_HEAD)
        connection.out().request(stream.id, request, false, this.#source)
      }
    }
  }

  sent(stream: Http2Stream): void {
    if (stream.tunnel >= OPEN && stream.input.handedEnd) this.#connection.finish(stream, false)
  }

  reset(stream: Http2Stream): void {
    const connection = this.#connection
    stream.receiver = null
    // A stream that never began is not named to the peer (RFC 9113 section 5.1); its id is passed over.
    if (connection.isOpen && stream.headSent) this.#sendReset(stream, CANCEL)
    connection.finish(stream, true)
  }

  get worn(): boolean {
    return this.#cancels.isWorn
  }

  #sendReset(stream: Http2Stream, code: number): void {
    this.#connection.out().reset(stream.id, code)
    this.#cancels.sent(this.#used)
  }

  get #used(): number {
    return (this.#nextId - 1) / 2
  }

  /** It resets its own streams, and none that we have not opened. */
  forgives(): boolean {
    return true
  }

  // ── answers ──

  headers(
    id: number,
    stream: Http2Stream | null,
    b: Buffer,
    from: number,
    to: number,
    end: boolean,
    problem: string,
  ): void {
    const connection = this.#connection
    const head = this.#head
    head.clear(this.#limits)
    if (!connection.decoder.decode(b, from, to, head))
      return connection.connectionError(COMPRESSION_ERROR, 'a header block that cannot be decoded (RFC 7541)', null)
    if (stream === null) return connection.closedStreamFrame(id, 'HEADERS')
    if (!stream.headSent) return connection.connectionError(PROTOCOL_ERROR, 'an answer before the request', null)
    if (problem !== '') return connection.streamError(stream, PROTOCOL_ERROR, problem)
    if (stream.headReceived) return receiveTrailers(stream, head, end, stream.tunnel >= OPEN)
    head.finishResponse()
    if (!connection.peer.tellsFailure) head.ownFailure = ''
    if (head.problem !== '') return connection.streamError(stream, PROTOCOL_ERROR, head.problem)
    if (head.tooLarge)
      return connection.streamError(stream, PROTOCOL_ERROR, 'more fields or bytes in the head than are taken')
    if (head.status < 200) return this.#informational(stream, end)
    const opensTunnel = stream.upgrade !== '' && head.status < 300
    stream.input.headCame(end && !opensTunnel)
    if (opensTunnel) return this.#opened(stream, end)
    const isBodiless = stream.method === 'HEAD' || head.status === 204 || head.status === 304
    stream.input.expected = isBodiless ? 0 : head.contentLength
    if (end && stream.input.expected > 0)
      return connection.streamError(
        stream,
        PROTOCOL_ERROR,
        'Content-Length is not the length of the body (RFC 9113 section 8.1.1)',
      )
    stream.receiver?.head(head, end)
    if (end && !stream.closed) this.received(stream)
  }

  /** 2xx is what 101 is in HTTP/1.1 (RFC 8441 section 4). */
  #opened(stream: Http2Stream, end: boolean): void {
    const head = this.#head
    if (stream.upgrade !== CONNECT) head.status = 101
    head.delete('content-length')
    stream.openTunnel()
    stream.receiver?.head(head, false)
    if (end && !stream.closed) stream.input.receive(NO_BYTES, 0, 0, true)
  }

  #informational(stream: Http2Stream, end: boolean): void {
    stream.interimBytes += this.#head.size + INTERIM_OVERHEAD
    if (end || stream.interimBytes > this.#maxInterimBytes)
      return this.#connection.streamError(
        stream,
        PROTOCOL_ERROR,
        'interim heads without a final one (RFC 9113 section 8.1)',
      )
    stream.receiver?.head(this.#head, false)
  }

  received(stream: Http2Stream): void {
    const connection = this.#connection
    const { localEnded } = stream
    if (stream.tunnel >= OPEN && !localEnded) return
    // Answered before the request was whole: what is still to be sent is not wanted.
    if (!localEnded && connection.isOpen) this.#sendReset(stream, NO_ERROR)
    connection.finish(stream, !localEnded)
  }

  isOver(): boolean {
    return false
  }

  failure(stream: Http2Stream, cause: Cause, code: number): Failure {
    // Refused before anything was done with it: it may go elsewhere, whatever it is (RFC 9113 section 8.7).
    if (cause === BY_RESET && code === REFUSED_STREAM) return failures.refusedStream
    if (cause === BY_US && !stream.headSent) return failures.goawayUnprocessed
    if (cause === BY_RESET) return stream.headReceived ? failures.streamResetAfterResponse : failures.streamReset
    if (cause === BY_RULE) this.#cancels.sent(this.#used)
    if (stream.headReceived) return failures.resetAfterResponse
    return cause === BY_RULE ? failures.upstreamProtocolError : failures.resetBeforeResponse
  }

  finished(stream: Http2Stream): void {
    stream.receiver = null
    this.#retired.push(stream)
    this.#released = true
    this.#connection.out()
  }

  get #isOverForNew(): boolean {
    return this.#goneAway || this.#nextId > MAX_STREAM_ID
  }

  isIdle(id: number): boolean {
    return (id & 1) === 0 || id >= this.#nextId
  }

  // ── the connection ──

  settingsChanged(): void {
    this.#answerAsking()
    const { streams, peer } = this.#connection
    // A request that waits for a stream may have one now.
    if (streams.size >= this.#limit && this.capacity > 0) this.#released = true
    this.#limit = peer.maxConcurrentStreams
    // The pool waits to hear whether the endpoint is a sidecar.
    if (this.#http2.carriesHttp1 && !this.#greeted) this.#released = true
    this.#greeted = true
  }

  goaway(lastId: number, detail: string): void {
    const connection = this.#connection
    this.#goneAway = true
    this.farewell = detail
    // Never looked at: they go elsewhere, and say nothing against the endpoint (RFC 9113 section 6.8).
    for (const stream of [...connection.streams.values()])
      if (stream.id > lastId) stream.fail(failures.goawayUnprocessed, detail, true)
    connection.out()
  }

  turnEnded(): void {
    this.#answerAsking()
    while (this.#retired.length !== 0) {
      const stream = this.#retired.pop()!
      if (this.#free.length < KEPT_STREAMS) this.#free.push(stream)
    }
    // Once the peer has gone away, or the ids are used up, the last stream closes the connection.
    if (this.#isOverForNew && this.#connection.streams.size === 0 && this.#connection.isOpen) return this.#close()
    if (!this.#released) return
    // Now and not at once: a waiter that gets the freed stream must not begin inside a call of its last user.
    this.#released = false
    if (this.capacity > 0) this.#owner.released(this)
  }

  #close(): void {
    this.#connection.destroy(BY_US, '')
  }

  destroy(): void {
    this.#connection.destroy(BY_US, 'the connection was given up')
  }

  refused(): void {}

  closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#free.length = 0
    this.#owner.closed(this, !this.#connection.wasBusy)
  }

  blockBegun(): void {}

  drainAnswered(): void {}

  sweep(): void {}
}
