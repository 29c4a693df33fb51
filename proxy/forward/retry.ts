import type { RetryCondition } from '../../mesh-config/snapshot.ts'
import { type Failure, failures } from '../core/failure.ts'

/** Methods whose repetition means no more than one of them (RFC 9110 section 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}

/** The condition in `retries.on` that a failure falls under; null: never retried. */
export function conditionOf(failure: Failure): RetryCondition | null {
  if (failure.flag === 'UF') return 'connect-failure'
  if (failure === failures.refusedStream || failure === failures.goawayUnprocessed) return 'refused-stream'
  if (failure === failures.resetBeforeResponse || failure === failures.streamReset) return 'reset-before-response'
  if (failure === failures.perTryTimeout) return 'per-try-timeout'
  return null
}

/** The condition in `retries.on` that the status of an answer falls under; null: it is passed on. */
export function statusCondition(status: number, on: ReadonlySet<RetryCondition>): RetryCondition | null {
  if (status < 500) return null
  const gateway = status === 502 || status === 503 || status === 504
  return gateway && on.has('gateway-error') ? 'gateway-error' : on.has('5xx') ? '5xx' : null
}

/** What may not be tried again, in words for the decision record; empty: it may. */
export function whyNot(failure: Failure, idempotent: boolean, bodyGone: boolean): string {
  if (failure.replay === 'never') return 'no: this failure is final'
  if (bodyGone) return 'no: part of the request body is gone'
  if (failure.replay === 'maybe-sent' && !idempotent) return 'no: the endpoint may have acted on it and the method is not idempotent'
  return ''
}
