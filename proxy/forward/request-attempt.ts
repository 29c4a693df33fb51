import type { Attempt } from '../core/attempt.ts'
import type { Clock, Timer } from '../core/clock.ts'
import { type AttemptRecord, NO_ATTEMPT } from '../core/decision.ts'
import { type Failure, failures, isFailure } from '../core/failure.ts'
import type { Receiver, RequestHead, ResponseHead, UpstreamStream } from '../core/message.ts'
import type { PoolWaiter } from '../core/pool.ts'
import type { Attempts } from './attempts.ts'
import { HeadOverlay, overlayGrpc } from './head-overlay.ts'

/**
 * One try of a request at one endpoint: its stream, its record, its time (`timeouts.perTry`), and what it adds to the
 * head. It receives what the endpoint says until a final head comes; the answer of the one that wins goes to `Answer`.
 */
export class RequestAttempt implements Attempt, PoolWaiter, Receiver<ResponseHead> {
  record: AttemptRecord = NO_ATTEMPT
  stream: UpstreamStream | null = null
  readonly #attempts: Attempts
  readonly #clock: Clock
  readonly #time: Timer
  /** A connection is waited for. */
  #isWaiting = false
  /** Null: no head ever needed one. */
  #overlay: HeadOverlay | null = null

  constructor(attempts: Attempts, clock: Clock) {
    this.#attempts = attempts
    this.#clock = clock
    this.#time = clock.timer(() => this.#late())
  }

  get request(): RequestHead {
    return this.#attempts.exchange.request
  }

  // ── to the endpoint ──

  open(fresh: boolean): void {
    const got = this.record.endpoint!.pool.acquire(this, fresh)
    if (got === null) this.#isWaiting = true
    else if (isFailure(got)) this.#attempts.failed(this, got, '')
    else this.acquired(got)
  }

  acquireFailed(failure: Failure, detail: string): void {
    this.#isWaiting = false
    this.#attempts.failed(this, failure, detail)
  }

  acquired(stream: UpstreamStream): void {
    const { record } = this
    this.#isWaiting = false
    this.stream = stream
    stream.receiver = this
    record.reusedConnection = stream.reused
    record.carried = stream.carried
    record.sentAt = stream.reused ? record.startedAt : this.#clock.now()
    this.#attempts.sending(this, stream)
  }

  /** Writes the request head, with what this attempt has to add. */
  sendHead(stream: UpstreamStream, end: boolean): void {
    const { exchange } = this.#attempts
    if (exchange.grpc !== '') {
      this.#overlay ??= new HeadOverlay()
      const overlay = this.#overlay
      overlay.clear()
      overlayGrpc(overlay, exchange, this.record.sentAt)
      if (!overlay.isEmpty) return overlay.write(stream, exchange.request, end)
    }
    stream.head(exchange.request, end)
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
    if (this.stream === null || !this.#attempts.isTryLate()) return
    const { perTryTimeoutMs } = this.#attempts.exchange.route!
    this.refuse(failures.perTryTimeout, `no response head within ${perTryTimeoutMs} ms`)
  }

  // ── from the endpoint, until a final head ──

  head(response: ResponseHead, end: boolean): void {
    const { status } = response
    if (status < 200 && status !== 101) return this.#attempts.interim(response)
    this.record.status = status
    this.record.headAt = this.#clock.now()
    this.#attempts.answered(this, response, end)
  }

  reset(failure: Failure, detail: string): void {
    this.#attempts.failed(this, failure, detail)
  }

  /** It takes more of the request. */
  writable(): void {
    this.#attempts.answer.writable()
  }

  /** A body comes after the head, when another receiver has the stream. */
  data(): boolean {
    return true
  }

  trailers(): void {}

  /** What came, or did not come, cannot be passed on. */
  refuse(failure: Failure, detail: string): void {
    this.stream!.reset(failure, detail)
    this.#attempts.failed(this, failure, detail)
  }
}
