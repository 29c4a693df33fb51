import type { Clock } from '../core/clock.ts'
import type { ResponseHead } from '../core/message.ts'
import { parseDigits, parseRetryAfter } from '../core/retry-after.ts'

/**
 * The time after which a failed answer asks for another try, in milliseconds and at most 300,000; -1: it names none, or
 * it makes no sense. Reads headers only where they can be.
 */
export function retryAfterMs(head: ResponseHead | null, clock: Clock): number {
  if (head === null) return -1
  const { status, headers } = head
  if (status === 429 || status === 503) return parseRetryAfter(headers.get('retry-after'), clock.wallTime())
  // gRFC A6: a failed gRPC answer has status 200; a negative number means "never", which is not a time.
  if (status === 200) return parseDigits(headers.get('grpc-retry-pushback-ms'), 1)
  return -1
}
