import { expect, test } from 'vitest'
import type { RetryCondition } from '../../mesh-config/snapshot.ts'
import type { Attempt, AttemptLoop, AttemptLoopOwner } from '../../proxy/core/attempt.ts'
import type { PickContext } from '../../proxy/core/balancer.ts'
import type { Cluster } from '../../proxy/core/cluster.ts'
import { type AttemptRecord, NO_ATTEMPT } from '../../proxy/core/decision.ts'
import { type Failure, failures } from '../../proxy/core/failure.ts'
import type { Route } from '../../proxy/core/route.ts'
import { attemptLoop } from '../../proxy/forward/attempt-loop.ts'
import { manualClock } from '../support/clock.ts'
import { bareEndpoints } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { finishedExchange } from '../support/finished-exchange.ts'

/** The loop with an owner that is neither a request nor a tunnel: what both rely on. */

class Scripted implements Attempt {
  record: AttemptRecord = NO_ATTEMPT
  isRunning = false
  fresh = false

  open(fresh: boolean): void {
    this.isRunning = true
    this.fresh = fresh
  }

  giveUp(): boolean {
    const { isRunning } = this
    this.isRunning = false
    return isRunning
  }
}

class Owner implements AttemptLoopOwner<Scripted> {
  readonly time = new EventLoop()
  readonly exchange = finishedExchange()
  readonly endpoints = bareEndpoints([1, 1])
  readonly loop: AttemptLoop<Scripted>
  readonly blamed: string[] = []
  isIdempotent = true
  isBodyGone = false
  isRetry = false
  left = Number.POSITIVE_INFINITY
  lost(): void {}
  ended: Failure | null = null
  permits = 0
  budget = 10

  constructor() {
    this.loop = attemptLoop(this, { clock: manualClock(this.time), random: () => 0.5 })
  }

  newAttempt(): Scripted {
    return new Scripted()
  }

  leftMs(): number {
    return this.left
  }

  waitedMs({ startedAt }: AttemptRecord, now: number): number {
    return now - startedAt
  }

  replyInstead() {}

  fail(failure: Failure): void {
    this.ended = failure
    this.loop.stop()
  }

  start(on: RetryCondition[] = ['connect-failure', 'reset-before-response'], attempts = 3): void {
    this.exchange.begin(this.exchange.request, this.time.now)
    this.loop.clear()
    const route = {
      fallback: null,
      retry: { on: new Set(on), attempts, replayBytes: 0, anyMethod: false, used: null },
    } as unknown as Route
    this.loop.start(route, this.#cluster(), this.time.now)
  }

  #cluster(): Cluster {
    const cluster: Partial<Cluster> = {
      policy: 'in turn',
      balancer: {
        pick: ({ tried }: PickContext) => this.endpoints.find(one => !tried.includes(one)) ?? this.endpoints[0]!,
      },
      budget: {
        deposit: () => {},
        tryWithdraw: () => this.budget-- > 0,
        state: () => ({ spent: 0, allowed: this.budget }),
      },
      prepare: null,
      cookie: null,
      admission: {
        admit: () => {
          this.permits++
          return null
        },
        release: () => {
          this.permits--
        },
        admitRetry: () => true,
        releaseRetry: () => {},
        refusal: () => null,
        refusedBy: '',
        mayWait: () => false,
        wait: () => false,
        leave: () => {},
        describe: () => [],
      },
      report: (_record, outcome, failure) => void this.blamed.push(`${outcome}: ${failure?.failure}`),
      observe: () => {},
    }
    return cluster as Cluster
  }

  get latest(): Scripted {
    return this.loop.latest!
  }

  failLatest(failure: Failure, isStale = false): void {
    const attempt = this.latest
    attempt.isRunning = false
    this.loop.failed(attempt, failure, '', isStale)
  }

  get active(): number[] {
    return this.endpoints.map(({ active }) => active)
  }

  get reasons(): string[] {
    const { tries, attempts } = this.exchange.decision
    return tries.slice(0, attempts).map(({ another }) => another.because)
  }
}

test('an exchange of one attempt makes one object, and the next exchange uses it again', () => {
  const owner = new Owner()
  owner.start()
  const first = owner.latest
  owner.loop.won(first)
  first.isRunning = false
  owner.loop.ended(first, null, '', owner.time.now)
  owner.loop.stop()
  owner.start()
  expect([owner.latest === first, owner.loop.attempts.length, owner.loop.winner]).toEqual([true, 1, null])
  owner.loop.cancel(failures.drained)
  owner.loop.stop()
  expect([owner.active, owner.permits]).toEqual([[0, 0], 0])
})

test('elsewhere at once, then after a rest where it failed before, as often as the policy says', () => {
  const owner = new Owner()
  owner.start()
  owner.failLatest(failures.connectRefused)
  expect(owner.active).toEqual([0, 1])
  owner.failLatest(failures.connectRefused)
  expect(owner.active).toEqual([0, 0])
  owner.time.advance(300)
  expect(owner.active).toEqual([1, 0])
  owner.failLatest(failures.connectRefused)
  expect(owner.reasons).toEqual(['condition', 'condition', 'attempts'])
  expect([owner.ended, owner.active, owner.permits]).toEqual([failures.connectRefused, [0, 0], 0])
  expect(owner.blamed).toEqual(Array(3).fill('failure: connect-refused'))
})

test('a fresh connection after a stale one counts neither as an attempt nor against the endpoint, once', () => {
  const owner = new Owner()
  owner.start(['reset-before-response'], 2)
  owner.failLatest(failures.resetBeforeResponse, true)
  expect([owner.latest.fresh, owner.active, owner.blamed]).toEqual([true, [1, 0], []])
  owner.failLatest(failures.resetBeforeResponse, true)
  owner.failLatest(failures.resetBeforeResponse)
  expect(owner.reasons).toEqual(['stale-connection', 'condition', 'attempts'])
})

test('after a GOAWAY the request goes elsewhere, whatever the policy and the budget say, once', () => {
  const owner = new Owner()
  owner.isIdempotent = false
  owner.budget = 1
  owner.start(['refused-stream'], 2)
  owner.failLatest(failures.goawayUnprocessed)
  expect([owner.active, owner.budget, owner.blamed]).toEqual([[0, 1], 1, []])
  owner.failLatest(failures.goawayUnprocessed)
  owner.time.advance(1000)
  owner.failLatest(failures.goawayUnprocessed)
  expect(owner.reasons).toEqual(['goaway', 'condition', 'attempts'])
})

test('a request whose body is gone does not go elsewhere after a GOAWAY', () => {
  const owner = new Owner()
  owner.isBodyGone = true
  owner.start(['refused-stream'], 2)
  owner.failLatest(failures.goawayUnprocessed)
  expect(owner.reasons).toEqual(['body-gone'])
})

test('with no time left there is no other attempt, and no budget is spent on it', () => {
  const owner = new Owner()
  owner.start()
  owner.left = 9
  owner.failLatest(failures.connectRefused)
  expect([owner.reasons, owner.ended, owner.budget]).toEqual([['no-time'], failures.connectRefused, 10])
})

test('without budget there is no other attempt', () => {
  const owner = new Owner()
  owner.budget = 0
  owner.start()
  owner.failLatest(failures.connectRefused)
  expect([owner.reasons, owner.ended]).toEqual([['budget'], failures.connectRefused])
})

test('a second attempt may begin while the first one runs, and a cancel gives up both', () => {
  const owner = new Owner()
  owner.start()
  const first = owner.latest
  expect([owner.loop.allows(first.record), owner.budget]).toEqual([true, 9])
  owner.loop.goOn(first.record)
  expect([owner.latest === first, owner.loop.attempts.length, owner.active]).toEqual([false, 2, [1, 1]])
  owner.loop.cancel(failures.upstreamTimeout)
  owner.loop.stop()
  expect([owner.active, owner.permits]).toEqual([[0, 0], 0])
  expect(owner.blamed).toEqual(Array(2).fill('failure: upstream-timeout'))
})

test('a cancel while it rests leaves nothing that wakes up later', () => {
  const owner = new Owner()
  owner.start()
  owner.failLatest(failures.connectRefused)
  owner.failLatest(failures.connectRefused)
  owner.loop.cancel(failures.downstreamGone)
  owner.loop.stop()
  owner.time.advance(1000)
  expect([owner.active, owner.permits, owner.exchange.decision.attempts]).toEqual([[0, 0], 0, 2])
})
