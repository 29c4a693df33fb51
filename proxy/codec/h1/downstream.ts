import type { Clock, Timer } from '../../core/clock.ts'
import type { DownstreamConnection, DownstreamOptions } from '../../core/codec.ts'
import { type Failure, failures } from '../../core/failure.ts'
import type { HeaderList } from '../../core/header-list.ts'
import type { DownstreamStream, Headers, Receiver, RequestHead, ResponseHead } from '../../core/message.ts'
import { sendProblem } from '../../core/problem.ts'
import { atTurnEnd, type TurnTask } from '../../core/turn.ts'
import type { Wire, WireHandler } from '../../core/wire.ts'
import { OFFER } from '../hop/names.ts'
import { LINGER_MS, Linger } from '../linger.ts'
import { BodyReader, type BodySink } from './body-reader.ts'
import { NO_BYTES } from './bytes.ts'
import { Gathered } from './gathered.ts'
import { Http1Head } from './head.ts'
import { broken, DONE, MORE, type Outcome } from './outcome.ts'
import { parseRequest } from './parse.ts'
import { CHUNKED_BODY, CLOSE_BODY, lengthOf, NO_BODY, roomFor, writeResponse } from './serialize.ts'
import { Http1Writer } from './writer.ts'

/** What the connection is doing; one exchange at a time. */
const IDLE = 0
const READING_HEAD = 1
const EXCHANGE = 2
/** The last answer is out; what still comes is read and dropped, so that the close does not destroy the answer on its way (RFC 9112 section 9.6). */
const LINGERING = 3
const CLOSED = 4

/** Pipelined bytes kept while an exchange runs; more wait in the sender. */
const MAX_PIPELINED = 64 * 1024
const FIRST_HEAD_BYTES = 1024
const KEPT_HEAD_BYTES = 4 * FIRST_HEAD_BYTES

/**
 * A connection from a caller, and its stream: HTTP/1.1 answers in the order asked, so pipelined requests wait in `#pending` until the one before them is answered.
 */
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
  /** Bytes that came before their time: a head that is not whole, or requests behind the one that runs. */
  #pending: Buffer = NO_BYTES
  readonly #gathered = new Gathered()
  /** Where the head lives while its exchange runs. */
  #headBytes: Buffer = NO_BYTES
  #requestDone = true
  #responseDone = true
  #keepAlive = true
  /** What the next answer says in Connection if nothing else is to be said. */
  #offer: string
  #draining = false
  #ended = false
  /** The corridor wants no more bytes of the body. */
  #paused = false
  /** What the wire was told last. */
  #stopped = false
  #linger: Linger | null = null

  constructor(wire: Wire, onStream: (stream: DownstreamStream) => void, options: DownstreamOptions, clock: Clock) {
    this.#wire = wire
    this.#onStream = onStream
    this.#options = options
    // Once a connection is enough: whoever understands it remembers.
    this.#offer = options.hopThreads ? OFFER : ''
    this.#writer = new Http1Writer(wire)
    this.#reader = new BodyReader(this, options)
    this.#clock = clock
    this.#timer = clock.timer(() => this.#timedOut())
    wire.handler = this
    this.#arm(options.idleTimeoutMs)
  }

  #arm(delayMs: number): void {
    if (delayMs > 0) this.#timer.arm(delayMs)
    else this.#timer.cancel()
  }

  // ── what is received ──

  bytes(chunk: Buffer, length: number): void {
    if (this.#state === LINGERING || this.#state === CLOSED) return
    if (this.#state === EXCHANGE) {
      if (!this.#requestDone) this.#readBody(chunk, 0, length, false)
      else this.#keep(chunk, 0, length, false)
    } else if (this.#pending.length === 0) this.#readHead(chunk, length, false)
    else {
      const all = this.#gathered.append(this.#pending, chunk.subarray(0, length))
      this.#pending = NO_BYTES
      this.#readHead(all, all.length, true)
    }
  }

  /** Pipelined bytes wait; beyond a limit their sender does. `own`: nobody else reads into the chunk. */
  #keep(chunk: Buffer, from: number, length: number, own: boolean): void {
    if (from === length) return
    const bytes = chunk.subarray(from, length)
    if (this.#pending.length !== 0) this.#pending = this.#gathered.append(this.#pending, bytes)
    else this.#pending = own ? bytes : Buffer.from(bytes)
    // Answered at once: the next one need not wait for more bytes.
    if (this.#state === IDLE) atTurnEnd(this)
    else this.#updatePause()
  }

  #readHead(chunk: Buffer, length: number, own: boolean): void {
    const head = this.#head
    // Not before: telemetry still reads the head of a request that has just been answered.
    if (this.#state === IDLE) head.clear()
    const outcome = parseRequest(head, chunk, length, this.#options)
    if (outcome === DONE) return this.#begin(chunk, length, own)
    if (outcome !== MORE) return this.#refuse(outcome.failure!, outcome.detail)
    this.#pending = own ? chunk.subarray(0, length) : Buffer.from(chunk.subarray(0, length))
    if (this.#state === READING_HEAD) return
    this.#state = READING_HEAD
    this.#arm(this.#options.headTimeoutMs)
  }

  #begin(chunk: Buffer, length: number, own: boolean): void {
    const head = this.#head
    this.#timer.cancel()
    this.#state = EXCHANGE
    this.#keepAlive = head.keepAlive
    this.#responseDone = false
    const end = head.end
    // The buffer will be read into again while the exchange still needs its head.
    if (this.#headBytes.length < end) this.#headBytes = Buffer.allocUnsafeSlow(Math.max(FIRST_HEAD_BYTES, end))
    head.keepIn(this.#headBytes)
    if (own) this.#gathered.clear()
    if (head.chunked) this.#reader.beginChunked()
    else this.#reader.beginLength(Math.max(0, head.contentLength))
    this.#requestDone = this.#reader.done
    if (head.upgrade && this.#isUpgraded(end === length)) return
    if (this.receiver === null) this.#onStream(this)
    this.receiver?.head(head, this.#requestDone)
    if (this.#state === LINGERING || this.#state === CLOSED) return
    if (this.#requestDone) this.#keep(chunk, end, length, own)
    else if (end !== length) this.#readBody(chunk, end, length, own)
    else {
      this.#wire.expect(this.#reader.expected)
      // Whoever waits for "100 Continue" waits for the upstream; the time for its body begins with that answer.
      if (!head.expectContinue || head.minorVersion === 0) this.#arm(this.#options.bodyTimeoutMs)
    }
  }

  /** `alone`: nothing came behind the request. Only the first one may change what the connection speaks, so nobody's later request can. */
  #isUpgraded(alone: boolean): boolean {
    const head = this.#head
    if (!alone || this.receiver !== null || this.#draining || !this.#requestDone || head.minorVersion === 0) return false
    if (this.#options.onUpgrade?.(this, head, this.#wire) !== true) return false
    this.#state = CLOSED
    return true
  }

  #readBody(chunk: Buffer, from: number, length: number, own: boolean): void {
    const outcome = this.#reader.read(chunk, from, length)
    if (this.#state === LINGERING || this.#state === CLOSED) return
    if (outcome === DONE) return this.#keep(chunk, this.#reader.at, length, own)
    if (outcome === MORE) {
      this.#wire.expect(this.#reader.expected)
      // A paused body does not come because we do not read it.
      if (this.#paused) this.#timer.cancel()
      else this.#arm(this.#options.bodyTimeoutMs)
      return
    }
    this.#broken(outcome)
  }

  bodyData(chunk: Buffer, end: boolean): void {
    if (this.#responseDone) return
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

  /** A body that breaks the rules: its exchange is told, and answered if no answer has begun. */
  #broken(outcome: Outcome): void {
    this.#keepAlive = false
    this.#fail(outcome.failure!, outcome.detail)
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
    // Who begins like that speaks another protocol: it is closed without a word, as a wrong preface of HTTP/2 is (RFC 9113 section 3.4).
    if (detail === broken.notHttp.detail && this.receiver === null) return this.#close()
    this.#head.clear()
    this.#pending = NO_BYTES
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
    // As Envoy, nginx and Go do: who closes its side before the answer has gone away. HTTP has no other sign of it.
    const detail = this.#requestDone ? 'the connection was closed before the answer was complete' : 'the connection was closed inside the request body'
    this.#close()
    this.receiver?.reset(failures.downstreamGone, detail)
  }

  closed(error: Error | null): void {
    const running = this.#state === EXCHANGE
    if (this.#state === CLOSED) return
    this.#close()
    if (running) this.receiver?.reset(failures.downstreamGone, error === null ? 'the connection was closed' : error.message)
  }

  drained(): void {
    this.#writer.drained()
    if (this.#state === EXCHANGE && !this.#responseDone) this.receiver?.writable()
  }

  #timedOut(): void {
    if (this.#state === READING_HEAD) this.#refuse(failures.headTimeout, `no whole head within ${this.#options.headTimeoutMs} ms`)
    else if (this.#state === EXCHANGE) this.#fail(failures.bodyTimeout, `nothing of the body for ${this.#options.bodyTimeoutMs} ms`)
    else if (this.#state !== LINGERING || this.#linger!.isOver(this.#clock.now())) this.#close()
    else this.#timer.arm(LINGER_MS)
  }

  // ── what is sent ──

  head(head: ResponseHead, end: boolean): void {
    if (this.#state !== EXCHANGE) return
    const request = this.#head
    if (head.status < 200) return this.#informational(head)
    const old = request.minorVersion === 0
    // An answer before the whole request was read: the rest would have to be read only to be dropped.
    if (this.#draining || !this.#requestDone || this.#ended) this.#keepAlive = false
    let body = request.method === 'HEAD' || head.status === 204 || head.status === 304 ? NO_BODY : end ? 0 : lengthOf(head)
    if (body === CHUNKED_BODY && old) {
      body = CLOSE_BODY
      this.#keepAlive = false
    }
    const buffer = this.#room(roomFor(head))
    const connection = this.#keepAlive ? (old ? 'keep-alive' : this.#offer) : 'close'
    this.#offer = ''
    // Transfer-Encoding is not shown to HTTP/1.0, not even where no body follows (RFC 9112 section 6.1).
    const framing = old && body === NO_BODY ? CLOSE_BODY : body
    this.#writer.begun(buffer, writeResponse(head, framing, connection, buffer), body, end)
    if (end) this.#answered()
  }

  /** 1xx heads pass through, but never to HTTP/1.0 (RFC 9110 section 15.2). */
  #informational(head: ResponseHead): void {
    if (this.#head.minorVersion === 0) return
    const buffer = this.#room(roomFor(head))
    this.#writer.begun(buffer, writeResponse(head, NO_BODY, '', buffer), NO_BODY, true)
    if (!this.#requestDone) this.#arm(this.#options.bodyTimeoutMs)
  }

  #room(needed: number): Buffer {
    const scratch = this.#writer.begin()
    return needed <= scratch.length ? scratch : Buffer.allocUnsafe(needed)
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
    this.#state = CLOSED
    this.#timer.cancel()
    this.#wire.reset()
    this.#options.onClosed(this)
  }

  #answered(): void {
    this.#responseDone = true
    if (this.#requestDone) this.#finish()
    else this.#lingers()
  }

  #finish(): void {
    if (!this.#keepAlive || this.#draining || this.#ended) return this.#lingers()
    this.#state = IDLE
    this.#paused = false
    this.#arm(this.#options.idleTimeoutMs)
    this.#updatePause()
    if (this.#pending.length !== 0 || this.#headBytes.length > KEPT_HEAD_BYTES) atTurnEnd(this)
  }

  /** The next request begins when the turn ends: nothing is delivered inside the call that ended the one before. */
  turnEnded(): void {
    if (this.#state !== IDLE) return
    const pending = this.#pending
    if (pending.length !== 0) {
      this.#pending = NO_BYTES
      this.#readHead(pending, pending.length, true)
    } else if (this.#headBytes.length > KEPT_HEAD_BYTES) {
      // An idle connection does not keep the memory of a large head, which nobody reads any more.
      this.#head.clear()
      this.#headBytes = NO_BYTES
    }
  }

  /** No more requests: says so by a half-close, and reads on for a moment what the caller still sends. */
  #lingers(): void {
    this.#state = LINGERING
    this.#pending = NO_BYTES
    this.#wire.expect(0)
    this.#writer.flush()
    this.#wire.end()
    this.#updatePause()
    // The close must not destroy an answer that a slow reader has not taken yet.
    const { idleTimeoutMs } = this.#options
    this.#linger = new Linger(this.#wire)
    this.#linger.begin(this.#clock.now(), idleTimeoutMs > 0 ? idleTimeoutMs : Number.POSITIVE_INFINITY)
    this.#timer.arm(LINGER_MS)
  }

  #close(): void {
    if (this.#state === CLOSED) return
    // What is cut short must not look whole: its body may be one that ends with the connection.
    const cut = this.#state === EXCHANGE || this.#wire.unsent > 0
    this.#state = CLOSED
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
    if (this.#state === EXCHANGE && !this.#requestDone) this.#arm(this.#options.bodyTimeoutMs)
    this.#updatePause()
  }

  #updatePause(): void {
    const stop = this.#state === EXCHANGE && (this.#paused || this.#pending.length >= MAX_PIPELINED)
    if (stop === this.#stopped) return
    this.#stopped = stop
    if (stop) this.#wire.pause()
    else this.#wire.resume()
  }

  drain(): void {
    this.#draining = true
    if (this.#state === IDLE) this.#lingers()
  }

  retire(): void {
    this.#draining = true
  }

  destroy(): void {
    const running = this.#state === EXCHANGE
    this.#close()
    if (running) this.receiver?.reset(failures.drained, 'the drain time is over')
  }
}
