/**
 * Was there another try after this one, and why? One frozen value for each reason, which the record of the try points
 * to; telemetry/another-try-words.ts has the sentences.
 */
export interface AnotherTry {
  readonly again: boolean
  /** Empty: the question did not come up. */
  readonly because: string
  /** The next try does not count against `retries.attempts`, nor against the budget. */
  readonly isFree: boolean
  /** The request was tried as often as it may be: who sent it should not begin again. */
  readonly isSpent: boolean
}

function value<const Because extends string>(again: boolean, because: Because, isFree = false, isSpent = false) {
  return Object.freeze({ again, because, isFree, isSpent })
}

function spent<const Because extends string>(because: Because) {
  return value(false, because, false, true)
}

export const anotherTry = {
  unasked: value(false, ''),
  /** `AttemptRecord.condition` is in `retries.on`, and nothing else speaks against it. */
  onCondition: value(true, 'condition'),
  /** An idle connection was closed as it was used. */
  onStaleConnection: value(true, 'stale-connection', true),
  /** The endpoint went away and says that it has not looked at the request (RFC 9113 section 8.7). */
  onGoaway: value(true, 'goaway', true),
  notInPolicy: value(false, 'not-in-policy'),
  /** The failure allows none. */
  final: value(false, 'final'),
  bodyGone: value(false, 'body-gone'),
  /** The endpoint may have acted on a request that is not idempotent. */
  mayHaveActed: value(false, 'may-have-acted'),
  /** One of the two before, after an answer. */
  notReplayable: value(false, 'not-replayable'),
  /** `retries.attempts` are made. */
  attemptsMade: spent('attempts'),
  budgetSpent: spent('budget'),
  /** `limits.retries` of the service is reached. */
  retriesFull: spent('retries-full'),
  /** The request came as a retry, and those have half of the budget. */
  isRetry: spent('is-retry'),
  /** The answer says that behind the endpoint it was tried already, or is over limits there. */
  overloaded: spent('overloaded'),
  /** What is left of the time is too short for another try. */
  noTime: value(false, 'no-time'),
  /** Another try of the request runs already. */
  otherRuns: value(false, 'other-runs'),
  /** The endpoint asks for no other try. */
  pushedBack: value(false, 'pushback'),
  /** The endpoint asks for a wait of `AttemptRecord.delayMs`, for which there is no time. */
  pushedBackTooLong: value(false, 'pushback-too-long'),
} as const satisfies Record<string, AnotherTry>

export type Because = (typeof anotherTry)[keyof typeof anotherTry]['because']
