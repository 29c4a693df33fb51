import type { Clock, Timer } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import { EXPECTED } from '../core/retry-fields.ts'
import type { Route } from '../core/route.ts'
import { MOST_MS } from './http-deadline.ts'

/** It is told that the time is over. */
export interface AnswerClockOwner {
  /** Of the whole request. */
  late(failure: Failure, detail: string): void
  /** The caller sends its body without the 100 that it asked for. */
  continued(): void
}

/**
 * How long an answer may take: `timeouts.request` over all tries, and whether the time of one (`timeouts.perTry`, which
 * each has for itself) runs. Both run only while the endpoint is waited for: once the request is whole (as Envoy's
 * route timeout), while its caller waits for 100 (Continue), and `request` also while there is no stream yet. Otherwise
 * it is the caller's turn: then `timeouts.body` of the listener watches the caller, and `timeouts.idle` an endpoint
 * that does not read. A caller's own deadline (`grpc-timeout`) runs from its head on, whichever side is waited for.
 */
export class AnswerClock {
  readonly #exchange: Exchange
  readonly #clock: Clock
  readonly #owner: AnswerClockOwner
  readonly #request: Timer
  #route: Route | null = null
  /** Since when the endpoint is waited for; CALLERS_TURN: it is not. */
  #since = CALLERS_TURN
  /** When the timer fires; 0: it is not armed. It is armed anew only to fire earlier: one that fires early goes on. */
  #firesAt = 0
  /** The head of the answer has come. */
  isAnswered = false
  /** The caller sends its body only when the endpoint has said 100. */
  #awaitsContinue = false

  constructor(exchange: Exchange, clock: Clock, owner: AnswerClockOwner) {
    this.#exchange = exchange
    this.#clock = clock
    this.#owner = owner
    this.#request = clock.timer(() => this.#requestDue())
  }

  begin(route: Route): void {
    const { request, requestEndedAt, startedAt } = this.#exchange
    this.#route = route
    this.isAnswered = false
    this.#awaitsContinue = requestEndedAt === 0 && request.headers.get('expect') !== undefined
    this.#waitsSince(startedAt, startedAt)
  }

  /** A try has a stream. True: its time runs. */
  tryBegan(now: number): boolean {
    if (this.#exchange.requestEndedAt !== 0 || this.#awaitsContinue) return true
    this.#waitsSince(CALLERS_TURN, now)
    return false
  }

  tryEnded(now: number): void {
    if (this.#since === CALLERS_TURN) this.#waitsSince(now, now)
  }

  /** The request is whole. True: the time of a try begins. */
  requestEnded(now: number): boolean {
    if (this.#route === null || this.isAnswered) return false
    this.#waitsSince(now, now)
    return true
  }

  /**
   * The endpoint has said 100, or the caller has not waited for it: what comes next is the body. True: the time of a
   * try does not run until that has ended.
   */
  continued(): boolean {
    if (!this.#awaitsContinue) return false
    this.#awaitsContinue = false
    if (this.#exchange.requestEndedAt !== 0) return false
    this.#waitsSince(CALLERS_TURN, this.#clock.now())
    return true
  }

  /** From here on only a deadline limits the time. */
  answered(): void {
    this.isAnswered = true
    if (this.#exchange.deadlineAt === 0) this.#cancel()
  }

  stop(): void {
    this.#route = null
    this.#cancel()
  }

  #cancel(): void {
    this.#firesAt = 0
    this.#request.cancel()
  }

  /** What the request may still take to its response head. */
  leftMs(now: number): number {
    const due = this.#dueAt()
    if (due !== Number.POSITIVE_INFINITY) return Math.min(MOST_MS, Math.max(1, due - now))
    // It is the caller's turn: all of the time is left.
    return this.#route!.requestTimeoutMs || MOST_MS
  }

  /** When the answer has to be here, or, once its head is, to have ended; Infinity: no time runs. */
  #dueAt(): number {
    const { deadlineAt } = this.#exchange
    const due = this.isAnswered ? Number.POSITIVE_INFINITY : this.#answerDueAt()
    return deadlineAt === 0 ? due : Math.min(due, deadlineAt)
  }

  #answerDueAt(): number {
    const { requestTimeoutMs } = this.#route!
    const { answerDueAt } = this.#exchange
    const due =
      requestTimeoutMs === 0 || this.#since === CALLERS_TURN ? Number.POSITIVE_INFINITY : this.#since + requestTimeoutMs
    // A caller's own deadline shortens, and never lengthens.
    return answerDueAt === 0 ? due : Math.min(due, answerDueAt)
  }

  #waitsSince(since: number, now: number): void {
    this.#since = since
    const due = this.#dueAt()
    // `now` may lie a look-up back, which a deadline does not wait for.
    if (due < this.#firesAt || (this.#firesAt === 0 && due !== Number.POSITIVE_INFINITY))
      this.#arm(due, this.#exchange.deadlineAt === 0 ? now : this.#clock.now())
  }

  #arm(due: number, now: number): void {
    this.#firesAt = due
    this.#request.arm(Math.max(1, due - now))
  }

  /** Is the body on its way though no 100 came? Looked at only now, so that a body costs nothing. */
  hasNotWaited(): boolean {
    const { requestEndedAt, bytesIn } = this.#exchange
    return this.#awaitsContinue && requestEndedAt === 0 && bytesIn !== 0
  }

  #requestDue(): void {
    this.#firesAt = 0
    if (this.hasNotWaited()) this.#owner.continued()
    const due = this.#dueAt()
    const now = this.#clock.now()
    if (due === Number.POSITIVE_INFINITY) return
    if (now < due) return this.#arm(due, now)
    const { deadlineAt, answerDueAt, startedAt } = this.#exchange
    if (due === answerDueAt) {
      // While its caller still sends, no endpoint is slow.
      const failure = this.#since === CALLERS_TURN ? failures.streamDeadline : failures.deadlineExceeded
      this.#owner.late(failure, `${EXPECTED} was ${Math.round(due - startedAt)} ms`)
    } else if (due !== deadlineAt)
      this.#owner.late(failures.upstreamTimeout, `no response head within ${this.#route!.requestTimeoutMs} ms`)
    else {
      const failure = this.isAnswered ? failures.streamDeadline : failures.deadlineExceeded
      this.#owner.late(failure, `grpc-timeout was ${Math.round(deadlineAt - startedAt)} ms`)
    }
  }
}

const CALLERS_TURN = -1
