import type { RetryCondition } from '../../mesh-config/snapshot.ts'
import { type AnotherTry, anotherTry } from '../core/another-try.ts'
import type { Repeatable } from '../core/attempt.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Failure } from '../core/failure.ts'
import { grpcCondition } from './grpc-retry.ts'

type Conditions = ReadonlySet<RetryCondition>

/**
 * May a try that ended in this failure be followed by another one, as far as the failure, the policy and the request
 * go? The record gets the reason. What `retries.attempts` and the budget say comes after (attempt-loop.ts).
 */
export function mayFollow(record: AttemptRecord, failure: Failure, on: Conditions, request: Repeatable): boolean {
  const { condition } = failure
  if (condition === null) return false
  record.condition = condition
  record.another = afterFailure(failure, on.has(condition), request)
  return record.another.again
}

function afterFailure({ replay }: Failure, isInPolicy: boolean, request: Repeatable): AnotherTry {
  if (!isInPolicy) return anotherTry.notInPolicy
  if (replay === 'never') return anotherTry.final
  if (request.isBodyGone) return anotherTry.bodyGone
  return replay === 'maybe-sent' && !request.isIdempotent ? anotherTry.mayHaveActed : anotherTry.onCondition
}

/**
 * The same after an answer, by its head alone; a gRPC status that is in it is all there is of the answer. `told`: the
 * sidecar of the endpoint has made it (told-failure.ts). `byHeaders`: what its headers fall under.
 */
export function mayFollowAnswer(
  record: AttemptRecord,
  told: Failure | null,
  on: Conditions,
  request: Repeatable,
  statuses: ReadonlySet<number> | null = null,
  byHeaders: RetryCondition | null = null,
): boolean {
  const { status, grpcStatus } = record
  const asTold = told !== null && told.condition !== null && on.has(told.condition) ? told.condition : null
  const isUntouched = asTold !== null && told!.replay === 'unsent'
  const ofAnswer = grpcStatus > 0 ? grpcCondition(grpcStatus, on) : statusCondition(status, on, statuses)
  record.condition = isUntouched ? asTold : (ofAnswer ?? byHeaders ?? asTold)
  if (record.condition === null) return false
  // A policy that names a gRPC status says of the methods that they bear it.
  const isRepeatable = request.isIdempotent || isUntouched || (grpcStatus > 0 && ofAnswer !== null)
  record.another = isRepeatable && !request.isBodyGone ? anotherTry.onCondition : anotherTry.notReplayable
  return record.another.again
}

/** The condition in `retries.on` that the status of an answer falls under; null: it is passed on. */
function statusCondition(status: number, on: Conditions, statuses: ReadonlySet<number> | null): RetryCondition | null {
  // 508: the next try would go in the same circle, and each of its steps try twice.
  if (status < 400 || status === 508) return null
  if (statuses?.has(status)) return 'retriable-status-codes'
  if (status === 409 && on.has('retriable-4xx')) return 'retriable-4xx'
  if (status < 500) return null
  const gateway = status === 502 || status === 503 || status === 504
  return gateway && on.has('gateway-error') ? 'gateway-error' : on.has('5xx') ? '5xx' : null
}

/** The endpoint may have had the request. */
export function hadIt({ sentAt, failure }: AttemptRecord): boolean {
  return sentAt !== 0 && failure?.replay !== 'unsent'
}
