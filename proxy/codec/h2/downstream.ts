import type { Clock } from '../../core/clock.ts'
import type { DownstreamConnection, DownstreamOptions } from '../../core/codec.ts'
import { type Failure, failures } from '../../core/failure.ts'
import type { DownstreamStream, RequestHead, ResponseHead } from '../../core/message.ts'
import { sendProblem } from '../../core/problem.ts'
import { opensTunnel } from '../../core/tunnel.ts'
import type { Wire } from '../../core/wire.ts'
import { TELLS_FAILURE } from '../hop/names.ts'
import { HOP_FRAME, HOP_RESETS } from '../hop/room.ts'
import { CallerTimes } from './caller-times.ts'
import { BY_RULE, BY_US, type Cause } from './cause.ts'
import { Http2Connection } from './connection.ts'
import {
  CANCEL,
  COMPRESSION_ERROR,
  INTERNAL_ERROR,
  MAX_STREAM_ID,
  MIN_MAX_FRAME,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
} from './frame.ts'
import { SWITCHING, type Upgraded } from './h2c.ts'
import { blockBytes, Http2Head } from './head.ts'
import { EARLY_MS, type Http2Options } from './options.ts'
import { DRAIN_PING } from './pings.ts'
import { type Excess, excessOf } from './request-limits.ts'
import { ENABLE_CONNECT_PROTOCOL, firstSettings, MAX_CONCURRENT_STREAMS } from './settings.ts'
import type { Side } from './side.ts'
import { Http2Stream } from './stream.ts'
import { BODILESS, WRITE_BODILESS_HEAD, WRITE_HEAD } from './stream-state.ts'
import { receiveTrailers } from './trailers.ts'
import { OPEN } from './tunnel-state.ts'

/**
 * Streams without a request that are kept for the next ones, with what their receivers made; one only when the
 * connection has been quiet.
 */
const KEPT_STREAMS = 64
/**
 * Heads of streams that are not served are decoded into it, because the table must see them, and trailers. It is looked
 * at inside one call only, so one serves all connections.
 */
const discard = new Http2Head({ maxHeaders: 0, maxHeadBytes: 0, maxTargetBytes: 0 })

/** A connection from a caller. */
export class Http2Downstream implements DownstreamConnection, Side {
  readonly isClient = false
  readonly farewell = ''
  lastId = 0
  readonly #connection: Http2Connection
  readonly #onStream: (stream: DownstreamStream) => void
  readonly #options: DownstreamOptions
  readonly #http2: Http2Options
  readonly #clock: Clock
  readonly #free: Http2Stream[] = []
  #draining = false
  /** The last GOAWAY named this id: streams above it were never looked at. */
  #lastAccepted = MAX_STREAM_ID
  #drainDueAt = 0
  #callerLeaves = false
  /** The caller has said something. */
  #isBegun = false
  readonly #times: CallerTimes

  constructor(
    wire: Wire,
    onStream: (stream: DownstreamStream) => void,
    options: DownstreamOptions,
    http2: Http2Options,
    clock: Clock,
    upgraded: Upgraded | null,
  ) {
    this.#onStream = onStream
    this.#options = options
    this.#http2 = http2
    this.#clock = clock
    const maxFrame = options.hopThreads ? HOP_FRAME : MIN_MAX_FRAME
    this.#connection = new Http2Connection(wire, this, http2, clock, blockBytes(options.maxHeadBytes), maxFrame, true)
    const settings = firstSettings(this.#connection, options, options.hopThreads ?? 0, [
      MAX_CONCURRENT_STREAMS,
      options.maxStreams,
      ...(options.hopThreads ? [TELLS_FAILURE, 1] : []),
      ...(http2.extendedConnect ? [ENABLE_CONNECT_PROTOCOL, 1] : []),
    ])
    this.#connection.begin(upgraded === null ? settings : Buffer.concat([SWITCHING, settings]))
    this.#times = new CallerTimes(this.#connection, options)
    this.#times.idleBegun(clock.now())
    if (upgraded !== null) this.#adopt(upgraded)
  }

  /**
   * The request that came as HTTP/1.1 is stream 1, and its settings are acknowledged by the 101 (RFC 7540 section
   * 3.2.1).
   */
  #adopt({ head, settings }: Upgraded): void {
    const connection = this.#connection
    connection.line.holdBack()
    connection.peer.read(settings, 0, settings.length, false)
    connection.writer.peerSettings(connection.peer.maxFrameBytes, connection.peer.headerTableBytes)
    this.lastId = 1
    this.#isBegun = true
    const stream = new Http2Stream(connection, head)
    stream.open(1)
    connection.streams.set(1, stream)
    stream.input.headCame(true)
    stream.method = head.method
    stream.input.expected = head.contentLength
    this.#onStream(stream)
    stream.receiver?.head(head, true)
  }

  // ── requests ──

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
    if (stream !== null) return this.#trailers(stream, b, from, to, end)
    const isNew = (id & 1) === 1 && id > this.lastId
    if (!isNew || id > this.#lastAccepted || connection.streams.size >= this.#options.maxStreams)
      return this.#unwanted(id, isNew, b, from, to)
    this.lastId = id
    this.#isBegun = true
    connection.chatter.give(4)
    const opened = this.#open(id)
    const head = opened.incoming
    if (!connection.decoder.decode(b, from, to, head))
      return connection.connectionError(COMPRESSION_ERROR, MALFORMED_BLOCK, null)
    head.finishRequest()
    opened.input.headCame(end)
    opened.method = head.method
    opened.input.expected = head.contentLength
    if (problem === '') problem = head.problem
    if (problem !== '' && !head.tooLarge) return this.#malformed(opened, problem)
    const excess = excessOf(head, this.#options.maxTargetBytes)
    if (excess !== null) return this.#refuse(opened, excess)
    if (end && head.contentLength > 0)
      return this.#malformed(opened, 'Content-Length is not the length of the body (RFC 9113 section 8.1.1)')
    opened.upgrade = head.upgrade
    if (head.upgrade !== '') {
      opened.mayBeQuiet = true
      opened.shut(end)
    } else if (!end) this.#times.bodyBegun(opened, opened.openedAt)
    if (opened.receiver === null) this.#onStream(opened)
    opened.receiver?.head(head, end || head.upgrade !== '')
  }

  #open(id: number): Http2Stream {
    const stream = this.#free.pop() ?? new Http2Stream(this.#connection, new Http2Head(this.#options))
    stream.incoming.clear(this.#options)
    stream.open(id)
    stream.openedAt = this.#clock.now()
    this.#connection.streams.set(id, stream)
    return stream
  }

  /** A head on a stream that cannot be opened: decoded all the same, because the table of all others depends on it. */
  #unwanted(id: number, isNew: boolean, b: Buffer, from: number, to: number): void {
    const connection = this.#connection
    discard.clear(this.#options)
    if (!connection.decoder.decode(b, from, to, discard))
      return connection.connectionError(COMPRESSION_ERROR, MALFORMED_BLOCK, null)
    if (isNew) {
      this.lastId = id
      // After the GOAWAY that named the last one: ignored, as RFC 9113 section 6.8 says.
      if (id > this.#lastAccepted || !connection.mayReset()) return
      connection.closedStreams.add(id, true)
      connection.reply().reset(id, REFUSED_STREAM)
      return
    }
    const how = connection.closedStreams.find(id)
    if (how === 'reset') return
    const isClosed = how === 'ended'
    connection.connectionError(
      isClosed ? STREAM_CLOSED : PROTOCOL_ERROR,
      isClosed
        ? 'HEADERS after the end of the stream (RFC 9113 section 5.1)'
        : 'a stream id that is even, or below one used before (RFC 9113 section 5.1.1)',
      null,
    )
  }

  #trailers(stream: Http2Stream, b: Buffer, from: number, to: number, end: boolean): void {
    const connection = this.#connection
    discard.clear(this.#options)
    if (!connection.decoder.decode(b, from, to, discard))
      return connection.connectionError(COMPRESSION_ERROR, MALFORMED_BLOCK, null)
    receiveTrailers(stream, discard, end, stream.upgrade !== '')
  }

  /** Nothing of it reaches the corridor (RFC 9113 section 8.1.1). */
  #malformed(stream: Http2Stream, detail: string): void {
    const connection = this.#connection
    this.#tellRefused(failures.badRequest, detail)
    stream.silence()
    if (connection.mayReset()) connection.reply().reset(stream.id, PROTOCOL_ERROR)
    connection.finish(stream, true)
  }

  #refuse(stream: Http2Stream, { failure, detail }: Excess): void {
    this.#tellRefused(failure, detail)
    sendProblem(stream, failure, detail)
  }

  #tellRefused(failure: Failure, detail: string): void {
    this.#options.onRefused({ failure, detail, peer: this.#connection.wire.peer, protocol: 'h2' })
  }

  isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.lastId
  }

  // ── answers ──

  writeHead(stream: Http2Stream, head: RequestHead | ResponseHead, end: boolean): void {
    const response = head as ResponseHead
    const { status } = response
    if (opensTunnel(stream.upgrade, status)) {
      stream.step(WRITE_HEAD)
      response.headers.delete('content-length')
      stream.openTunnel()
    } else if (status >= 200) {
      // Both directions run: `timeouts.idle` of the service watches them together.
      stream.mayBeQuiet = true
      const isBodiless = stream.method === 'HEAD' || status === 204 || status === 304
      stream.step(isBodiless ? WRITE_BODILESS_HEAD : WRITE_HEAD)
    } else if (!stream.remoteEnded) this.#times.bodyInvited(stream, this.#clock.now())
    // For callers that are sidecars, where they are told that this is one.
    if (response.ownFailure && !(this.#options.hopThreads && this.#connection.peer.tellsFailure))
      response.ownFailure = ''
    const hasBody = !end && stream.goes !== BODILESS && status >= 200
    if (stream.carried) this.#connection.out().carriedResponse(stream.id, response, end, hasBody)
    else this.#connection.out().response(stream.id, response, end)
  }

  sent(stream: Http2Stream): void {
    const connection = this.#connection
    const { remoteEnded } = stream
    if (stream.tunnel >= OPEN) return stream.input.handedEnd ? connection.finish(stream, false) : undefined
    // The answer is whole and the request is not: the rest of it is not wanted, and that is no error (RFC 9113 section
    // 8.1).
    if (!remoteEnded) connection.out().reset(stream.id, NO_ERROR)
    connection.finish(stream, !remoteEnded)
  }

  received(stream: Http2Stream): void {
    if (stream.tunnel >= OPEN && stream.localEnded) this.#connection.finish(stream, false)
  }

  isOver(stream: Http2Stream): boolean {
    return stream.sendDone && stream.tunnel < OPEN
  }

  forgives(stream: Http2Stream): boolean {
    return stream.headSent || this.#clock.now() - stream.openedAt >= EARLY_MS
  }

  reset(stream: Http2Stream, failure: Failure): void {
    if (this.isOver(stream)) return
    // Clients of gRPC take INTERNAL_ERROR for a broken server, and CANCEL for a call that ended as its caller wanted.
    const isCancelled = stream.tunnel >= OPEN || failure === failures.streamDeadline
    const code = isCancelled
      ? CANCEL
      : failure.replay === 'unsent' && !stream.headSent
        ? REFUSED_STREAM
        : INTERNAL_ERROR
    if (this.#connection.isOpen) this.#connection.out().reset(stream.id, code)
    this.#connection.finish(stream, true)
  }

  failure(_stream: Http2Stream, cause: Cause): Failure {
    if (cause === BY_RULE) return failures.badRequest
    return cause === BY_US ? failures.drained : failures.downstreamGone
  }

  finished(stream: Http2Stream): void {
    const connection = this.#connection
    // A stream whose receiver waits in another one's chain is not given away inside it: the next head comes from the
    // event loop.
    if (this.#free.length < KEPT_STREAMS) this.#free.push(stream)
    if (connection.streams.size !== 0) return
    if (this.#mayClose) {
      connection.out()
      return
    }
    if (connection.isOpen) this.#times.idleBegun(this.#clock.now())
  }

  // ── the connection ──

  settingsChanged(): void {
    // A parameter that anybody may send means nothing where the hop was not offered.
    if (!this.#isBegun && this.#options.hopThreads && this.#connection.peer.hopThreads !== 0)
      this.#connection.standForMany(HOP_RESETS)
    this.#isBegun = true
  }

  goaway(): void {
    // It is about streams that we would open; the caller's own are answered, and then nothing more is to be expected
    // (RFC 9113 section 6.8).
    this.#callerLeaves = true
    this.#connection.out()
  }

  /**
   * First a GOAWAY that names no stream, so that what is under way is still served; the last id follows a round trip
   * later (RFC 9113 section 6.8).
   */
  drain(): void {
    const connection = this.#connection
    if (this.#draining || !connection.isOpen) return
    this.#draining = true
    connection.out().goaway(MAX_STREAM_ID, NO_ERROR, '')
    connection.ping(DRAIN_PING)
    this.#drainDueAt = this.#clock.now() + this.#http2.drainPatienceMs
    connection.wake(this.#drainDueAt)
  }

  /** An idle connection goes at once, and no request is lost by it: what crosses the first GOAWAY is still served. */
  retire(): void {
    this.drain()
  }

  drainAnswered(): void {
    const connection = this.#connection
    if (!this.#draining || this.#lastAccepted !== MAX_STREAM_ID) return
    this.#drainDueAt = 0
    this.#lastAccepted = this.lastId
    connection.out().goaway(this.lastId, NO_ERROR, '')
  }

  turnEnded(): void {
    const connection = this.#connection
    if (this.#mayClose && connection.streams.size === 0 && connection.isOpen) connection.finishWriting(this.#patienceMs)
  }

  /** For the last answers, which a slow reader may not have taken yet. */
  get #patienceMs(): number {
    return this.#options.idleTimeoutMs > 0 ? this.#options.idleTimeoutMs : Number.POSITIVE_INFINITY
  }

  /** As soon as no stream runs. */
  get #mayClose(): boolean {
    return this.#callerLeaves || this.#lastAccepted !== MAX_STREAM_ID
  }

  refused(failure: Failure, detail: string): void {
    this.#tellRefused(failure, detail)
  }

  destroy(): void {
    this.#connection.destroy(BY_US, 'the drain time is over')
  }

  closed(): void {
    this.#free.length = 0
    this.#options.onClosed(this)
  }

  // ── time ──

  blockBegun(now: number): void {
    this.#times.blockBegun(now)
  }

  sweep(now: number): void {
    const connection = this.#connection
    if (this.#drainDueAt !== 0) {
      if (now >= this.#drainDueAt) this.drainAnswered()
      else connection.wake(this.#drainDueAt)
    }
    this.#times.sweepHead(now)
    if (connection.isOpen && connection.streams.size === 0) {
      // Quiet for a while: one stream is enough to begin with again.
      if (this.#free.length > 1) this.#free.length = 1
      if (this.#times.isIdleOver(now, this.#isBegun)) this.#closeIdle()
    }
    this.#times.sweepStreams(now)
  }

  #closeIdle(): void {
    const connection = this.#connection
    if (!connection.hasPreface) return connection.lost('no connection preface in time')
    connection.out().goaway(this.lastId, NO_ERROR, '')
    connection.finishWriting(this.#patienceMs)
  }
}

const MALFORMED_BLOCK = 'a header block that cannot be decoded (RFC 7541)'
