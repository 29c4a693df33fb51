import type { Attempt } from '../core/attempt.ts'
import type { Clock, Random, Timer } from '../core/clock.ts'
import { type AttemptRecord, NO_ATTEMPT } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Failure, failures, isFailure } from '../core/failure.ts'
import type { Receiver, RequestHead, ResponseHead, UpstreamStream } from '../core/message.ts'
import type { PoolWaiter } from '../core/pool.ts'
import { HeadOverlay, overlayGrpc, overlayRetry, overlayTrace } from './head-overlay.ts'

/** The request, and what follows from what its attempts tell. */
export interface RequestAttemptOwner {
  readonly exchange: Exchange
  /** There is a stream: the request goes out on it. */
  sending(attempt: RequestAttempt, stream: UpstreamStream): void
  /** The endpoint takes more of the request. */
  writable(): void
  /** The time of an attempt is over. False: it did not run. */
  isTryLate(): boolean
  /** What is left of the time of the request. */
  leftMs(now: number): number
  interim(response: ResponseHead): void
  answered(attempt: RequestAttempt, response: ResponseHead, end: boolean): void
  failed(attempt: RequestAttempt, failure: Failure, detail: string): void
}

/**
 * One try of a request at one endpoint: its stream, its record, its time (`timeouts.perTry`), and what it adds to the
 * head. It receives what the endpoint says until a final head comes; the answer of the one that wins goes to `Answer`.
 */
export class RequestAttempt implements Attempt, PoolWaiter, Receiver<ResponseHead> {
  record: AttemptRecord = NO_ATTEMPT
  stream: UpstreamStream | null = null
  readonly #owner: RequestAttemptOwner
  readonly #clock: Clock
  readonly #random: Random
  readonly #time: Timer
  /** A connection is waited for. */
  #isWaiting = false
  /** Null: no head ever needed one. */
  #overlay: HeadOverlay | null = null

  constructor(owner: RequestAttemptOwner, clock: Clock, random: Random) {
    this.#owner = owner
    this.#clock = clock
    this.#random = random
    this.#time = clock.timer(() => this.#late())
  }

  get request(): RequestHead {
    return this.#owner.exchange.request
  }

  // ── to the endpoint ──

  open(fresh: boolean): void {
    const got = this.record.endpoint!.pool.acquire(this, fresh)
    if (got === null) this.#isWaiting = true
    else if (isFailure(got)) this.#owner.failed(this, got, this.record.endpoint!.pool.room.refusedBy)
    else this.acquired(got)
  }

  acquireFailed(failure: Failure, detail: string): void {
    this.#isWaiting = false
    this.#owner.failed(this, failure, detail)
  }

  acquired(stream: UpstreamStream): void {
    const { record } = this
    this.#isWaiting = false
    this.stream = stream
    stream.receiver = this
    record.reusedConnection = stream.reused
    record.carried = stream.carried
    record.sentAt = stream.reused ? record.startedAt : this.#clock.now()
    this.#owner.sending(this, stream)
  }

  /** Writes the request head, with what this attempt has to add. */
  sendHead(stream: UpstreamStream, end: boolean): void {
    const { exchange } = this.#owner
    const isMore = exchange.decision.attempts > 1 || exchange.answerDueAt !== 0 || exchange.route!.deadline === 'begin'
    if (isMore || exchange.grpc !== '' || exchange.trace.sends !== 0) {
      this.#overlay ??= new HeadOverlay()
      const overlay = this.#overlay
      overlay.clear()
      if (isMore) overlayRetry(overlay, exchange, this.record.sentAt, this.#owner.leftMs(this.record.sentAt))
      if (exchange.grpc !== '') overlayGrpc(overlay, exchange, this.record.sentAt)
      if (exchange.trace.sends !== 0) overlayTrace(overlay, exchange.trace, this.record, this.#random)
      if (!overlay.isEmpty) return overlay.write(stream, exchange.request, end)
    }
    stream.head(exchange.request, end)
  }

  get isRunning(): boolean {
    return this.#isWaiting || this.stream !== null
  }

  /** Nothing more comes of it. */
  over(): void {
    this.stream = null
    this.#time.cancel()
  }

  giveUp(failure: Failure): boolean {
    if (this.#isWaiting) this.record.endpoint!.pool.cancel(this)
    else if (this.stream === null) return false
    this.stream?.reset(failure, '')
    this.#isWaiting = false
    this.over()
    return true
  }

  // ── its time ──

  runTime(perTryTimeoutMs: number): void {
    if (perTryTimeoutMs > 0) this.#time.arm(perTryTimeoutMs)
  }

  stopTime(): void {
    this.#time.cancel()
  }

  #late(): void {
    if (this.stream === null || !this.#owner.isTryLate()) return
    const { perTryTimeoutMs } = this.#owner.exchange.route!
    this.refuse(failures.perTryTimeout, `no response head within ${perTryTimeoutMs} ms`)
  }

  // ── from the endpoint, until a final head ──

  head(response: ResponseHead, end: boolean): void {
    const { status } = response
    if (status < 200 && status !== 101) return this.#owner.interim(response)
    this.record.status = status
    this.record.headAt = this.#clock.now()
    this.#owner.answered(this, response, end)
  }

  reset(failure: Failure, detail: string): void {
    this.#owner.failed(this, failure, detail)
  }

  /** It takes more of the request. */
  writable(): void {
    this.#owner.writable()
  }

  /** A body comes after the head, when another receiver has the stream. */
  data(): boolean {
    return true
  }

  trailers(): void {}

  /** What came, or did not come, cannot be passed on. */
  refuse(failure: Failure, detail: string): void {
    this.stream!.reset(failure, detail)
    this.#owner.failed(this, failure, detail)
  }
}
