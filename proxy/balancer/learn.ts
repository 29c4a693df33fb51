import type { BalancerDeps, Observe } from '../core/balancer.ts'
import type { Classification } from '../core/cluster.ts'
import type { EndpointLoad } from '../core/endpoint-load.ts'
import type { ResponseHead } from '../core/message.ts'
import { retryAfterMs } from './retry-after.ts'

/** The part that is left, after this time, of a value that falls to 1/e in `decayMs`. */
export function fading(elapsedMs: number, decayMs: number): number {
  const x = elapsedMs / decayMs
  if (x <= 0) return 1
  // A busy endpoint has hardly any time between two requests, and exp is expensive.
  return x < 0.001 ? 1 - x : Math.exp(-x)
}

/**
 * Whether an attempt failed, for balancers. Outlier detection ignores 429 and 500. Balancers count both as failures:
 * the endpoint wants fewer requests, or would look fast because it fails fast.
 */
export function hasFailed(outcome: Classification, head: ResponseHead | null): boolean {
  return outcome === 'failure' || (head !== null && (head.status === 429 || head.status >= 500))
}

/** The failure rate of the last attempts: those of the last `decayMs`, or the last one, if it is older. */
export function countAttempt(load: EndpointLoad, failed: boolean, now: number, decayMs: number): void {
  load.attempts = load.attempts * fading(now - load.attemptAt, decayMs) + 1
  load.attemptAt = now
  load.failureRate += ((failed ? 1 : 0) - load.failureRate) / load.attempts
}

/**
 * The duration as which an attempt counts. A failure counts as the penalty, or as its Retry-After, in proportion to how
 * many attempts failed recently: an endpoint that always fails gets all of it at once, and one failure in a thousand
 * has hardly any effect. Call after `countAttempt`.
 */
export function countedMs(
  load: EndpointLoad,
  tookMs: number,
  failed: boolean,
  head: ResponseHead | null,
  deps: BalancerDeps,
): number {
  if (!failed || deps.spec.failurePenaltyMs === 0) return tookMs
  return Math.max(tookMs, penaltyMs(head, deps) * load.failureRate)
}

function penaltyMs(head: ResponseHead | null, deps: BalancerDeps): number {
  const asked = retryAfterMs(head, deps.clock)
  return asked < 0 ? deps.spec.failurePenaltyMs : asked
}

/** Smaller values count as 0. */
const NEGLIGIBLE = 0.05

/** How many requests an endpoint's failures count as now. */
export function failingNow(load: EndpointLoad, now: number, deps: BalancerDeps): number {
  if (load.failing === 0) return 0
  const left = load.failing * fading(now - load.failedAt, deps.spec.failurePenaltyMs)
  if (left < NEGLIGIBLE) load.failing = 0
  return left
}

/**
 * For policies that count requests under way: a failure counts as a request under way for as long as the penalty, or
 * its Retry-After, says. An endpoint that fails fast would otherwise look idle. The failure weighs e at first and has
 * faded to one request by the end of that time; it weighs less where failures are rare. Call after `countAttempt`.
 */
export function keepFailure(load: EndpointLoad, head: ResponseHead | null, now: number, deps: BalancerDeps): void {
  const { failurePenaltyMs } = deps.spec
  if (failurePenaltyMs === 0) return
  const until = now + Math.max(0, retryAfterMs(head, deps.clock) - failurePenaltyMs)
  load.failing = failingNow(load, now, deps) + Math.E * load.failureRate
  load.failedAt = Math.max(load.failedAt, until)
}

/** For policies that go by requests under way, which are counted elsewhere: they learn from failures only. */
export const observeFailures: Observe = ({ load }, outcome, _tookMs, head, deps) => {
  if (outcome === 'ignorable') return
  const now = deps.clock.now()
  const failed = hasFailed(outcome, head)
  countAttempt(load, failed, now, deps.spec.decayMs)
  if (failed) keepFailure(load, head, now, deps)
}
