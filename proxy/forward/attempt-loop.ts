import { anotherTry } from '../core/another-try.ts'
import type { Attempt, AttemptLoop, AttemptLoopOwner } from '../core/attempt.ts'
import { backoffMs } from '../core/backoff.ts'
import { NO_HASH, type PickContext } from '../core/balancer.ts'
import type { Clock, Random, Timer } from '../core/clock.ts'
import type { Cluster } from '../core/cluster.ts'
import type { AttemptRecord } from '../core/decision.ts'
import { endProbe, retakeProbe } from '../core/ejection.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Route } from '../core/route.ts'
import { limited } from '../core/shared-counts.ts'
import { add } from '../core/telemetry.ts'
import { fallbackOf } from './fallback.ts'
import { ENDPOINTS_FULL, pickNext } from './pick.ts'
import { Queued, type QueuedOwner } from './queued.ts'
import { mayFollow } from './retry.ts'

export interface AttemptLoopDeps {
  readonly clock: Clock
  readonly random: Random
}

export function attemptLoop<A extends Attempt>(owner: AttemptLoopOwner<A>, deps: AttemptLoopDeps): AttemptLoop<A> {
  return new Loop(owner, deps)
}

/** With less than that left, another try would hardly be answered. */
const LEAST_MS = 10
/** By how much a timer may be late. */
const TICK_MS = 10
/** Of the budget, for requests that are retries themselves: so those of several tiers do not multiply. */
const RETRIED_SHARE = 0.5

class Loop<A extends Attempt> implements AttemptLoop<A> {
  /** Attempt and record of the same number belong together. */
  readonly attempts: A[]
  latest: A | null = null
  winner: A | null = null
  cluster: Cluster | null = null
  readonly #owner: AttemptLoopOwner<A>
  readonly #deps: AttemptLoopDeps
  #route: Route | null = null
  /** A stale connection was followed by a fresh one. */
  #triedFresh = false
  /** Null: none of its exchanges ever had to wait for a permit. */
  #queued: Queued | null = null
  /** It has a permit for retries. */
  #isRetrying = false
  /** A GOAWAY was followed by another try. Once: an endpoint may go away from each connection. */
  #triedAfterGoaway = false
  /** A second attempt has begun beside the first. */
  #isHedged = false
  readonly #tried: Endpoint[] = []
  readonly #pick: PickContext
  /** Before the next attempt. */
  readonly #rest: Timer

  constructor(owner: AttemptLoopOwner<A>, deps: AttemptLoopDeps) {
    this.#owner = owner
    this.#deps = deps
    // One, as nearly every exchange has: an empty list would make room for seventeen.
    this.attempts = [owner.newAttempt()]
    const { record } = this.attempts[0]!
    this.#pick = { tried: this.#tried, record, hash: NO_HASH, sticky: '', madeCookie: '', isPreview: false }
    this.#rest = deps.clock.timer(() => this.#next(deps.clock.now(), true))
  }

  clear(): void {
    this.latest = null
    this.winner = null
    this.cluster = null
    this.#route = null
    this.#isRetrying = false
    this.#triedFresh = false
    this.#triedAfterGoaway = false
    this.#isHedged = false
    if (this.#tried.length !== 0) this.#tried.length = 0
    this.#pick.hash = NO_HASH
    this.#pick.sticky = ''
    this.#pick.madeCookie = ''
  }

  start(route: Route, cluster: Cluster, now: number): void {
    const { admission } = cluster
    this.#route = route
    const refusal = admission.admit(now)
    if (refusal === null) return this.#enter(cluster, now)
    if (admission.mayWait(refusal)) {
      this.#queued ??= new Queued(this.#queuedOwner())
      if (this.#queued.wait(cluster, refusal, now)) return
    }
    this.#refused(refusal, admission.refusedBy, now)
  }

  #queuedOwner(): QueuedOwner {
    return {
      exchange: this.#owner.exchange,
      admittedBy: (cluster, now) => this.#enter(cluster, now),
      refusedBy: (failure, detail) => this.#refused(failure, detail, this.#deps.clock.now()),
    }
  }

  /** It has its permit. */
  #enter(cluster: Cluster, now: number): void {
    const { exchange } = this.#owner
    this.cluster = cluster
    cluster.budget.deposit(exchange.startedAt)
    cluster.prepare?.(exchange, this.#pick)
    this.#next(now, false)
  }

  /** Nothing was sent: the fallback of the route may take its place. */
  #refused(failure: Failure, detail: string, now: number): void {
    const owner = this.#owner
    const { exchange } = owner
    const instead = fallbackOf(exchange, failure)
    if (instead === null) return owner.fail(failure, detail)
    if (!('cluster' in instead)) return owner.replyInstead(instead, failure, detail)
    // What of its body is gone cannot be sent there.
    if (owner.isBodyGone) return owner.fail(failure, detail)
    this.stop()
    this.cluster = null
    exchange.cluster = instead.cluster
    this.start(exchange.route!, instead.cluster, now)
  }

  /** `isRested`: time has passed since the last one. */
  #next(now: number, isRested: boolean): void {
    const { decision } = this.#owner.exchange
    const cluster = this.cluster!
    const endpoint = pickNext(cluster, decision, this.#pick, now)
    const { record } = this.#pick
    // Elsewhere at once, where it can be elsewhere; an endpoint that failed before gets a moment.
    if (endpoint !== null && !isRested && this.#tried.includes(endpoint)) {
      decision.takeBack()
      return this.#rest.arm(this.#restMs(endpoint, now))
    }
    if (endpoint !== null) {
      if (endpoint.pool.room.limits?.takeRequest() !== false) return this.#open(record, endpoint, false)
      this.#endProbe(record, endpoint)
      record.passedOver++
    }
    const isFull = record.passedOver !== 0
    record.failure = isFull ? failures.poolOverflow : failures.noHealthyUpstream
    record.endedAt = now
    this.#refused(record.failure, isFull ? ENDPOINTS_FULL : '', now)
  }

  /** How long an endpoint that failed is left alone: as it asks, else a random time; never past the end of all time. */
  #restMs(endpoint: Endpoint, now: number): number {
    const { decision } = this.#owner.exchange
    let restMs = backoffMs(decision.attempts, this.#deps.random, this.#route!.retry.backoff)
    for (let i = 0; i < decision.attempts; i++) {
      const { endpoint: asked, restMs: askedMs, headAt } = decision.tries[i]!
      if (asked === endpoint && askedMs > 0) restMs = Math.max(restMs, headAt + askedMs - now)
    }
    return Math.max(1, Math.min(restMs, this.#owner.leftMs(now) - LEAST_MS - TICK_MS))
  }

  #open(record: AttemptRecord, endpoint: Endpoint, fresh: boolean): void {
    const { exchange } = this.#owner
    const index = exchange.decision.attempts - 1
    if (index === this.attempts.length) this.attempts.push(this.#owner.newAttempt())
    const attempt = this.attempts[index]!
    exchange.endpoint = endpoint
    record.endpoint = endpoint
    attempt.record = record
    this.latest = attempt
    endpoint.active++
    add(endpoint.stats.active, 1)
    add(endpoint.stats.requests, 1)
    attempt.open(fresh)
  }

  won(attempt: A): void {
    this.winner = attempt
    this.#retried()
    if (this.#isHedged) this.#drop(attempt)
  }

  /** Those that have lost. */
  #drop(winner: A): void {
    const now = this.#deps.clock.now()
    this.latest = winner
    this.#owner.exchange.endpoint = winner.record.endpoint
    for (const attempt of this.attempts) {
      if (attempt === winner || !attempt.giveUp(failures.hedgeLost)) continue
      this.ended(attempt, failures.hedgeLost, '', now)
      this.#owner.lost(attempt.record, now)
    }
  }

  hasOther(attempt: A): boolean {
    return this.#isHedged && this.attempts.some(other => other !== attempt && other.isRunning)
  }

  hedge(): void {
    const { exchange, isIdempotent, isBodyGone } = this.#owner
    const { decision } = exchange
    if (this.winner !== null || this.#isHedged || !isIdempotent || isBodyGone) return
    const now = this.#deps.clock.now()
    const running = this.latest!
    if (!running.isRunning || this.#made >= this.#route!.retry.attempts) return
    this.#tried.push(running.record.endpoint!)
    const endpoint = pickNext(this.cluster!, decision, this.#pick, now)
    const { record } = this.#pick
    if (endpoint === null || !this.#mayHedge(endpoint, now)) {
      this.#tried.pop()
      if (endpoint !== null) this.#endProbe(record, endpoint)
      return decision.takeBack()
    }
    this.#isHedged = true
    record.isHedge = true
    this.#open(record, endpoint, false)
  }

  /** It takes what it needs: a request at the endpoint, a retry of the service, one of the budget. */
  #mayHedge(endpoint: Endpoint, now: number): boolean {
    if (this.#tried.includes(endpoint) || this.#owner.leftMs(now) < LEAST_MS) return false
    const { limits } = endpoint.pool.room
    if (limits?.takeRequest() === false) return false
    if (this.#mayRetry() && this.#withdraws(now)) return true
    limits?.counts.give(limited.requests)
    this.#retried()
    return false
  }

  #withdraws(now: number): boolean {
    return this.cluster!.budget.tryWithdraw(now, this.#owner.isRetry ? RETRIED_SHARE : 1, this.#route!.retry.used)
  }

  hasElsewhere({ endpoint }: AttemptRecord): boolean {
    const { decision } = this.#owner.exchange
    this.#tried.push(endpoint!)
    // It is only asked: no probe is taken.
    this.#pick.isPreview = true
    const next = pickNext(this.cluster!, decision, this.#pick, this.#deps.clock.now())
    this.#pick.isPreview = false
    decision.takeBack()
    const isElsewhere = next !== null && !this.#tried.includes(next)
    this.#tried.pop()
    return isElsewhere
  }

  failed(attempt: A, failure: Failure, detail: string, isStale: boolean): void {
    const owner = this.#owner
    const { record } = attempt
    const now = this.#deps.clock.now()
    const { probe } = record
    this.ended(attempt, failure, detail, now)
    if (this.hasOther(attempt)) {
      record.another = anotherTry.otherRuns
      return this.blame(attempt, failure)
    }
    // The keep-alive race: the peer closed an idle connection as we wrote. It says nothing of the endpoint.
    if (isStale && !this.#triedFresh && owner.isIdempotent && !owner.isBodyGone) {
      this.#triedFresh = true
      record.another = anotherTry.onStaleConnection
      const next = owner.exchange.decision.nextTry(now)
      next.policy = record.policy
      next.isProbe = record.isProbe
      if (record.isProbe) next.probe = retakeProbe(record.endpoint!.shared, probe, now)
      record.endpoint!.pool.room.limits?.counts.add(limited.requests)
      return this.#open(next, record.endpoint!, true)
    }
    if (failure === failures.goawayUnprocessed && !this.#triedAfterGoaway && !owner.isBodyGone) {
      this.#triedAfterGoaway = true
      record.another = anotherTry.onGoaway
      this.#tried.push(record.endpoint!)
      return this.#next(now, true)
    }
    this.blame(attempt, failure)
    if (mayFollow(record, failure, this.#route!.retry.on, owner) && this.allows(record)) this.goOn(record)
    else owner.fail(failure, detail)
  }

  ended({ record }: A, failure: Failure | null, detail: string, now: number): void {
    const endpoint = record.endpoint!
    record.failure = failure
    record.detail = detail
    record.endedAt = now
    this.#endProbe(record, endpoint)
    endpoint.active--
    endpoint.pool.room.limits?.counts.give(limited.requests)
    add(endpoint.stats.active, -1)
  }

  /** Another request may be the probe of the endpoint. */
  #endProbe(record: AttemptRecord, endpoint: Endpoint): void {
    if (record.probe === 0) return
    endProbe(endpoint.shared, record.probe)
    record.probe = 0
  }

  blame({ record }: A, failure: Failure): void {
    if (failure.outcome !== 'failure') return
    const endpoint = record.endpoint!
    const cluster = this.cluster!
    add(endpoint.stats.failures, 1)
    cluster.report(record, 'failure', failure, this.#owner.exchange.requestId)
    cluster.observe(endpoint, 'failure', this.#owner.waitedMs(record, this.#deps.clock.now()), null)
  }

  /** Tries that count against `retries.attempts`. */
  get #made(): number {
    const free = (this.#triedFresh ? 1 : 0) + (this.#triedAfterGoaway ? 1 : 0)
    return this.#owner.exchange.decision.attempts - free
  }

  allows(record: AttemptRecord): boolean {
    const now = this.#deps.clock.now()
    if (this.#made >= this.#route!.retry.attempts) record.another = anotherTry.attemptsMade
    else if (this.#owner.leftMs(now) - record.delayMs < LEAST_MS) record.another = anotherTry.noTime
    else if (!this.#mayRetry()) record.another = anotherTry.retriesFull
    else if (!this.#withdraws(now)) record.another = this.#owner.isRetry ? anotherTry.isRetry : anotherTry.budgetSpent
    else {
      this.#tried.push(record.endpoint!)
      return true
    }
    return false
  }

  /** One permit for all retries of the exchange, until one is answered. */
  #mayRetry(): boolean {
    this.#isRetrying ||= this.cluster!.admission.admitRetry()
    return this.#isRetrying
  }

  #retried(): void {
    if (!this.#isRetrying) return
    this.#isRetrying = false
    this.cluster!.admission.releaseRetry()
  }

  goOn({ delayMs }: AttemptRecord): void {
    if (delayMs === 0) this.#next(this.#deps.clock.now(), false)
    else this.#rest.arm(delayMs)
  }

  cookie(endpoint: Endpoint): string {
    return this.cluster!.cookie?.(this.#pick, endpoint) ?? ''
  }

  cancel(failure: Failure): void {
    this.#rest.cancel()
    this.#queued?.leave()
    for (const attempt of this.attempts) {
      if (!attempt.giveUp(failure)) continue
      this.ended(attempt, failure, '', this.#deps.clock.now())
      this.blame(attempt, failure)
    }
  }

  stop(): void {
    this.#retried()
    this.cluster?.admission.release()
  }
}
