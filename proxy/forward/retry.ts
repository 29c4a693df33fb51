import type { RetryCondition } from '../../mesh-config/snapshot.ts'
import type { AttemptRecord, DecisionRecord } from '../core/decision.ts'
import type { Failure } from '../core/failure.ts'

/** Methods whose repetition means no more than one of them (RFC 9110 section 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}

/** The condition in `retries.on` that the status of an answer falls under; null: it is passed on. */
export function statusCondition(status: number, on: ReadonlySet<RetryCondition>): RetryCondition | null {
  // 508: the next try would go in the same circle, and each of its steps try twice.
  if (status < 500 || status === 508) return null
  const gateway = status === 502 || status === 503 || status === 504
  return gateway && on.has('gateway-error') ? 'gateway-error' : on.has('5xx') ? '5xx' : null
}

/**
 * The name of the failure, where no application has had anything of the request in any attempt, so that the sidecar
 * before us may send it again; empty elsewhere.
 */
export function unsentBy(failure: Failure | null, { attempts, tries }: DecisionRecord): string {
  if (failure === null || failure.replay !== 'unsent') return ''
  for (let i = 0; i < attempts; i++) if (hadIt(tries[i]!)) return ''
  return failure.failure
}

/** The endpoint may have had the request. */
export function hadIt({ sentAt, failure }: AttemptRecord): boolean {
  return sentAt !== 0 && failure?.replay !== 'unsent'
}

/** What may not be tried again, in words for the decision record; empty: it may. */
export function whyNot(failure: Failure, idempotent: boolean, bodyGone: boolean): string {
  if (failure.replay === 'never') return 'no: this failure is final'
  if (bodyGone) return 'no: part of the request body is gone'
  if (failure.replay === 'maybe-sent' && !idempotent)
    return 'no: the endpoint may have acted on it and the method is not idempotent'
  return ''
}
