import { anotherTry } from '../core/another-try.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Headers } from '../core/message.ts'
import { parseRetryAfter } from '../core/retry-after.ts'
import { OVERLOADED } from '../core/retry-fields.ts'
import { heedPushback } from './grpc-retry.ts'

/** What an answer, that would be tried again, is heeded with. */
export interface Heed {
  readonly wallTime: number
  /** What the request may still take. */
  readonly leftMs: number
  /** Is there an endpoint that was not tried? */
  hasElsewhere(record: AttemptRecord): boolean
}

/** What an endpoint asks of those that would try again. False: there is no other try. */
export function heedAnswer(record: AttemptRecord, headers: Headers, heed: Heed): boolean {
  if (headers.get(OVERLOADED) !== undefined) record.another = anotherTry.overloaded
  else if (record.grpcStatus > 0) heedPushback(record, headers, heed.leftMs)
  else heedRetryAfter(record, headers.get('retry-after'), heed)
  return record.another.again
}

/**
 * `Retry-After` of a 429, or of a rate limit, holds for the service: whoever is asked next would say the same. Of any
 * other answer it holds for the endpoint: the next try goes elsewhere at once, and waits only where there is nobody.
 */
function heedRetryAfter(record: AttemptRecord, value: string | undefined, heed: Heed): void {
  const askedMs = parseRetryAfter(value, heed.wallTime)
  if (askedMs <= 0) return
  const isOfService = record.status === 429 || record.condition === 'envoy-ratelimited'
  if (isOfService) record.delayMs = askedMs
  else record.restMs = askedMs
  if (askedMs <= heed.leftMs || (!isOfService && heed.hasElsewhere(record))) return
  record.delayMs = askedMs
  record.another = anotherTry.pushedBackTooLong
}
