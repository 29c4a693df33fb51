import type { GrpcRetryCondition, RetryCondition } from '../../mesh-config/snapshot.ts'
import { anotherTry } from '../core/another-try.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Headers } from '../core/message.ts'

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

/** A longer pushback counts as "no other try": it would hold a call without a deadline for days. */
const LONGEST_PUSHBACK_MS = 300_000

/**
 * After how long an endpoint wants to be tried again, if at all: `grpc-retry-pushback-ms` (gRFC A6), where what is
 * negative or no number means never. False: there is no other try. `leftMs`: what the request may still take.
 */
export function heedPushback(record: AttemptRecord, headers: Headers, leftMs: number): boolean {
  const value = headers.get('grpc-retry-pushback-ms')
  if (value === undefined) return true
  const delayMs = /^\d{1,10}$/.test(value) ? Number(value) : Number.POSITIVE_INFINITY
  if (delayMs > LONGEST_PUSHBACK_MS) record.another = anotherTry.pushedBack
  else {
    record.delayMs = delayMs
    if (delayMs > leftMs) record.another = anotherTry.pushedBackTooLong
  }
  return record.another.again
}
