/** Shares of the requests by zone, for the sidecars of one zone. */
export interface ZoneShares {
  /** The share of our requests that stays in our zone, 0 to 1. */
  readonly local: number
  /** By zone: how much of the rest each other zone takes, relative to the others. */
  readonly residual: ReadonlyMap<string, number>
}

/**
 * Envoy's zone-aware routing (regenerateLocalityRoutingStructures), without its rounding to hundredths of a percent. A
 * zone whose share of the endpoints is at least its share of the callers keeps all its requests. Otherwise it keeps as
 * many as its endpoints can take at the same load as everywhere, and the rest goes to other zones, in proportion to
 * what they have beyond the needs of their own callers.
 *
 * `capacity`: of the endpoints in each zone. `origins`: how many callers stand in each zone, our own among them.
 */
export function zoneShares(
  own: string,
  capacity: ReadonlyMap<string, number>,
  origins: ReadonlyMap<string, number>,
): ZoneShares {
  const callers = sum(origins.values())
  const endpoints = sum(capacity.values())
  // Cross-multiplied, so that equal shares are equal: part / whole against part / whole.
  const needed = (zone: string) => (origins.get(zone) ?? 0) * endpoints
  const there = (zone: string) => (capacity.get(zone) ?? 0) * callers
  const local = Math.min(1, there(own) / needed(own))
  const residual = new Map<string, number>()
  if (local < 1)
    for (const zone of capacity.keys()) if (zone !== own) residual.set(zone, Math.max(0, there(zone) - needed(zone)))
  return { local, residual }
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
