import type { ListenerSpec, RateLimitSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Cell, Cells } from '../core/cells.ts'
import type { Clock, Random } from '../core/clock.ts'
import { helpOf } from '../core/metrics-table.ts'
import { RateLimiter } from '../filter/rate-limit.ts'
import { TokenBuckets, wordsOfBuckets } from '../filter/token-buckets.ts'
import { matcherOf } from '../router/compile.ts'
import type { CompileRegex } from '../router/predicate.ts'
import type { Series, StatsWriter } from '../telemetry/stats.ts'
import type { Change } from './change.ts'

export interface RateLimitersDeps {
  readonly clock: Clock
  readonly random: Random
  readonly cells: Cells
  readonly stats: StatsWriter
}

/** The rate limits of a snapshot that is being prepared. */
export interface PreparedRateLimiters extends Change {
  ofListener(listener: ListenerSpec): readonly RateLimiter[]
  /** Those of the service, then those of its route of this number. */
  ofRoute(service: ServiceSpec, route: number): readonly RateLimiter[]
}

interface Entry {
  readonly limiter: RateLimiter
  readonly cell: Cell
  readonly series: readonly Series[]
}

/** Rules live on over snapshots, with their buckets, as long as they are as they were. */
export function rateLimiters(
  deps: RateLimitersDeps,
): (snapshot: Snapshot, regex: CompileRegex) => PreparedRateLimiters {
  let inForce: ReadonlyMap<string, Entry> = new Map()
  return (snapshot, regex) => {
    const before = inForce
    const next = new Map<string, Entry>()
    const add = (scope: string, rules: readonly RateLimitSpec[] = []): void => {
      for (const rule of rules) {
        const key = keyOf(scope, rule)
        next.set(key, before.get(key) ?? newEntry(scope, rule, key, regex, deps))
      }
    }
    try {
      for (const { name, rateLimits } of snapshot.listeners) add(name, rateLimits)
      for (const service of Object.values(snapshot.services)) {
        add(service.name, service.rateLimits)
        for (const [index, { rateLimits }] of service.routes.entries()) add(scopeOf(service, index), rateLimits)
      }
    } catch (error) {
      close(next, before, deps)
      throw error
    }
    const of = (scope: string, rules: readonly RateLimitSpec[] = []) =>
      rules.map(rule => next.get(keyOf(scope, rule))!.limiter)
    return {
      ofListener: ({ name, rateLimits }) => of(name, rateLimits),
      ofRoute: (service, index) => [
        ...of(service.name, service.rateLimits),
        ...of(scopeOf(service, index), service.routes[index]?.rateLimits),
      ],
      commit() {
        close(before, next, deps)
        inForce = next
      },
      abandon: () => close(next, before, deps),
    }
  }
}

/** The entries of the one that are not the other's. */
function close(one: ReadonlyMap<string, Entry>, other: ReadonlyMap<string, Entry>, { stats }: RateLimitersDeps): void {
  for (const [key, { cell, series }] of one) {
    if (other.has(key)) continue
    cell.close()
    stats.retire(series)
  }
}

/** Routes of one name are told apart by their number. */
function scopeOf({ name, routes }: ServiceSpec, index: number): string {
  const route = routes[index]?.name ?? ''
  const number = routes.slice(0, index).filter(each => each.name === route).length + 1
  return `${name} ${route}${number === 1 ? '' : `#${number}`}`
}

function keyOf(scope: string, rule: RateLimitSpec): string {
  return `rate limit ${scope} ${JSON.stringify(rule)}`
}

function newEntry(
  scope: string,
  rule: RateLimitSpec,
  key: string,
  regex: CompileRegex,
  { clock, random, cells, stats }: RateLimitersDeps,
): Entry {
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
  return { limiter: new RateLimiter(rule, buckets, matches, counted), cell, series: Object.values(counted) }
}
