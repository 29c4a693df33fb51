import type { HedgeSpec } from '../../mesh-config/snapshot.ts'
import { anotherTry } from '../core/another-try.ts'
import type { AttemptLoop, AttemptLoopOwner } from '../core/attempt.ts'
import type { Timer } from '../core/clock.ts'
import type { Classification, Cluster } from '../core/cluster.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { LocalReply } from '../core/filter.ts'
import { isGrpc, isGrpcServerError } from '../core/grpc.ts'
import type { DownstreamStream, Headers, ResponseHead, UpstreamStream } from '../core/message.ts'
import type { AllRetryMarks } from '../core/retry-marks.ts'
import type { Route } from '../core/route.ts'
import { add } from '../core/telemetry.ts'
import { HAS_ATTEMPT } from '../core/trace-fields.ts'
import { opensTunnel } from '../core/tunnel.ts'
import type { Answer } from './answer.ts'
import { AnswerClock, type AnswerClockOwner } from './answer-clock.ts'
import { type AttemptLoopDeps, attemptLoop } from './attempt-loop.ts'
import { grpcMessageOf, grpcStatusOf } from './grpc.ts'
import { heedAnswer } from './heed-answer.ts'
import type { HeldBody } from './held-body.ts'
import { mayRunTwice } from './repeatable.ts'
import { RequestAttempt, type RequestAttemptOwner } from './request-attempt.ts'
import { mayFollowAnswer } from './retry.ts'
import { tellSpent } from './spent.ts'
import { toldBy, toldFailure } from './told-failure.ts'

export interface AttemptsDeps extends AttemptLoopDeps {
  classify(status: number, grpcStatus?: number): Classification
  readonly marks: AllRetryMarks
}

/** Whose attempts these are: the exchange's two other sides. */
export interface AttemptsOwner {
  readonly exchange: Exchange
  readonly stream: DownstreamStream
  /** What has come of the request body, and may have to be sent again. */
  readonly body: HeldBody
  /** Gets the upstream's answer. */
  readonly answer: Answer
  /** The rest of the request body may come. */
  resumeBody(): void
  /** It was not admitted, and this is the answer (`fallback`). */
  replyInstead(reply: LocalReply, failure: Failure, detail: string): void
  /** No attempt is left: answer with this. */
  fail(failure: Failure, detail: string): void
}

/**
 * A request's attempts: what they have in common, which is the request (how often it may be sent, what of its body is
 * kept) and its clock; and what an answer says: another attempt, or the way down. The loop itself is that of
 * attempt-loop.ts.
 */
export class Attempts implements AttemptLoopOwner<RequestAttempt>, RequestAttemptOwner, AnswerClockOwner {
  readonly exchange: Exchange
  readonly answer: Answer
  readonly clock: AnswerClock
  readonly #owner: AttemptsOwner
  readonly #deps: AttemptsDeps
  readonly loop: AttemptLoop<RequestAttempt>
  isIdempotent = false
  /** The request had no body at all, as against one that turned out empty and still has to be ended. */
  #bodiless = true
  /** A copy of the request body is kept: it may be sent again, at least after some failures. */
  #keepsBody = false
  /** The head that came last is of gRPC. */
  #isGrpc = false
  /** Both null: no request of this object ever needed one. */
  #hedge: Timer | null = null
  #maxStream: Timer | null = null
  /** A gRPC answer has begun that says at its end how the call went. */
  awaitsStatus = false

  constructor(owner: AttemptsOwner, deps: AttemptsDeps) {
    this.#owner = owner
    this.#deps = deps
    this.exchange = owner.exchange
    this.answer = owner.answer
    this.clock = new AnswerClock(owner.exchange, deps.clock, this)
    this.loop = attemptLoop(this, deps)
  }

  newAttempt(): RequestAttempt {
    return new RequestAttempt(this, this.#deps.clock, this.#deps.random)
  }

  /** Before each request. */
  clear(bodiless: boolean): void {
    this.loop.clear()
    this.#bodiless = bodiless
    this.#isGrpc = false
    this.awaitsStatus = false
  }

  // ── the request ──

  /** Where the request goes now; null: nowhere yet, or no more. */
  get upstream(): UpstreamStream | null {
    return this.loop.latest?.stream ?? null
  }

  get isBodyGone(): boolean {
    return this.#owner.body.dropped
  }

  /** How much of the request body is worth keeping. */
  get replayBytes(): number {
    return this.#keepsBody ? this.exchange.route!.retry.replayBytes : 0
  }

  start(route: Route, cluster: Cluster): void {
    const { request, startedAt, direction, trace } = this.exchange
    this.isIdempotent = mayRunTwice(request, route.retry)
    if (direction === 'inbound' && (trace.came & HAS_ATTEMPT) !== 0)
      this.#deps.marks.retried.mark(this.exchange, startedAt)
    if (route.maxStreamMs !== 0 && request.upgrade === '') this.#runMaxStream(route.maxStreamMs)
    this.#keepsBody = this.isIdempotent || (cluster.mayBeGrpc && route.retry.anyMethod)
    this.clock.begin(route)
    this.loop.start(route, cluster, startedAt)
  }

  #runMaxStream(maxStreamMs: number): void {
    this.#maxStream ??= this.#deps.clock.timer(() =>
      this.late(failures.maxStream, `the stream was open for ${this.exchange.route!.maxStreamMs} ms`),
    )
    this.#maxStream.arm(maxStreamMs)
  }

  /** When the request is whole: it can be sent a second time, and its answer is all that is waited for. */
  #armHedge(hedge: HedgeSpec, now: number): void {
    const { exchange, loop } = this
    if (!this.isIdempotent || this.isBodyGone || exchange.request.upgrade !== '' || exchange.decision.attempts !== 1)
      return
    const { afterMs, percentile, minSamples } = hedge
    const waitMs = afterMs || loop.cluster!.latencies.percentile(percentile, minSamples, now)
    if (waitMs <= 0) return
    this.#hedge ??= this.#deps.clock.timer(() => loop.hedge())
    this.#hedge.arm(waitMs)
  }

  get isRetry(): boolean {
    const { trace } = this.exchange
    return (trace.came & HAS_ATTEMPT) !== 0 || this.#deps.marks.retried.has(this.exchange, this.#deps.clock.now())
  }

  leftMs(now: number): number {
    return this.clock.leftMs(now)
  }

  /** Until it was given up it was waited for in vain: without such waits, the slow answers would seem to become fewer. */
  lost(record: AttemptRecord, now: number): void {
    this.loop.cluster!.latencies.record(this.waitedMs(record, now), now)
  }

  /** As far as the request is here. */
  sending(attempt: RequestAttempt, stream: UpstreamStream): void {
    const { exchange, answer } = this
    const { body } = this.#owner
    const { sentAt } = attempt.record
    exchange.upstreamStartedAt = sentAt
    answer.awaited(sentAt)
    const { perTryTimeoutMs, retry } = exchange.route!
    if (this.clock.tryBegan(sentAt)) {
      attempt.runTime(perTryTimeoutMs)
      if (retry.hedge !== null && exchange.requestEndedAt !== 0) this.#armHedge(retry.hedge, sentAt)
    }
    attempt.sendHead(stream, this.#bodiless)
    if (this.#bodiless) return
    // One that shares a connection may be refused before anybody looked at it, whatever the method.
    if (stream.carried || stream.mayTellFailure) this.#keepsBody ||= retry.anyMethod
    const writable = body.bytes === 0 && !body.ended ? true : body.sendTo(stream)
    // A copy is kept only of what may be sent again.
    if (body.bytes > this.replayBytes || !this.#keepsBody) body.drop()
    if (writable) this.#owner.resumeBody()
    else answer.requestMoved(false)
  }

  writable(): void {
    this.answer.writable()
  }

  requestEnded(now: number): void {
    if (!this.clock.requestEnded(now)) return
    const { perTryTimeoutMs, retry } = this.exchange.route!
    let isSent = false
    for (const attempt of this.loop.attempts) {
      if (attempt.stream === null) continue
      attempt.runTime(perTryTimeoutMs)
      isSent = true
    }
    if (isSent && retry.hedge !== null) this.#armHedge(retry.hedge, now)
  }

  /** The endpoint has said 100, or the caller has not waited for it: the time of the attempts begins with the end. */
  continued(): void {
    if (this.clock.continued()) for (const attempt of this.loop.attempts) attempt.stopTime()
  }

  // ── an attempt without an answer ──

  failed(attempt: RequestAttempt, failure: Failure, detail: string): void {
    const isStale = failure === failures.resetBeforeResponse && attempt.stream?.reused === true
    attempt.over()
    this.clock.tryEnded(this.#deps.clock.now())
    this.loop.failed(attempt, failure, detail, isStale)
  }

  fail(failure: Failure, detail: string): void {
    this.#owner.fail(failure, detail)
  }

  replyInstead(reply: LocalReply, failure: Failure, detail: string): void {
    this.#owner.replyInstead(reply, failure, detail)
  }

  isTryLate(): boolean {
    if (!this.clock.hasNotWaited()) return !this.clock.isAnswered
    this.continued()
    return false
  }

  // ── an answer ──

  interim(response: ResponseHead): void {
    if (response.status === 100) this.continued()
    this.#owner.stream.head(response, false)
  }

  /** A final head came: another attempt follows, or this one has won and its answer goes down. */
  answered(attempt: RequestAttempt, response: ResponseHead, end: boolean): void {
    this.#learn(attempt.record, response)
    if (this.#isTriedAgain(attempt, response)) return
    // It holds for the attempt, and not for the others there may have been.
    if (response.ownFailure) response.ownFailure = ''
    const { upgrade } = this.exchange.request
    const opens = opensTunnel(upgrade, response.status)
    // A page in answer to an extended CONNECT would be read as what was asked for (RFC 8441 section 4).
    if (upgrade !== '' && !opens && response.status < 300 && this.exchange.protocol === 'h2')
      return attempt.refuse(failures.upgradeIgnored, `status ${response.status}`)
    this.#won(attempt, response)
    this.answer.begin(attempt.stream!, response, end, opens)
  }

  #learn(record: AttemptRecord, response: ResponseHead): void {
    const endpoint = record.endpoint!
    const cluster = this.loop.cluster!
    const waitedMs = this.waitedMs(record, record.headAt)
    endpoint.stats.latency.record(waitedMs)
    if (this.exchange.route!.retry.hedge !== null) cluster.latencies.record(waitedMs, record.headAt)
    this.#isGrpc = cluster.mayBeGrpc && response.status === 200 && isGrpc(response.headers)
    if (this.#isGrpc) record.grpcStatus = grpcStatusOf(response.headers)
    const outcome = isGrpcServerError(record.grpcStatus)
      ? 'failure'
      : this.#deps.classify(response.status, record.grpcStatus)
    cluster.observe(endpoint, outcome, waitedMs, response)
  }

  #isTriedAgain(attempt: RequestAttempt, response: ResponseHead): boolean {
    const { record } = attempt
    const { on, statuses, byHeaders } = this.exchange.route!.retry
    const { ownFailure, headers } = response
    const told = toldFailure(ownFailure)
    const byHeader = byHeaders === null ? null : byHeaders(headers)
    if (!mayFollowAnswer(record, told, on, this, statuses, byHeader)) return false
    const heed = {
      wallTime: this.#deps.clock.wallTime(),
      leftMs: this.clock.leftMs(record.headAt),
      hasElsewhere: (of: AttemptRecord) => this.loop.hasElsewhere(of),
    }
    if (!heedAnswer(record, headers, heed)) return false
    const isAlone = !this.loop.hasOther(attempt)
    if (!isAlone) record.another = anotherTry.otherRuns
    else if (!this.loop.allows(record)) return false
    this.#drop(attempt, told, told === null ? '' : toldBy(record.endpoint!.name, ownFailure!))
    if (isAlone) this.loop.goOn(record)
    return true
  }

  /** This answer is not passed on. */
  #drop(attempt: RequestAttempt, told: Failure | null, detail: string): void {
    const { record } = attempt
    const { headAt } = record
    attempt.stream!.reset(failures.resetBeforeResponse, '')
    attempt.over()
    this.clock.tryEnded(headAt)
    this.loop.ended(attempt, told, detail, headAt)
    this.#judge(record)
  }

  #won(attempt: RequestAttempt, response: ResponseHead): void {
    const { record } = attempt
    const { endpoint, headAt } = record
    const { status, headers } = response
    this.loop.won(attempt)
    this.#hedge?.cancel()
    this.exchange.upstreamStartedAt = record.sentAt
    this.exchange.firstByteAt = headAt
    if (status === 429 || status >= 500 || record.grpcStatus > 0) this.tellSpent(null, headers)
    const cookie = this.loop.cookie(endpoint!)
    if (cookie !== '') headers.add('set-cookie', cookie)
    attempt.stopTime()
    this.clock.answered()
    if (!this.isBodyGone) this.#owner.body.drop()
    if (this.#isGrpc && record.grpcStatus < 0) {
      this.awaitsStatus = true
      // A call may last for hours: that it is answered is enough to admit its endpoint.
      if (record.isProbe) this.loop.cluster!.report(record, 'success', null, '')
    } else {
      if (this.#isGrpc) this.#keepStatus(record.grpcStatus, headers)
      this.#judge(record)
    }
  }

  /** The head of a failed answer, or of our own in its place, goes down. */
  tellSpent(failure: Failure | null, headers: Headers): void {
    tellSpent(this.exchange, failure, headers, this.#deps.marks, this.#deps.clock.now())
  }

  /** How the call went, by what the endpoint said. */
  #keepStatus(grpcStatus: number, headers: Headers): void {
    const { exchange } = this
    this.loop.winner!.record.grpcStatus = grpcStatus
    exchange.grpcStatus = grpcStatus
    if (grpcStatus > 0) exchange.grpcMessage = grpcMessageOf(headers)
  }

  /** The end of an answer that has begun. */
  trailersCame(trailers: Headers): void {
    if (!this.awaitsStatus) return
    this.awaitsStatus = false
    const { record } = this.loop.winner!
    const grpcStatus = grpcStatusOf(trailers)
    this.#keepStatus(grpcStatus, trailers)
    this.#judge(record)
    this.loop.cluster!.observeTrailers(record.endpoint!, trailers)
  }

  /** What an answer says of its endpoint, whether it is passed on or not. */
  #judge(record: AttemptRecord): void {
    const outcome = this.#deps.classify(record.status, record.grpcStatus)
    if (outcome === 'failure') add(record.endpoint!.stats.failures, 1)
    this.loop.cluster!.report(record, outcome, null, this.exchange.requestId)
  }

  /** The answer is out whole (null), or broke off. */
  ended(failure: Failure | null, detail: string): void {
    const attempt = this.loop.winner!
    attempt.over()
    this.loop.ended(attempt, failure, detail, this.#deps.clock.now())
    if (failure !== null) this.loop.blame(attempt, failure)
    // Without a status at its end: the HTTP one is all there is to go by.
    else if (this.awaitsStatus) this.#judge(attempt.record)
  }

  // ── the end ──

  /** Whatever runs or waits is given up. */
  cancel(failure: Failure): void {
    this.loop.cancel(failure)
  }

  /** The exchange is over. */
  stop(): void {
    this.clock.stop()
    this.#hedge?.cancel()
    this.#maxStream?.cancel()
    this.loop.stop()
  }

  late(failure: Failure, detail: string): void {
    this.cancel(failure)
    this.fail(failure, detail)
  }

  /** Not while the caller had more to send. */
  waitedMs({ sentAt, startedAt }: AttemptRecord, now: number): number {
    return now - Math.max(sentAt || startedAt, this.exchange.requestEndedAt || this.answer.movedAt)
  }
}
