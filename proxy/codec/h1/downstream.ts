import { armFor, type Clock, shorter, type Timer } from '../../core/clock.ts'
import type { DownstreamConnection, DownstreamOptions } from '../../core/codec.ts'
import { type Failure, failures } from '../../core/failure.ts'
import type { HeaderList } from '../../core/header-list.ts'
import type { DownstreamStream, Headers, Receiver, RequestHead, ResponseHead } from '../../core/message.ts'
import { sendProblem } from '../../core/problem.ts'
import { opensTunnel } from '../../core/tunnel.ts'
import type { TurnTask } from '../../core/turn.ts'
import { nextRead, type Wire, type WireHandler } from '../../core/wire.ts'
import { NO_BYTES } from '../bytes.ts'
import { OFFER } from '../hop/names.ts'
import { LINGER_MS, Linger } from '../linger.ts'
import { framingOfAnswer } from './answer-framing.ts'
import { BodyReader, type BodySink } from './body-reader.ts'
import { EarlyBytes } from './early-bytes.ts'
import { Http1Head } from './head.ts'
import { connectionLines, mayLeaveHttp } from './offer.ts'
import { broken, DONE, MORE } from './outcome.ts'
import { parseRequest } from './parse.ts'
import { CLOSE_BODY, NO_BODY, TUNNEL_BODY } from './serialize.ts'
import { CLOSED, EXCHANGE, IDLE, LINGERING, MAX_PIPELINED, READING_HEAD } from './states.ts'
import { switchLines } from './switch-lines.ts'
import { Http1Writer } from './writer.ts'

/** A connection from a caller, and its stream. Answers go in the order asked, so later requests wait in `#early`. */
export class Http1Downstream implements DownstreamConnection, DownstreamStream, WireHandler, BodySink, TurnTask {
  receiver: Receiver<RequestHead> | null = null
  readonly #wire: Wire
  readonly #onStream: (stream: DownstreamStream) => void
  readonly #options: DownstreamOptions
  readonly #head = new Http1Head()
  readonly #writer: Http1Writer
  readonly #reader: BodyReader
  readonly #clock: Clock
  readonly #timer: Timer
  #state = IDLE
  readonly #early: EarlyBytes
  #requestDone = true
  #responseDone = true
  #keepAlive = true
  /** The Connection field of the next answer if nothing else is to be said. */
  #offer: string
  #draining = false
  #idleMs: number
  #ended = false
  /** The corridor wants no more bytes of the body. */
  #paused = false
  /** What the wire was told last. */
  #stopped = false
  /** It is no HTTP connection any more: both bodies are the directions of a tunnel. */
  #isTunnel = false
  /** Between two pieces of the body; 0: off. */
  #bodyTimeoutMs = 0
  #linger: Linger | null = null

  constructor(wire: Wire, onStream: (stream: DownstreamStream) => void, options: DownstreamOptions, clock: Clock) {
    this.#wire = wire
    this.#onStream = onStream
    this.#options = options
    this.#offer = options.hopThreads ? `connection: ${OFFER}\r\n` : ''
    this.#early = new EarlyBytes(wire)
    this.#writer = new Http1Writer(wire)
    this.#reader = new BodyReader(this, options, true)
    this.#clock = clock
    this.#timer = clock.timer(() => this.#timedOut())
    wire.handler = this
    this.#idleMs = options.idleTimeoutMs
    armFor(this.#timer, this.#idleMs)
  }

  bytes(chunk: Buffer, length: number): void {
    if (this.#state === LINGERING || this.#state === CLOSED) return
    if (this.#state === EXCHANGE) {
      if (!this.#requestDone) this.#readBody(chunk, 0, length, false)
      else this.#keep(chunk, 0, length, false)
    } else if (this.#early.length === 0) this.#readHead(chunk, length, false)
    else {
      const all = this.#early.takeWith(chunk.subarray(0, length))
      this.#readHead(all, all.length, true)
    }
  }

  /**
   * Pipelined bytes wait, until the turn ends if the request was answered at once; beyond a limit their sender does.
   * `own`: no other connection reads into the chunk.
   */
  #keep(chunk: Buffer, from: number, length: number, own: boolean): void {
    if (from === length) return
    this.#early.keep(chunk.subarray(from, length), own)
    if (this.#state === IDLE || this.#isTunnel) this.#wire.turns.atEnd(this)
    else this.#updatePause()
  }

  #readHead(chunk: Buffer, length: number, own: boolean): void {
    const head = this.#head
    // Not before: telemetry still reads the head of a request that has just been answered.
    if (this.#state === IDLE) head.clear()
    const outcome = parseRequest(head, chunk, length, this.#options)
    if (outcome === DONE) return this.#begin(chunk, length, own)
    if (outcome !== MORE) return this.#refuse(outcome.failure!, outcome.detail)
    this.#early.keep(chunk.subarray(0, length), own)
    if (this.#state === READING_HEAD) return
    this.#state = READING_HEAD
    armFor(this.#timer, this.#options.headTimeoutMs)
  }

  #begin(chunk: Buffer, length: number, own: boolean): void {
    const head = this.#head
    this.#timer.cancel()
    this.#state = EXCHANGE
    this.#keepAlive = head.keepAlive
    this.#responseDone = false
    const end = head.end
    head.keep()
    if (own) this.#early.forget()
    if (head.chunked) this.#reader.beginChunked()
    else this.#reader.beginLength(Math.max(0, head.contentLength))
    // What comes behind a request for a tunnel, and its body, waits for its answer, as a pipelined request does.
    this.#requestDone = this.#reader.done
    if (head.offersUpgrade && end === length && this.#isUpgraded(head)) return
    this.#bodyTimeoutMs = this.#options.bodyTimeoutMs
    if (this.receiver === null) this.#onStream(this)
    this.receiver?.head(head, this.#requestDone)
    if (this.#state === LINGERING || this.#state === CLOSED) return
    if (this.#requestDone) this.#keep(chunk, end, length, own)
    else if (end !== length) this.#readBody(chunk, end, length, own)
    else {
      this.#wire.expect(this.#reader.expected)
      // A caller that waits for "100 Continue" waits for the upstream; the time for its body begins with that answer.
      if (!head.expectContinue || head.minorVersion === 0) armFor(this.#timer, this.#bodyTimeoutMs)
    }
  }

  /** Only the first request, with nothing behind it, may change the protocol: so no later request can. */
  #isUpgraded(head: Http1Head): boolean {
    const mayBe = this.receiver === null && !this.#draining && this.#requestDone && head.minorVersion === 1
    if (!mayBe || this.#options.onUpgrade?.(this, head, this.#wire) !== true) return false
    this.#state = CLOSED
    return true
  }

  #readBody(chunk: Buffer, from: number, length: number, own: boolean): void {
    const outcome = this.#reader.read(chunk, from, length)
    if (this.#state === LINGERING || this.#state === CLOSED) return
    if (outcome === DONE) return this.#keep(chunk, this.#reader.at, length, own)
    if (outcome === MORE) {
      this.#wire.expect(this.#isTunnel ? nextRead(length, chunk.length) : this.#reader.expected)
      // A paused body does not come because we do not read it.
      if (this.#paused) this.#timer.cancel()
      else armFor(this.#timer, this.#bodyTimeoutMs)
      return
    }
    this.#fail(outcome.failure!, outcome.detail)
  }

  bodyData(chunk: Buffer, end: boolean): void {
    if (this.#responseDone && !this.#isTunnel) return
    if (end) this.#bodyEnded()
    if (this.receiver !== null && !this.receiver.data(chunk, end) && !end) this.pause()
  }

  bodyTrailers(trailers: HeaderList): void {
    if (this.#responseDone) return
    this.#bodyEnded()
    this.receiver?.trailers(trailers)
  }

  /** Before the receiver is told, because it may answer inside that call. */
  #bodyEnded(): void {
    this.#requestDone = true
    this.#timer.cancel()
    this.#wire.expect(0)
  }

  /** The exchange is told, and answers through this stream if nothing was answered yet. */
  #fail(failure: Failure, detail: string): void {
    this.#keepAlive = false
    this.#requestDone = true
    this.#timer.cancel()
    this.receiver?.reset(failure, detail)
  }

  /** Refuses what never became a request: nothing of it reaches the corridor. */
  #refuse(failure: Failure, detail: string): void {
    this.#options.onRefused({ failure, detail, peer: this.#wire.peer, protocol: 'http/1.1' })
    // Another protocol is closed without an answer, as a wrong preface of HTTP/2 is (RFC 9113 section 3.4).
    if (detail === broken.notHttp.detail && this.receiver === null) return this.#close()
    this.#head.clear()
    this.#early.take()
    this.#keepAlive = false
    this.#requestDone = true
    this.#responseDone = false
    this.#state = EXCHANGE
    sendProblem(this, failure, detail)
  }

  ended(): void {
    if (this.#ended) return
    this.#ended = true
    // Lingering: both sides have said all; the wire closes when the last bytes have left.
    if (this.#state === CLOSED || this.#state === LINGERING) return
    if (this.#state !== EXCHANGE) return this.#close()
    if (this.#isTunnel) {
      this.bodyData(NO_BYTES, true)
      return this.#state === EXCHANGE && this.#responseDone ? this.#lingers() : undefined
    }
    // A caller that closes its side before the answer has gone away (as Envoy, nginx, Go): HTTP has no other sign.
    const detail = this.#requestDone
      ? 'the connection was closed before the answer was complete'
      : 'the connection was closed inside the request body'
    this.#gone(failures.downstreamGone, detail)
  }

  closed(error: Error | null): void {
    this.#gone(failures.downstreamGone, error === null ? 'the connection was closed' : error.message)
  }

  #gone(failure: Failure, detail: string): void {
    const running = this.#state === EXCHANGE
    this.#close()
    if (running) this.receiver?.reset(failure, detail)
  }

  drained(): void {
    this.#writer.drained()
    if (this.#state === EXCHANGE && !this.#responseDone) this.receiver?.writable()
  }

  #timedOut(): void {
    if (this.#state === READING_HEAD)
      this.#refuse(failures.headTimeout, `no whole head within ${this.#options.headTimeoutMs} ms`)
    else if (this.#state === EXCHANGE)
      this.#fail(failures.bodyTimeout, `nothing of the body for ${this.#options.bodyTimeoutMs} ms`)
    else if (this.#state !== LINGERING || this.#linger!.isOver(this.#clock.now())) this.#close()
    else this.#timer.arm(LINGER_MS)
  }

  head(head: ResponseHead, end: boolean): void {
    if (this.#state !== EXCHANGE) return
    const request = this.#head
    if (request.upgrade !== '' && this.#answersUpgrade(head)) return
    const old = request.minorVersion === 0
    if (head.status < 200) {
      // To HTTP/1.0 never (RFC 9110 section 15.2).
      if (!old) this.#writer.response(head, NO_BODY, '', NO_BODY, true)
      return old || this.#requestDone || this.#paused ? undefined : armFor(this.#timer, this.#bodyTimeoutMs)
    }
    // Both directions run: `timeouts.idle` of the service watches them together, and a caller may be quiet while its
    // answer flows.
    this.#bodyTimeoutMs = 0
    this.#timer.cancel()
    // An answer before the whole request was read: the rest would have to be read only to be dropped.
    if (this.#draining || !this.#requestDone || this.#ended || mayLeaveHttp(request, this.#early.length !== 0))
      this.#keepAlive = false
    const body = framingOfAnswer(request, head, end)
    if (body === CLOSE_BODY) this.#keepAlive = false
    const ownFailure = this.#options.hopThreads && head.ownFailure ? head.ownFailure : ''
    const connection = connectionLines(this.#keepAlive, old, this.#offer, ownFailure)
    this.#offer = ''
    // Transfer-Encoding is not shown to HTTP/1.0, not even where no body follows (RFC 9112 section 6.1).
    this.#writer.response(head, old && body === NO_BODY ? CLOSE_BODY : body, connection, body, end)
    if (end) this.#answered()
  }

  /** True: it opens the tunnel, and is written. */
  #answersUpgrade(head: ResponseHead): boolean {
    if (!opensTunnel(this.#head.upgrade, head.status)) return false
    this.#keepAlive = false
    this.#isTunnel = true
    this.#requestDone = false
    this.#bodyTimeoutMs = 0
    this.#reader.beginUntilClose()
    this.#writer.response(head, TUNNEL_BODY, switchLines(this.#head, head), TUNNEL_BODY, false)
    if (this.#early.length !== 0) this.#wire.turns.atEnd(this)
    return true
  }

  data(chunk: Buffer, end: boolean): boolean {
    if (this.#state !== EXCHANGE) return true
    const writable = this.#writer.data(chunk, end)
    if (end) this.#answered()
    return writable
  }

  trailers(trailers: Headers): void {
    if (this.#state !== EXCHANGE) return
    this.#writer.trailers(trailers)
    this.#answered()
  }

  /** Cuts the answer short, visibly: the caller must not take it for whole. */
  reset(_failure: Failure, _detail: string): void {
    if (this.#state !== EXCHANGE) return
    this.#writer.flush()
    this.#close()
  }

  #answered(): void {
    if (!this.#writer.complete) return this.#close()
    this.#responseDone = true
    if (this.#requestDone) this.#finish()
    else if (this.#isTunnel) this.#wire.end()
    else this.#lingers()
  }

  #finish(): void {
    if (!this.#keepAlive || this.#ended || mayLeaveHttp(this.#head, this.#early.length !== 0)) return this.#lingers()
    this.#state = IDLE
    this.#paused = false
    armFor(this.#timer, this.#idleMs)
    this.#updatePause()
    if (this.#early.length !== 0 || this.#head.isLarge) this.#wire.turns.atEnd(this)
  }

  /** The next request begins when the turn ends: nothing is delivered inside the call that ended the one before. */
  turnEnded(): void {
    if (this.#isTunnel && this.#state === EXCHANGE && this.#early.length !== 0) {
      const early = this.#early.take()
      this.#readBody(early, 0, early.length, true)
      return this.#updatePause()
    }
    if (this.#state !== IDLE) return
    if (this.#early.length !== 0) {
      const early = this.#early.take()
      this.#readHead(early, early.length, true)
    } else if (this.#head.isLarge) {
      // An idle connection does not keep the memory of a large head.
      this.#head.letGo()
    }
  }

  /** No more requests: says so by a half-close, and reads on for a moment what the caller still sends. */
  #lingers(): void {
    this.#state = LINGERING
    this.#early.take()
    this.#wire.expect(0)
    this.#writer.flush()
    this.#wire.end()
    this.#updatePause()
    this.#linger = new Linger(this.#wire)
    this.#linger.begin(this.#clock.now(), this.#options.idleTimeoutMs || Number.POSITIVE_INFINITY)
    this.#timer.arm(LINGER_MS)
  }

  #close(): void {
    if (this.#state === CLOSED) return
    // What is cut short must not look whole: its body may be one that ends with the connection.
    const cut = this.#state === EXCHANGE || this.#wire.unsent > 0
    this.#state = CLOSED
    this.#early.take()
    this.#timer.cancel()
    if (cut) this.#wire.reset()
    else this.#wire.destroy()
    this.#options.onClosed(this)
  }

  pause(): void {
    this.#paused = true
    if (this.#state === EXCHANGE) this.#timer.cancel()
    this.#updatePause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#state === EXCHANGE && !this.#requestDone) armFor(this.#timer, this.#bodyTimeoutMs)
    this.#updatePause()
  }

  #updatePause(): void {
    const stop = this.#state === EXCHANGE && (this.#paused || this.#early.length >= MAX_PIPELINED)
    if (stop === this.#stopped) return
    this.#stopped = stop
    if (stop) this.#wire.pause()
    else this.#wire.resume()
  }

  drain(): void {
    this.#draining = true
    this.#keepAlive = false
    if (this.#state === IDLE) this.#lingers()
  }

  retire(idleMs: number): void {
    this.#draining = true
    this.#idleMs = shorter(this.#idleMs, idleMs)
    if (idleMs > 0 && this.#state === IDLE) this.#timer.arm(this.#idleMs)
  }

  destroy(): void {
    this.#gone(failures.drained, 'the drain time is over')
  }

  overflow(detail: string): void {
    if (this.#state === EXCHANGE) this.#fail(failures.outOfRoom, detail)
    else if (this.#state === READING_HEAD) this.#refuse(failures.outOfRoom, detail)
    // What was answered before, and is not taken.
    if (this.#wire.unsent > 0) this.#close()
  }
}
