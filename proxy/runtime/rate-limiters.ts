import type { RateLimitSpec } from '../../mesh-config/snapshot.ts'
import type { Cells } from '../core/cells.ts'
import type { Clock, Random } from '../core/clock.ts'
import { helpOf } from '../core/metrics-table.ts'
import { RateLimiter } from '../filter/rate-limit.ts'
import { TokenBuckets, wordsOfBuckets } from '../filter/token-buckets.ts'
import { matcherOf } from '../router/compile.ts'
import type { CompileRegex } from '../router/predicate.ts'
import type { StatsWriter } from '../telemetry/stats.ts'
import type { Kept } from './keeper.ts'

export interface RateLimiterDeps {
  readonly clock: Clock
  readonly random: Random
  readonly cells: Cells
  readonly stats: StatsWriter
}

/** A rule with buckets that all data threads share, by its key. */
export function newRateLimiter(
  scope: string,
  rule: RateLimitSpec,
  key: string,
  regex: CompileRegex,
  { clock, random, cells, stats }: RateLimiterDeps,
): Kept<RateLimiter> {
  // First: it may throw.
  const matches = rule.match === undefined ? null : matcherOf(rule.match, regex)
  const keys = rule.by.length === 0 ? 1 : Math.max(2, rule.keys)
  const cell = cells.open(key, wordsOfBuckets(keys))
  const rate = { perSecond: rule.count / rule.perSeconds, burst: rule.burst }
  const buckets = new TokenBuckets(cell.words, keys, rate, random, clock.now())
  const counter = (name: 'outrigger_rate_limit_requests_total' | 'outrigger_rate_limit_evictions_total', result = '') =>
    stats.counter(name, helpOf(name), { scope, rule: rule.name, ...(result === '' ? {} : { result }) })
  const counted = {
    allowed: counter('outrigger_rate_limit_requests_total', 'allowed'),
    limited: counter('outrigger_rate_limit_requests_total', 'limited'),
    evicted: counter('outrigger_rate_limit_evictions_total'),
  }
  return {
    value: new RateLimiter(rule, buckets, matches, counted),
    close() {
      cell.close()
      stats.retire(Object.values(counted))
    },
  }
}
