import type { PickContext } from '../core/balancer.ts'
import type { Clock, Random, Timer } from '../core/clock.ts'
import type { Classification, Cluster } from '../core/cluster.ts'
import { type AttemptRecord, MAX_ATTEMPTS } from '../core/decision.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { Exchange } from '../core/exchange.ts'
import { type Failure, failures, isFailure } from '../core/failure.ts'
import type { Filter, LocalReply } from '../core/filter.ts'
import { HeaderList } from '../core/header-list.ts'
import type { DownstreamStream, Headers, Receiver, RequestHead, ResponseHead, UpstreamStream } from '../core/message.ts'
import type { PoolWaiter } from '../core/pool.ts'
import { problemBody } from '../core/problem.ts'
import type { Route } from '../core/route.ts'
import type { Peer } from '../core/wire.ts'
import { Answer } from './answer.ts'
import { HeldBody } from './held-body.ts'
import { backoffMs, conditionOf, isIdempotent, whyNot } from './retry.ts'

/** What forwarding is joined with; the other parts are handed in. */
export interface ForwardDeps {
  readonly clock: Clock
  readonly random: Random
  classify(failure: Failure | null, status: number): Classification
  /** Decides the request's way: calls `proceed` or `refuse`. Called with each head. */
  onHead(forward: Forward): void
  /** The filters of listener and route; runs their last phase and reports the exchange. */
  onResponse(forward: Forward, response: ResponseHead): void
  onComplete(forward: Forward): void
}

/**
 * One exchange on its way: the attempt loop, and the request body's way up. It is the receiver of the downstream stream; `Answer` is that of the upstream one. Like the
 * stream it serves one request of a connection after the other.
 */
export class Forward implements Receiver<RequestHead>, PoolWaiter {
  readonly exchange: Exchange
  readonly stream: DownstreamStream
  readonly deps: ForwardDeps
  /** The filters that ran, or may have run, for this exchange. */
  filters: readonly Filter[] = []
  route: Route | null = null
  upstream: UpstreamStream | null = null
  attempt: AttemptRecord | null = null
  /** A final response head has gone downstream. */
  answered = false
  done = true
  readonly #answer: Answer
  readonly #body = new HeldBody()
  #cluster: Cluster | null = null
  #admitted = false
  /** Where a connection is waited for. */
  #waitingAt: Endpoint | null = null
  /** The request had no body at all, as against one that turned out empty and still has to be ended. */
  #bodiless = true
  #replayable = false
  #triedFresh = false
  readonly #tried: Endpoint[] = []
  /** Before the next attempt. */
  #delayMs = 0
  readonly #pick: { tried: readonly Endpoint[]; record: AttemptRecord } & PickContext
  readonly #requestTimer: Timer
  readonly #tryTimer: Timer
  readonly #backoff: Timer

  constructor(stream: DownstreamStream, peer: Peer, direction: 'inbound' | 'outbound', deps: ForwardDeps, nothing: RequestHead) {
    this.stream = stream
    this.deps = deps
    this.exchange = new Exchange(peer, direction, 'http/1.1', nothing)
    this.#answer = new Answer(this)
    this.#pick = { tried: this.#tried, record: this.exchange.decision.nextTry(0) }
    this.#requestTimer = deps.clock.timer(() => this.#timedOut())
    this.#tryTimer = deps.clock.timer(() => this.#tryTimedOut())
    this.#backoff = deps.clock.timer(() => this.#try())
  }

  // ── from downstream ──

  head(request: RequestHead, end: boolean): void {
    const now = this.deps.clock.now()
    this.exchange.begin(request, now)
    if (end) this.exchange.requestEndedAt = now
    this.filters = []
    this.route = null
    this.upstream = null
    this.attempt = null
    this.answered = false
    this.done = false
    this.#cluster = null
    this.#admitted = false
    this.#waitingAt = null
    this.#bodiless = end
    this.#triedFresh = false
    this.#tried.length = 0
    this.#body.clear()
    this.deps.onHead(this)
  }

  data(chunk: Buffer, end: boolean): boolean {
    if (this.done) return true
    this.exchange.bytesIn += chunk.length
    if (end) this.#bodyEnded()
    const { upstream } = this
    if (upstream === null) {
      this.#body.add(chunk)
      return false
    }
    this.#remember(chunk)
    return upstream.data(chunk, end)
  }

  trailers(trailers: Headers): void {
    if (this.done) return
    this.#body.trailers = trailers
    this.#bodyEnded()
    this.upstream?.trailers(trailers)
  }

  #bodyEnded(): void {
    this.#body.ended = true
    this.exchange.requestEndedAt = this.deps.clock.now()
  }

  /** Keeps a copy while the request may have to be sent again. */
  #remember(chunk: Buffer): void {
    if (this.#body.dropped || chunk.length === 0) return
    const limit = this.#replayable ? this.route!.retry.replayBytes : 0
    if (this.#body.bytes + chunk.length > limit) this.#body.drop()
    else this.#body.add(chunk)
  }

  writable(): void {
    this.upstream?.resume()
  }

  /** The downstream side failed: a body that breaks the rules or stopped, or nobody there any more. */
  reset(failure: Failure, detail: string): void {
    if (this.done) return
    this.#endAttempt(failure)
    if (failure === failures.downstreamGone || failure === failures.drained) return this.complete(failure, detail)
    this.fail(failure, detail)
  }

  // ── the attempt loop ──

  /** The corridor found the way: make the first attempt. */
  proceed(route: Route, cluster: Cluster): void {
    const { exchange } = this
    this.route = route
    this.#cluster = cluster
    exchange.route = route
    exchange.cluster = cluster
    const overflow = cluster.admit()
    if (overflow !== null) return this.fail(overflow, '`limits.requests`')
    this.#admitted = true
    this.#replayable = isIdempotent(exchange.request.method)
    cluster.budget.deposit(exchange.startedAt)
    if (route.requestTimeoutMs > 0) this.#requestTimer.arm(route.requestTimeoutMs)
    this.#try()
  }

  #try(): void {
    const { exchange } = this
    const record = exchange.decision.nextTry(exchange.decision.attempts === 0 ? exchange.startedAt : this.deps.clock.now())
    this.attempt = record
    record.policy = this.#cluster!.policy
    this.#pick.record = record
    const endpoint = this.#cluster!.balancer.pick(this.#pick)
    if (endpoint === null) {
      record.failure = failures.noHealthyUpstream
      record.endedAt = record.startedAt
      return this.fail(failures.noHealthyUpstream, '')
    }
    this.#tryAt(endpoint, false)
  }

  #tryAt(endpoint: Endpoint, fresh: boolean): void {
    const { exchange } = this
    exchange.endpoint = endpoint
    this.attempt!.endpoint = endpoint
    endpoint.active++
    endpoint.stats.active.values[endpoint.stats.active.index]!++
    endpoint.stats.requests.values[endpoint.stats.requests.index]!++
    const got = endpoint.pool.acquire(this, fresh)
    if (got === null) this.#waitingAt = endpoint
    else if (isFailure(got)) this.attemptFailed(got, '')
    else this.acquired(got)
  }

  acquired(stream: UpstreamStream): void {
    const { exchange } = this
    const record = this.attempt!
    this.#waitingAt = null
    this.upstream = stream
    stream.receiver = this.#answer
    record.reusedConnection = stream.reused
    record.sentAt = stream.reused ? record.startedAt : this.deps.clock.now()
    exchange.upstreamStartedAt = record.sentAt
    const { perTryTimeoutMs } = this.route!
    if (perTryTimeoutMs > 0) this.#tryTimer.arm(perTryTimeoutMs)
    const held = this.#body
    if (this.#bodiless) return stream.head(exchange.request, true)
    stream.head(exchange.request, false)
    const writable = held.bytes === 0 && !held.ended ? true : held.sendTo(stream)
    // A copy is kept only of what may be sent again.
    if (!this.#replayable || held.bytes > this.route!.retry.replayBytes) held.drop()
    if (writable) this.stream.resume()
  }

  acquireFailed(failure: Failure, detail: string): void {
    this.#waitingAt = null
    this.attemptFailed(failure, detail)
  }

  /** An attempt ended without an answer that could be passed on. */
  attemptFailed(failure: Failure, detail: string): void {
    const record = this.attempt!
    const endpoint = record.endpoint!
    this.upstream = null
    this.#tryTimer.cancel()
    record.failure = failure
    record.detail = detail
    record.endedAt = this.deps.clock.now()
    this.#leave(endpoint)
    const method = this.exchange.request.method
    if (failure === failures.resetBeforeResponse && record.reusedConnection && !this.#triedFresh && isIdempotent(method) && !this.#body.dropped) {
      // The keep-alive race: the peer closed an idle connection as we wrote. It says nothing of the endpoint.
      this.#triedFresh = true
      record.retry = 'yes: an idle connection was closed under it; again on a fresh one'
      const next = this.exchange.decision.nextTry(record.endedAt)
      next.policy = record.policy
      this.attempt = next
      return this.#tryAt(endpoint, true)
    }
    if (failure.side === 'upstream') {
      endpoint.stats.failures.values[endpoint.stats.failures.index]!++
      this.#cluster!.report(endpoint, this.deps.classify(failure, 0), failure.failure)
    }
    record.retry = this.#retry(failure, endpoint)
    if (record.retry.startsWith('yes')) this.#goOn()
    else this.fail(failure, detail)
  }

  #goOn(): void {
    if (this.#delayMs === 0) this.#try()
    else this.#backoff.arm(this.#delayMs)
  }

  /** Decides on another attempt, and says why. */
  #retry(failure: Failure, endpoint: Endpoint): string {
    const { retry } = this.route!
    const condition = conditionOf(failure)
    if (condition === null || !retry.on.has(condition)) return condition === null ? '' : `no: ${condition} is not in retries.on`
    const reason = whyNot(failure, isIdempotent(this.exchange.request.method), this.#body.dropped)
    if (reason !== '') return reason
    return this.#again(condition, endpoint)
  }

  #again(condition: string, endpoint: Endpoint): string {
    const { decision } = this.exchange
    const { attempts } = this.route!.retry
    if (decision.attempts >= Math.min(attempts + (this.#triedFresh ? 1 : 0), MAX_ATTEMPTS)) return `no: that was attempt ${decision.attempts} of ${attempts}`
    if (!this.#cluster!.budget.tryWithdraw(this.deps.clock.now())) return 'no: the retry budget is spent'
    const first = !this.#tried.includes(endpoint)
    this.#tried.push(endpoint)
    // Elsewhere at once, where it can be elsewhere; a place that failed before gets a moment.
    this.#delayMs = first ? 0 : backoffMs(decision.attempts, this.deps.random)
    return `yes: ${condition}`
  }

  /** A head came: is it one to try again instead of passing on? Decided on the status alone. */
  retriesStatus(status: number): boolean {
    const { retry } = this.route!
    const gateway = status === 502 || status === 503 || status === 504
    const condition = gateway && retry.on.has('gateway-error') ? 'gateway-error' : status >= 500 && retry.on.has('5xx') ? '5xx' : null
    if (condition === null) return false
    const record = this.attempt!
    const endpoint = record.endpoint!
    if (!isIdempotent(this.exchange.request.method) || this.#body.dropped) {
      record.retry = `no: ${status} to a request that cannot be sent again`
      return false
    }
    record.retry = this.#again(condition, endpoint)
    if (!record.retry.startsWith('yes')) return false
    record.endedAt = this.deps.clock.now()
    this.upstream!.reset(failures.resetBeforeResponse, '')
    this.upstream = null
    this.#tryTimer.cancel()
    this.#leave(endpoint)
    this.#cluster!.report(endpoint, this.deps.classify(null, status), `status ${status}`)
    this.#goOn()
    return true
  }

  /** The answer has begun: from here on there is no other attempt. */
  committed(status: number): void {
    const { exchange } = this
    this.answered = true
    exchange.status = status
    this.#requestTimer.cancel()
    this.#tryTimer.cancel()
    if (!this.#body.dropped) this.#body.drop()
    const { endpoint } = exchange
    const outcome = this.deps.classify(null, status)
    if (outcome === 'failure') endpoint!.stats.failures.values[endpoint!.stats.failures.index]!++
    this.#cluster!.report(endpoint!, outcome, outcome === 'failure' ? `status ${status}` : '')
  }

  #timedOut(): void {
    if (this.done || this.answered) return
    this.#endAttempt(failures.upstreamTimeout)
    this.fail(failures.upstreamTimeout, `no response head within ${this.route!.requestTimeoutMs} ms`)
  }

  #tryTimedOut(): void {
    if (this.done || this.answered || this.upstream === null) return
    const { upstream } = this
    this.upstream = null
    upstream.reset(failures.perTryTimeout, '')
    this.attemptFailed(failures.perTryTimeout, `no response head within ${this.route!.perTryTimeoutMs} ms`)
  }

  /** Notes how the running attempt ended, if one runs, and cancels it. */
  #endAttempt(failure: Failure): void {
    const record = this.attempt
    this.#backoff.cancel()
    if (record !== null && record.endedAt === 0 && record.endpoint !== null) {
      record.failure = failure
      record.endedAt = this.deps.clock.now()
      if (failure.side === 'upstream') {
        record.endpoint.stats.failures.values[record.endpoint.stats.failures.index]!++
        this.#cluster!.report(record.endpoint, this.deps.classify(failure, 0), failure.failure)
      }
    }
    this.#cancelUpstream(failure)
  }

  #cancelUpstream(failure: Failure): void {
    const { upstream } = this
    this.#backoff.cancel()
    if (this.#waitingAt !== null) {
      this.#waitingAt.pool.cancel(this)
      this.#leave(this.#waitingAt)
      this.#waitingAt = null
    }
    if (upstream === null) return
    this.upstream = null
    upstream.reset(failure, '')
    this.#leave(this.exchange.endpoint!)
  }

  /** The endpoint has one request less. */
  #leave(endpoint: Endpoint): void {
    endpoint.active--
    endpoint.stats.active.values[endpoint.stats.active.index]!--
  }

  // ── the end ──

  /** Answers with the row of the failure table, or cuts an answer that has begun. */
  fail(failure: Failure, detail: string): void {
    if (this.answered) {
      this.#cancelUpstream(failure)
      this.stream.reset(failure, detail)
      return this.complete(failure, detail)
    }
    this.exchange.detail = detail
    const body = problemBody(failure, detail, this.exchange.requestId)
    this.#reply(failure.httpStatus, 'application/problem+json', body, failure, detail)
  }

  /** Answers with a filter's verdict. */
  reply(reply: LocalReply): void {
    this.#reply(reply.status, reply.contentType, Buffer.from(reply.body), reply.failure, '')
  }

  #reply(status: number, contentType: string, body: Buffer, failure: Failure | null, detail: string): void {
    const response: ResponseHead = { status, headers: new HeaderList(['content-type', contentType, 'content-length', String(body.length)]) }
    this.exchange.status = status
    this.exchange.bytesOut = body.length
    this.deps.onResponse(this, response)
    this.stream.head(response, false)
    this.stream.data(body, true)
    this.complete(failure, detail)
  }

  /** The upstream's answer is out whole. */
  finished(): void {
    this.upstream = null
    this.attempt!.endedAt = this.deps.clock.now()
    this.#leave(this.exchange.endpoint!)
    this.complete(null, '')
  }

  /** The running answer broke off: the attempt is over. */
  brokeOff(failure: Failure, detail: string): void {
    const { endpoint } = this.exchange
    this.upstream = null
    this.attempt!.failure = failure
    this.attempt!.detail = detail
    this.attempt!.endedAt = this.deps.clock.now()
    this.#leave(endpoint!)
    endpoint!.stats.failures.values[endpoint!.stats.failures.index]!++
    this.#cluster!.report(endpoint!, this.deps.classify(failure, 0), failure.failure)
    this.stream.reset(failure, detail)
    this.complete(failure, detail)
  }

  complete(failure: Failure | null, detail: string): void {
    if (this.done) return
    this.done = true
    const { exchange } = this
    exchange.failure = failure
    // Nobody was answered: the log has what the answer would have been.
    if (exchange.status === 0 && failure !== null) exchange.status = failure.httpStatus
    if (detail !== '') exchange.detail = detail
    exchange.completedAt = this.deps.clock.now()
    this.#requestTimer.cancel()
    this.#tryTimer.cancel()
    this.#answer.stop()
    if (this.#admitted) this.#cluster!.release()
    this.deps.onComplete(this)
  }
}
