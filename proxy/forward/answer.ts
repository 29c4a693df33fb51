import type { Clock, Timer } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { DownstreamStream, Headers, Receiver, ResponseHead } from '../core/message.ts'
import { opensTunnel } from '../core/tunnel.ts'
import type { Attempts } from './attempts.ts'
import type { Down } from './bodies.ts'

/** The rest of the exchange, as its answer sees it. */
export interface AnswerOwner {
  readonly exchange: Exchange
  readonly stream: DownstreamStream
  /** Where the answer goes once it was announced. */
  readonly down: Down
  readonly attempts: Attempts
  /** A final head goes down: runs the response filters, and may change `down`. */
  answering(response: ResponseHead): void
  /** The answer has handed the stream over: both receivers change. */
  openTunnel(): void
  fail(failure: Failure, detail: string): void
  /** Ends an answer that has begun, so that nobody takes it for whole. */
  cut(failure: Failure, detail: string): void
  /** The answer has been said to its end. */
  said(failure: Failure | null, detail: string): void
  complete(failure: Failure | null, detail: string): void
  /** The rest of the request body may come. */
  resumeBody(): void
}

/** The upstream's answer on its way down: head, body, trailers, and what to do when it breaks off. */
export class Answer implements Receiver<ResponseHead> {
  readonly #owner: AnswerOwner
  readonly #clock: Clock
  readonly #idle: Timer
  #begun = false
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
    this.#begun = false
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

  head(response: ResponseHead, end: boolean): void {
    const { exchange, stream, attempts } = this.#owner
    const { status } = response
    if (status < 200 && status !== 101) {
      if (status === 100) attempts.clock.continued()
      return stream.head(response, false)
    }
    const now = this.#clock.now()
    attempts.headCame(response, now)
    if (attempts.retriesAnswer(response, now)) return
    // It holds for the attempt, and not for the others there may have been.
    if (response.unsent) response.unsent = ''
    const { upgrade } = exchange.request
    const opens = opensTunnel(upgrade, status)
    // A page in answer to an extended CONNECT would be read as what was asked for (RFC 8441 section 4).
    if (upgrade !== '' && !opens && status < 300 && exchange.protocol === 'h2')
      return attempts.refuse(failures.upgradeIgnored, `status ${status}`)
    this.#begun = true
    exchange.firstByteAt = now
    attempts.committed(response)
    this.#owner.answering(response)
    this.#owner.down.head(response, end)
    this.movedAt = now
    if (opens) {
      this.#idle.cancel()
      this.#owner.openTunnel()
    } else if (end) this.#finished()
  }

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
    const { attempts } = this.#owner
    if (!this.#begun) return attempts.failed(failure, detail)
    attempts.ended(failure, detail)
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
