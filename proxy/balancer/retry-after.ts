import type { Clock } from '../core/clock.ts'
import type { ResponseHead } from '../core/message.ts'

/** The longest time that is accepted. */
const LONGEST_MS = 300_000

/** The three forms of RFC 9110 section 5.6.7 all name a day; `Date.parse` alone would take a bare number for a year. */
const DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? [\w: -]{10,24}(?: GMT)?$/

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

/** RFC 9110 section 10.2.3: seconds, or a date. `now`: since the epoch. */
export function parseRetryAfter(value: string | undefined, now: number): number {
  const seconds = parseDigits(value, 1000)
  if (seconds >= 0 || value === undefined || !DATE.test(value)) return seconds
  const at = Date.parse(value.endsWith('GMT') ? value : `${value} GMT`)
  return Number.isNaN(at) ? -1 : Math.min(LONGEST_MS, Math.max(0, at - now))
}

function parseDigits(value: string | undefined, unitMs: number): number {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Math.min(LONGEST_MS, Number(value) * unitMs) : -1
}
