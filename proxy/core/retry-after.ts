/** The longest time that is accepted. */
const LONGEST_MS = 300_000

/** The three forms of RFC 9110 section 5.6.7 all name a day; `Date.parse` alone would take a bare number for a year. */
const DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? [\w: -]{10,24}(?: GMT)?$/

/**
 * `Retry-After` in milliseconds and at most 300,000; -1: there is none, or it makes no sense (RFC 9110 section 10.2.3:
 * seconds, or a date). `now`: since the epoch.
 */
export function parseRetryAfter(value: string | undefined, now: number): number {
  const seconds = parseDigits(value, 1000)
  if (seconds >= 0 || value === undefined || !DATE.test(value)) return seconds
  const at = Date.parse(value.endsWith('GMT') ? value : `${value} GMT`)
  return Number.isNaN(at) ? -1 : Math.min(LONGEST_MS, Math.max(0, at - now))
}

export function parseDigits(value: string | undefined, unitMs: number): number {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Math.min(LONGEST_MS, Number(value) * unitMs) : -1
}
