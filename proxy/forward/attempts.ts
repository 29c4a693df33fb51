import { backoffMs } from '../core/backoff.ts'
import { NO_HASH, type PickContext } from '../core/balancer.ts'
import type { Clock, Random, Timer } from '../core/clock.ts'
import type { Classification, Cluster } from '../core/cluster.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Failure, failures, isFailure } from '../core/failure.ts'
import { isGrpcServerError, NO_GRPC_STATUS } from '../core/grpc.ts'
import type { Headers, Receiver, RequestHead, ResponseHead, UpstreamStream } from '../core/message.ts'
import type { PoolWaiter } from '../core/pool.ts'
import type { Route } from '../core/route.ts'
import { add } from '../core/telemetry.ts'
import type { Answer } from './answer.ts'
import { AnswerClock, type AnswerClockOwner } from './answer-clock.ts'
import { grpcMessageOf, grpcStatusOf, isGrpc } from './grpc.ts'
import { tellDeadline } from './grpc-deadline.ts'
import { grpcCondition, NEVER_AGAIN, NO_PUSHBACK, pushbackMs, tellPrevious } from './grpc-retry.ts'
import type { HeldBody } from './held-body.ts'
import { isIdempotent, statusCondition, whyNot } from './retry.ts'

export interface AttemptsDeps {
  readonly clock: Clock
  readonly random: Random
  classify(failure: Failure | null, status: number, grpcStatus?: number): Classification
}

/** Whose attempts these are: the exchange's two other sides. */
export interface AttemptsOwner {
  readonly exchange: Exchange
  /** What has come of the request body, and may have to be sent again. */
  readonly body: HeldBody
  /** Gets the upstream's answer. */
  readonly answer: Receiver<ResponseHead> & Pick<Answer, 'awaited' | 'requestMoved' | 'movedAt'>
  /** No attempt is left: answer with this. */
  fail(failure: Failure, detail: string): void
  /** The rest of the request body may come. */
  resumeBody(): void
}

/**
 * The attempt loop of an exchange: balancer, pool, stream, and what follows when one of them fails. Ends when an answer
 * begins (`committed`), or in `owner.fail`.
 */
export class Attempts implements PoolWaiter, AnswerClockOwner {
  upstream: UpstreamStream | null = null
  current: AttemptRecord | null = null
  readonly #owner: AttemptsOwner
  readonly #deps: AttemptsDeps
  #route: Route | null = null
  #cluster: Cluster | null = null
  /** Where a connection is waited for. */
  #waitingAt: Endpoint | null = null
  /** The request had no body at all, as against one that turned out empty and still has to be ended. */
  #bodiless = true
  #replayable = false
  /** A copy of the request body is kept: it may be sent again, at least after some failures. */
  #keepsBody = false
  #triedFresh = false
  /** The head that came last is of gRPC. */
  #isGrpc = false
  /** A gRPC answer has begun that says at its end how the call went. */
  awaitsStatus = false
  readonly #tried: Endpoint[] = []
  /** Before the next attempt, as the endpoint wants it. */
  #delayMs = 0
  readonly #pick: PickContext
  readonly clock: AnswerClock
  readonly #backoff: Timer

  get request(): RequestHead {
    return this.#owner.exchange.request
  }

  constructor(owner: AttemptsOwner, deps: AttemptsDeps) {
    this.#owner = owner
    this.#deps = deps
    this.#pick = {
      tried: this.#tried,
      record: owner.exchange.decision.nextTry(0),
      hash: NO_HASH,
      sticky: '',
      madeCookie: '',
    }
    this.clock = new AnswerClock(owner.exchange, deps.clock, this)
    this.#backoff = deps.clock.timer(() => this.#try(true))
  }

  /** Before each request. */
  clear(bodiless: boolean): void {
    this.upstream = null
    this.current = null
    this.#route = null
    this.#cluster = null
    this.#waitingAt = null
    this.#bodiless = bodiless
    this.#triedFresh = false
    this.#isGrpc = false
    this.awaitsStatus = false
    this.#tried.length = 0
    this.#pick.hash = NO_HASH
    this.#pick.sticky = ''
    this.#pick.madeCookie = ''
  }

  /** How much of the request body is worth keeping. */
  get replayBytes(): number {
    return this.#keepsBody ? this.#route!.retry.replayBytes : 0
  }

  start(route: Route, cluster: Cluster): void {
    const { exchange } = this.#owner
    this.#route = route
    const overflow = cluster.admit()
    if (overflow !== null) return this.#owner.fail(overflow, '`limits.requests`')
    this.#cluster = cluster
    this.#replayable = isIdempotent(exchange.request.method)
    this.#keepsBody = this.#replayable || (cluster.mayBeGrpc && route.retry.anyMethod)
    cluster.budget.deposit(exchange.startedAt)
    cluster.prepare?.(exchange, this.#pick)
    this.clock.begin(route)
    this.#try(false)
  }

  /** `isRested`: time has passed since the last one. */
  #try(isRested: boolean): void {
    const { decision, startedAt } = this.#owner.exchange
    const record = decision.nextTry(decision.attempts === 0 ? startedAt : this.#deps.clock.now())
    record.policy = this.#cluster!.policy
    this.#pick.record = record
    const endpoint = this.#cluster!.balancer.pick(this.#pick)
    // Elsewhere at once, where it can be elsewhere; an endpoint that failed before gets a moment.
    if (endpoint !== null && !isRested && this.#tried.includes(endpoint)) {
      decision.takeBack()
      return this.#backoff.arm(backoffMs(decision.attempts, this.#deps.random))
    }
    this.current = record
    if (endpoint !== null) return this.#tryAt(endpoint, false)
    record.failure = failures.noHealthyUpstream
    record.endedAt = record.startedAt
    this.#owner.fail(failures.noHealthyUpstream, '')
  }

  #tryAt(endpoint: Endpoint, fresh: boolean): void {
    this.#owner.exchange.endpoint = endpoint
    this.current!.endpoint = endpoint
    endpoint.active++
    add(endpoint.stats.active, 1)
    add(endpoint.stats.requests, 1)
    const got = endpoint.pool.acquire(this, fresh)
    if (got === null) this.#waitingAt = endpoint
    else if (isFailure(got)) this.failed(got, '')
    else this.acquired(got)
  }

  acquired(stream: UpstreamStream): void {
    const { exchange, body, answer } = this.#owner
    const record = this.current!
    this.#waitingAt = null
    this.upstream = stream
    stream.receiver = answer
    record.reusedConnection = stream.reused
    record.carried = stream.carried
    record.sentAt = stream.reused ? record.startedAt : this.#deps.clock.now()
    exchange.upstreamStartedAt = record.sentAt
    answer.awaited(record.sentAt)
    this.clock.tryBegan(record.sentAt)
    if (exchange.grpc !== '') {
      tellDeadline(exchange, record.sentAt)
      tellPrevious(exchange.request.headers, exchange.decision)
    }
    if (this.#bodiless) return stream.head(exchange.request, true)
    stream.head(exchange.request, false)
    // One that shares a connection may be refused before anybody looked at it, whatever the method.
    if (stream.carried) this.#keepsBody ||= this.#route!.retry.anyMethod
    const writable = body.bytes === 0 && !body.ended ? true : body.sendTo(stream)
    // A copy is kept only of what may be sent again.
    if (body.bytes > this.replayBytes || !this.#keepsBody) body.drop()
    if (writable) this.#owner.resumeBody()
    else answer.requestMoved(false)
  }

  acquireFailed(failure: Failure, detail: string): void {
    this.#waitingAt = null
    this.failed(failure, detail)
  }

  /** The running attempt ended without an answer that could be passed on. */
  failed(failure: Failure, detail: string): void {
    const record = this.current!
    const endpoint = record.endpoint!
    const { body, exchange } = this.#owner
    const stale = failure === failures.resetBeforeResponse && this.upstream !== null && this.upstream.reused
    this.upstream = null
    record.failure = failure
    record.detail = detail
    record.endedAt = this.#deps.clock.now()
    this.clock.tryEnded(record.endedAt)
    leave(endpoint)
    if (stale && !this.#triedFresh && this.#replayable && !body.dropped) {
      // The keep-alive race: the peer closed an idle connection as we wrote. It says nothing of the endpoint.
      this.#triedFresh = true
      record.retry = 'yes: an idle connection was closed under it; again on a fresh one'
      const next = exchange.decision.nextTry(record.endedAt)
      next.policy = record.policy
      this.current = next
      return this.#tryAt(endpoint, true)
    }
    this.#blame(endpoint, failure)
    record.retry = this.#mayRetry(failure, endpoint)
    if (record.retry.startsWith('yes')) this.#goOn()
    else this.#owner.fail(failure, detail)
  }

  /** A final head came from the endpoint. */
  headCame(response: ResponseHead, now: number): void {
    const record = this.current!
    const endpoint = record.endpoint!
    const tookMs = this.#waitedMs(now)
    record.status = response.status
    endpoint.stats.latency.record(tookMs)
    const cluster = this.#cluster!
    this.#isGrpc = cluster.mayBeGrpc && response.status === 200 && isGrpc(response.headers)
    if (this.#isGrpc) record.grpcStatus = grpcStatusOf(response.headers)
    const outcome = isGrpcServerError(record.grpcStatus)
      ? 'failure'
      : this.#deps.classify(null, response.status, record.grpcStatus)
    cluster.observe(endpoint, outcome, tookMs, response)
  }

  /**
   * Is it one to try again instead of passing on? Decided on the head alone; a gRPC status that is in it is all there
   * is of the answer.
   */
  retriesAnswer(response: ResponseHead, now: number): boolean {
    const { status, headers } = response
    const record = this.current!
    const { on } = this.#route!.retry
    const isUnsent = !!response.unsent && on.has('connect-failure')
    const isGrpcStatus = record.grpcStatus > 0
    const condition = isUnsent
      ? 'connect-failure'
      : isGrpcStatus
        ? grpcCondition(record.grpcStatus, on)
        : statusCondition(status, on)
    if (condition === null) return false
    // Who names a gRPC status says of the methods that they bear it.
    if ((!this.#replayable && !isGrpcStatus && !isUnsent) || this.#owner.body.dropped) {
      record.retry = `no: ${isGrpcStatus ? condition : status} to a request that cannot be sent again`
      return false
    }
    const pushback = isGrpcStatus ? pushbackMs(headers) : NO_PUSHBACK
    if (pushback === NEVER_AGAIN) record.retry = 'no: the endpoint wants no other try (grpc-retry-pushback-ms)'
    else if (pushback > this.clock.leftMs(now))
      record.retry = `no: the endpoint wants to wait ${pushback} ms, which is longer than the request may take`
    else record.retry = this.#again(condition, record.endpoint!)
    if (!record.retry.startsWith('yes')) return false
    if (pushback !== NO_PUSHBACK) this.#delayMs = pushback
    this.#drop(response, now)
    this.#goOn()
    return true
  }

  /** Nobody gets this answer. */
  #drop({ status, unsent }: ResponseHead, now: number): void {
    const record = this.current!
    record.endedAt = now
    if (unsent) {
      record.failure = failures.applicationUnreachable
      record.detail = `its sidecar says ${unsent}`
    }
    this.upstream!.reset(failures.resetBeforeResponse, '')
    this.upstream = null
    this.clock.tryEnded(now)
    leave(record.endpoint!)
    this.#judge(record.endpoint!, status, record.grpcStatus)
  }

  /** A head came that cannot be passed on. */
  refuse(failure: Failure, detail: string): void {
    this.upstream!.reset(failure, detail)
    this.failed(failure, detail)
  }

  /** Decides on another attempt, and says why. */
  #mayRetry(failure: Failure, endpoint: Endpoint): string {
    const { condition } = failure
    if (condition === null) return ''
    if (!this.#route!.retry.on.has(condition)) return `no: ${condition} is not in retries.on`
    const reason = whyNot(failure, this.#replayable, this.#owner.body.dropped)
    return reason === '' ? this.#again(condition, endpoint) : reason
  }

  #again(condition: string, endpoint: Endpoint): string {
    const { decision } = this.#owner.exchange
    const { attempts } = this.#route!.retry
    // The fresh connection after a stale one is not an attempt of the policy's.
    const made = decision.attempts - (this.#triedFresh ? 1 : 0)
    if (made >= attempts) return `no: that was attempt ${made} of ${attempts}`
    if (!this.#cluster!.budget.tryWithdraw(this.#deps.clock.now())) return 'no: the retry budget is spent'
    this.#delayMs = 0
    this.#tried.push(endpoint)
    return `yes: ${condition}`
  }

  #goOn(): void {
    if (this.#delayMs === 0) this.#try(false)
    else this.#backoff.arm(this.#delayMs)
  }

  /** The answer has begun: from here on there is no other attempt. */
  committed(response: ResponseHead): void {
    const { endpoint, grpcStatus } = this.current!
    const cookie = this.#cluster!.cookie?.(this.#pick, endpoint!) ?? ''
    if (cookie !== '') response.headers.add('set-cookie', cookie)
    this.clock.answered()
    if (!this.#owner.body.dropped) this.#owner.body.drop()
    if (this.#isGrpc && grpcStatus < 0) this.awaitsStatus = true
    else {
      if (this.#isGrpc) this.#keepStatus(grpcStatus, response.headers)
      this.#judge(endpoint!, response.status, grpcStatus)
    }
  }

  /** How the call went, by what the endpoint said. */
  #keepStatus(grpcStatus: number, headers: Headers): void {
    const { exchange } = this.#owner
    this.current!.grpcStatus = grpcStatus
    exchange.grpcStatus = grpcStatus
    if (grpcStatus > 0) exchange.grpcMessage = grpcMessageOf(headers)
  }

  /** The end of an answer that has begun. */
  trailersCame(trailers: Headers): void {
    if (!this.awaitsStatus) return
    this.awaitsStatus = false
    const endpoint = this.current!.endpoint!
    const grpcStatus = grpcStatusOf(trailers)
    this.#keepStatus(grpcStatus, trailers)
    this.#judge(endpoint, 200, grpcStatus)
    this.#cluster!.observeTrailers(endpoint, trailers)
  }

  /** What an answer says of its endpoint, whether it is passed on or not. */
  #judge(endpoint: Endpoint, status: number, grpcStatus: number): void {
    const outcome = this.#deps.classify(null, status, grpcStatus)
    if (outcome === 'failure') add(endpoint.stats.failures, 1)
    const reason = outcome !== 'failure' ? '' : grpcStatus > 0 ? `grpc-status ${grpcStatus}` : `status ${status}`
    this.#cluster!.report(endpoint, outcome, reason, this.current!.startedAt)
  }

  /** The answer is out whole (null), or broke off. */
  ended(failure: Failure | null, detail: string): void {
    const record = this.current!
    this.upstream = null
    record.failure = failure
    record.detail = detail
    record.endedAt = this.#deps.clock.now()
    leave(record.endpoint!)
    if (failure !== null) this.#blame(record.endpoint!, failure)
    // Without a status at its end: the HTTP one is all there is to go by.
    else if (this.awaitsStatus) this.#judge(record.endpoint!, 200, NO_GRPC_STATUS)
  }

  /** Whatever runs or waits is given up. */
  cancel(failure: Failure): void {
    const record = this.current
    this.#backoff.cancel()
    if (record === null || record.endpoint === null || (this.upstream === null && this.#waitingAt === null)) return
    this.#waitingAt?.pool.cancel(this)
    this.#waitingAt = null
    this.upstream?.reset(failure, '')
    this.ended(failure, '')
  }

  /** The exchange is over. */
  stop(): void {
    this.clock.stop()
    this.#cluster?.release()
  }

  late(failure: Failure, detail: string): void {
    this.cancel(failure)
    this.#owner.fail(failure, detail)
  }

  tryLate(detail: string): void {
    const { upstream } = this
    if (upstream === null) return
    upstream.reset(failures.perTryTimeout, '')
    this.failed(failures.perTryTimeout, detail)
  }

  /** How long the endpoint was waited for: not while the caller had more to send. */
  #waitedMs(now: number): number {
    const { exchange, answer } = this.#owner
    const { sentAt, startedAt } = this.current!
    return now - Math.max(sentAt || startedAt, exchange.requestEndedAt || answer.movedAt)
  }

  #blame(endpoint: Endpoint, failure: Failure): void {
    const outcome = this.#deps.classify(failure, 0)
    if (outcome !== 'failure') return
    add(endpoint.stats.failures, 1)
    this.#cluster!.report(endpoint, outcome, failure.failure, this.current!.startedAt)
    this.#cluster!.observe(endpoint, outcome, this.#waitedMs(this.#deps.clock.now()), null)
  }
}

/** The endpoint has one request less. */
function leave(endpoint: Endpoint): void {
  endpoint.active--
  add(endpoint.stats.active, -1)
}
