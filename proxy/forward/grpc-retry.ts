import type { GrpcRetryCondition, RetryCondition } from '../../mesh-config/snapshot.ts'
import type { DecisionRecord } from '../core/decision.ts'
import type { Headers } from '../core/message.ts'
import { hadIt } from './retry.ts'

/** As Envoy has them, by number. */
export const grpcConditions: Readonly<Record<number, GrpcRetryCondition>> = {
  1: 'cancelled',
  4: 'deadline-exceeded',
  8: 'resource-exhausted',
  13: 'internal',
  14: 'unavailable',
}

export function isGrpcCondition(condition: RetryCondition): boolean {
  return Object.values<RetryCondition>(grpcConditions).includes(condition)
}

/** The condition in `retries.on` that the status of a gRPC answer falls under; null: it is passed on. */
export function grpcCondition(grpcStatus: number, on: ReadonlySet<RetryCondition>): RetryCondition | null {
  const condition = grpcConditions[grpcStatus]
  return condition !== undefined && on.has(condition) ? condition : null
}

/** Nothing was said of it. */
export const NO_PUSHBACK = -1
/** Not again at all. */
export const NEVER_AGAIN = -2

/** A longer pushback counts as "no other try": it would hold a call without a deadline for days. */
const LONGEST_PUSHBACK_MS = 300_000

/**
 * After how many milliseconds an endpoint wants to be tried again (gRFC A6): what is negative or no number means never.
 */
export function pushbackMs(headers: Headers): number {
  const value = headers.get('grpc-retry-pushback-ms')
  if (value === undefined) return NO_PUSHBACK
  return /^\d{1,10}$/.test(value) && Number(value) <= LONGEST_PUSHBACK_MS ? Number(value) : NEVER_AGAIN
}

/** Tells an endpoint that others had the call before it (gRFC A6); what never reached an application does not count. */
export function tellPrevious(headers: Headers, decision: DecisionRecord): void {
  if (decision.attempts < 2 || !hadIt(decision.tries[decision.attempts - 2]!)) return
  const before = headers.get('grpc-previous-rpc-attempts')
  const count = before !== undefined && /^\d{1,6}$/.test(before) ? Number(before) : 0
  headers.set('grpc-previous-rpc-attempts', String(count + 1))
}
