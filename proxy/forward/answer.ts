import type { Clock, Timer } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { DownstreamStream, Headers, Receiver, ResponseHead, UpstreamStream } from '../core/message.ts'
import type { Down } from './bodies.ts'

/** What the attempts are told of the answer of the one that won. */
export interface AnswerAttempts {
  trailersCame(trailers: Headers): void
  /** It is out whole (null), or broke off. */
  ended(failure: Failure | null, detail: string): void
  cancel(failure: Failure): void
}

/** The rest of the exchange, as its answer sees it. */
export interface AnswerOwner {
  readonly exchange: Exchange
  readonly stream: DownstreamStream
  /** Where the answer goes once it was announced. */
  readonly down: Down
  readonly attempts: AnswerAttempts
  /** The one way down for a final head: through the response filters, which may change `down`, to the caller. */
  sendHead(response: ResponseHead, end: boolean): void
  /** The answer has handed the stream over: both receivers change. */
  openTunnel(): void
  fail(failure: Failure, detail: string): void
  /** Ends an answer that has begun, so that it is not taken for whole. */
  cut(failure: Failure, detail: string): void
  /** The answer has been said to its end. */
  said(failure: Failure | null, detail: string): void
  complete(failure: Failure | null, detail: string): void
  /** The rest of the request body may come. */
  resumeBody(): void
}

/**
 * The answer of the attempt that won, on its way down: head, body, trailers, and what to do when it breaks off. Until
 * there is one, only the idle time runs here.
 */
export class Answer implements Receiver<ResponseHead> {
  readonly #owner: AnswerOwner
  readonly #clock: Clock
  readonly #idle: Timer
  /** When something moved last, in either direction: cheaper to note for each chunk than to set the timer anew. */
  movedAt = 0
  /** The caller has stopped reading. */
  #blocked = false
  /** The endpoint has stopped reading. */
  #isHeldUp = false

  constructor(owner: AnswerOwner, clock: Clock) {
    this.#owner = owner
    this.#clock = clock
    this.#idle = clock.timer(() => this.#idled())
  }

  /** Before each request. */
  clear(): void {
    this.#blocked = false
    this.#isHeldUp = false
  }

  /** A piece of the request went up; `writable`: more may follow. */
  requestMoved(writable: boolean): void {
    this.movedAt = this.#clock.now()
    this.#isHeldUp = !writable
  }

  /** The request is on its way: from now on something must move. */
  awaited(now: number): void {
    const { idleTimeoutMs } = this.#owner.exchange.route!
    this.movedAt = now
    this.#isHeldUp = false
    if (idleTimeoutMs !== 0) this.#idle.arm(idleTimeoutMs)
  }

  /** The attempt on this stream has won: from here on what comes on it comes here. */
  begin(upstream: UpstreamStream, response: ResponseHead, end: boolean, opensTunnel: boolean): void {
    upstream.receiver = this
    this.#owner.sendHead(response, end)
    this.movedAt = this.#owner.exchange.firstByteAt
    if (opensTunnel) {
      this.#idle.cancel()
      this.#owner.openTunnel()
    } else if (end) this.#finished()
  }

  /** It has been: the codec delivers one final head, which the attempt got. */
  head(): void {}

  data(chunk: Buffer, end: boolean): boolean {
    const { exchange, down, stream } = this.#owner
    this.movedAt = this.#clock.now()
    // A sink may make more or less of it.
    if (down === stream) exchange.bytesOut += chunk.length
    const writable = down.data(chunk, end)
    if (end) this.#finished()
    this.#blocked = !writable
    return writable
  }

  trailers(trailers: Headers): void {
    this.#owner.attempts.trailersCame(trailers)
    this.#owner.down.trailers(trailers)
    this.#finished()
  }

  #finished(): void {
    this.#owner.attempts.ended(null, '')
    this.#owner.said(null, '')
  }

  reset(failure: Failure, detail: string): void {
    this.#owner.attempts.ended(failure, detail)
    this.#owner.cut(failure, detail)
    this.#owner.complete(failure, detail)
  }

  /** The caller reads again. */
  unblocked(): void {
    this.#blocked = false
    this.movedAt = this.#clock.now()
  }

  /** The request's side may write again. */
  writable(): void {
    this.requestMoved(true)
    this.#owner.resumeBody()
  }

  stop(): void {
    this.#idle.cancel()
  }

  /** Whose turn it was. */
  get #idleFailure(): Failure {
    if (this.#blocked) return failures.downstreamIdle
    return this.#isHeldUp || this.#owner.exchange.requestEndedAt !== 0 ? failures.upstreamIdle : failures.streamIdle
  }

  #idled(): void {
    const { idleTimeoutMs } = this.#owner.exchange.route!
    const left = this.movedAt + idleTimeoutMs - this.#clock.now()
    if (left > 0) return this.#idle.arm(left)
    const failure = this.#idleFailure
    this.#owner.attempts.cancel(failure)
    this.#owner.fail(failure, `nothing moved for ${idleTimeoutMs} ms`)
  }
}
