import type { MirrorSpec } from '../../mesh-config/snapshot.ts'
import type { AttemptLoop, AttemptLoopOwner } from '../core/attempt.ts'
import type { Clock, Random, Timer } from '../core/clock.ts'
import type { Classification, Cluster } from '../core/cluster.ts'
import type { AttemptRecord } from '../core/decision.ts'
import { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Receiver, RequestHead, ResponseHead, UpstreamStream } from '../core/message.ts'
import type { MirrorCopy, MirroredRequest, Mirroring } from '../core/mirror.ts'
import type { Route } from '../core/route.ts'
import { add, type Counter, type Histogram } from '../core/telemetry.ts'
import { attemptLoop } from './attempt-loop.ts'
import { MirroredCluster } from './mirrored-cluster.ts'
import { RequestAttempt, type RequestAttemptOwner } from './request-attempt.ts'

/** What is counted of a mirror. */
export interface MirrorStats {
  /** The copy was answered with the status of the request itself. */
  readonly same: Counter
  readonly different: Counter
  /** It was not answered. */
  readonly failed: Counter
  /** As many as may be were under way. */
  readonly overflow: Counter
  readonly tooLong: Counter
  /** Until the end of its answer. */
  readonly latency: Histogram
  /** The same of the requests that were copied. */
  readonly originalLatency: Histogram
}

export interface MirrorDeps {
  readonly clock: Clock
  readonly random: Random
  classify(status: number, grpcStatus?: number): Classification
  /** The destination as it is now; null: it is not there. */
  cluster(): Cluster | null
}

/** Copies of the requests of one service or route: its own bounds, and nothing of theirs. */
export class Mirrors implements Mirroring {
  readonly destination: string
  readonly percent: number
  readonly bodyBytes: number
  readonly stats: MirrorStats
  readonly deps: MirrorDeps
  readonly #spec: MirrorSpec
  #active = 0
  /** The route of the last request, and what copies make of it. */
  #original: Route | null = null
  #route: Route | null = null

  constructor(spec: MirrorSpec, stats: MirrorStats, deps: MirrorDeps) {
    this.destination = spec.subset === null ? spec.service : `${spec.service}/${spec.subset}`
    this.percent = spec.percent
    this.bodyBytes = spec.bodyBytes
    this.stats = stats
    this.deps = deps
    this.#spec = spec
  }

  hasRoom(): boolean {
    if (this.#active < this.#spec.active) return true
    add(this.stats.overflow, 1)
    return false
  }

  tooLong(): void {
    add(this.stats.tooLong, 1)
  }

  send(exchange: Exchange, request: MirroredRequest): MirrorCopy {
    const copy = new Copy(this, exchange, request)
    const cluster = this.deps.cluster()
    this.#active++
    if (cluster === null) copy.fail()
    else copy.start(this.#routeOf(exchange.route!), new MirroredCluster(cluster), this.#spec.timeoutMs)
    return copy
  }

  over(): void {
    this.#active--
  }

  /** A copy is sent once. */
  #routeOf(route: Route): Route {
    if (this.#original !== route) {
      this.#original = route
      const retry = { ...route.retry, attempts: 1, replayBytes: 0, hedge: null, used: null, anyMethod: false }
      this.#route = { ...route, perTryTimeoutMs: 0, retry, fallback: null }
    }
    return this.#route!
  }
}

/**
 * One copy of a request, and a second owner of the attempt loop: one attempt, with an exchange and a time of its own,
 * whose answer is read and dropped.
 */
class Copy implements MirrorCopy, AttemptLoopOwner<RequestAttempt>, RequestAttemptOwner, Receiver<ResponseHead> {
  readonly exchange: Exchange
  /** It is sent once. */
  readonly isIdempotent = false
  readonly isBodyGone = false
  readonly isRetry = false
  readonly #mirrors: Mirrors
  readonly #body: Buffer | null
  readonly #loop: AttemptLoop<RequestAttempt>
  readonly #timer: Timer
  #timeoutMs = 0
  #isOver = false
  /** 0: it was not answered. */
  #status = 0
  /** Of the request itself; -1: it has not ended. */
  #originalStatus = -1

  constructor(mirrors: Mirrors, original: Exchange, { headers, body }: MirroredRequest) {
    const { clock } = mirrors.deps
    const { method, scheme, authority, path } = original.request
    if (body !== null && body.length > 0) headers.set('content-length', String(body.length))
    const request: RequestHead = { method, scheme, authority, path, upgrade: '', headers }
    this.#mirrors = mirrors
    this.#body = body !== null && body.length > 0 ? body : null
    this.exchange = new Exchange(original.peer, original.direction, original.protocol, request)
    this.exchange.begin(request, clock.now())
    this.exchange.requestEndedAt = this.exchange.startedAt
    this.#loop = attemptLoop(this, mirrors.deps)
    this.#timer = clock.timer(() => this.#late())
  }

  start(route: Route, cluster: Cluster, timeoutMs: number): void {
    this.exchange.route = route
    this.exchange.cluster = cluster
    this.#timeoutMs = timeoutMs
    this.#timer.arm(timeoutMs)
    this.#loop.start(route, cluster, this.exchange.startedAt)
  }

  newAttempt(): RequestAttempt {
    const { clock, random } = this.#mirrors.deps
    return new RequestAttempt(this, clock, random)
  }

  sending(attempt: RequestAttempt, stream: UpstreamStream): void {
    attempt.sendHead(stream, this.#body === null)
    if (this.#body !== null) stream.data(this.#body, true)
  }

  leftMs(): number {
    return this.#timeoutMs
  }

  /** It never has a second one beside it. */
  lost(): void {}

  replyInstead(): void {
    this.fail()
  }

  waitedMs({ sentAt, startedAt }: AttemptRecord, now: number): number {
    return now - (sentAt || startedAt)
  }

  isTryLate(): boolean {
    return false
  }

  interim(): void {}

  /** A final head came: what follows is dropped. */
  answered(attempt: RequestAttempt, response: ResponseHead, end: boolean): void {
    const { record } = attempt
    const { status } = response
    const { cluster } = this.#loop
    const outcome = this.#mirrors.deps.classify(status)
    const waitedMs = this.waitedMs(record, record.headAt)
    this.#status = status
    record.endpoint!.stats.latency.record(waitedMs)
    if (outcome === 'failure') add(record.endpoint!.stats.failures, 1)
    cluster!.observe(record.endpoint!, outcome, waitedMs, response)
    cluster!.report(record, outcome, null, this.exchange.requestId)
    this.#loop.won(attempt)
    if (end) this.#end(null)
    else attempt.stream!.receiver = this
  }

  failed(attempt: RequestAttempt, failure: Failure, detail: string): void {
    const isStale = failure === failures.resetBeforeResponse && attempt.stream?.reused === true
    attempt.over()
    this.#loop.failed(attempt, failure, detail, isStale)
  }

  /** There is no endpoint, or the attempt at it failed. */
  fail(): void {
    this.#over()
  }

  #late(): void {
    if (this.#isOver) return
    this.#status = 0
    this.#loop.cancel(failures.upstreamTimeout)
    this.#over()
  }

  // ── the answer ──

  head(): void {}

  data(_chunk: Buffer, end: boolean): boolean {
    if (end) this.#end(null)
    return true
  }

  trailers(): void {
    this.#end(null)
  }

  writable(): void {}

  reset(failure: Failure): void {
    this.#status = 0
    this.#end(failure)
  }

  #end(failure: Failure | null): void {
    if (this.#isOver) return
    const attempt = this.#loop.winner!
    const { clock } = this.#mirrors.deps
    attempt.over()
    this.#loop.ended(attempt, failure, '', clock.now())
    if (failure !== null) this.#loop.blame(attempt, failure)
    this.#over()
  }

  // ── what came of it ──

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#timer.cancel()
    this.#loop.stop()
    this.#mirrors.over()
    const { stats, deps } = this.#mirrors
    if (this.#status === 0) add(stats.failed, 1)
    else stats.latency.record(deps.clock.now() - this.exchange.startedAt)
    this.#compare()
  }

  originalEnded(status: number, tookMs: number): void {
    this.#originalStatus = status
    this.#mirrors.stats.originalLatency.record(tookMs)
    this.#compare()
  }

  /** Once both have ended. */
  #compare(): void {
    if (!this.#isOver || this.#status === 0 || this.#originalStatus < 0) return
    const { stats } = this.#mirrors
    add(this.#status === this.#originalStatus ? stats.same : stats.different, 1)
  }
}
