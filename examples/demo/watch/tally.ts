import type { Scrape } from './scrape.ts'

/** Counts of one kind of thing over some time. */
export interface Tally {
  requests: number
  failed: number
  /** How many took at most so long: bound in milliseconds -> count, cumulative as in the metrics. */
  readonly buckets: Map<number, number>
}

/**
 * What happened between two looks: by service as its callers saw it (web: as its own sidecar did), and by endpoint
 * address over all callers.
 */
export interface Change {
  readonly services: ReadonlyMap<string, Tally>
  readonly endpoints: ReadonlyMap<string, Tally>
}

export function newTally(): Tally {
  return { requests: 0, failed: 0, buckets: new Map() }
}

export function tallyOf(tallies: Map<string, Tally>, key: string): Tally {
  const tally = tallies.get(key) ?? newTally()
  tallies.set(key, tally)
  return tally
}

export function addTally(to: Tally, from: Tally): void {
  to.requests += from.requests
  to.failed += from.failed
  for (const [bound, count] of from.buckets) to.buckets.set(bound, (to.buckets.get(bound) ?? 0) + count)
}

/**
 * What of one sidecar's counters came since the look before, which `before` remembers: counters of a process that
 * started anew start at 0 again.
 */
export function since(before: Map<string, number>, { samples }: Scrape, service: string): Change {
  const services = new Map<string, Tally>()
  const endpoints = new Map<string, Tally>()
  for (const { name, labels, value } of samples) {
    const key = `${name} ${JSON.stringify(labels)}`
    const last = before.get(key) ?? 0
    before.set(key, value)
    const more = value >= last ? value - last : value
    if (more === 0) continue
    const { direction, endpoint, le, status } = labels
    const seen =
      direction === 'outbound' ? labels.service! : direction === 'inbound' && service === 'web' ? 'web' : null
    const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le) * 1000
    if (name === 'http_requests_total' && seen !== null) {
      const tally = tallyOf(services, seen)
      tally.requests += more
      if (Number(status) >= 500 || status === '0') tally.failed += more
    } else if (name === 'http_response_time_seconds_bucket' && seen !== null)
      addTo(tallyOf(services, seen).buckets, bound, more)
    else if (endpoint === undefined || labels.service!.startsWith('local_app')) continue
    else if (name === 'outrigger_upstream_requests_total') tallyOf(endpoints, endpoint).requests += more
    else if (name === 'outrigger_upstream_failures_total') tallyOf(endpoints, endpoint).failed += more
    else if (name === 'outrigger_upstream_response_seconds_bucket')
      addTo(tallyOf(endpoints, endpoint).buckets, bound, more)
  }
  return { services, endpoints }
}

function addTo(buckets: Map<number, number>, bound: number, count: number): void {
  buckets.set(bound, (buckets.get(bound) ?? 0) + count)
}

/**
 * As histogram_quantile of Prometheus does, but even on a logarithmic scale, as the buckets are; null when nothing was
 * counted.
 */
export function quantile({ buckets }: Tally, share: number): number | null {
  const sorted = [...buckets].sort(([a], [b]) => a - b)
  const total = sorted.at(-1)?.[1] ?? 0
  if (total === 0) return null
  const wanted = total * share
  const index = sorted.findIndex(([, count]) => count >= wanted)
  const [upper, atUpper] = sorted[index]!
  if (upper === Number.POSITIVE_INFINITY) return sorted.at(-2)?.[0] ?? null
  const atLower = sorted[index - 1]?.[1] ?? 0
  return (upper / 2) * 2 ** ((wanted - atLower) / Math.max(1e-9, atUpper - atLower))
}
