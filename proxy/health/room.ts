import type { Endpoint } from '../core/endpoint.ts'

/** How many of so many endpoints may be ejected at a time: never the last, and one of at least two, because 10 % of three must not mean never. 0 % means none. */
export function mostEjected(count: number, maxEjectedPercent: number): number {
  if (maxEjectedPercent === 0) return 0
  return Math.min(count - 1, Math.max(1, Math.floor((count * maxEjectedPercent) / 100)))
}

/**
 * How many more of a set may be ejected; below 0: so many too many are. Only those count that get requests when one is gone: those that pass; with those that fail
 * their checks, where `withFailing`, for these get requests in panic.
 */
export function roomIn(set: readonly Endpoint[], withFailing: boolean, maxEjectedPercent: number): number {
  let count = 0
  let ejected = 0
  for (const { spec, state } of set) {
    if (spec.health !== 'passing' && !(withFailing && spec.health === 'failing')) continue
    count++
    if (state === 'ejected') ejected++
  }
  return count === 0 ? 0 : mostEjected(count, maxEjectedPercent) - ejected
}

/** Of those ejected the one that would come back first, which has failed the least or the longest ago; one that fails its checks only where all do. */
export function leastBad(set: readonly Endpoint[]): Endpoint | null {
  let best: Endpoint | null = null
  for (const endpoint of set) {
    const { health } = endpoint.spec
    if (endpoint.state !== 'ejected' || (health !== 'passing' && health !== 'failing')) continue
    if (best === null || isBetter(endpoint, best)) best = endpoint
  }
  return best
}

function isBetter(one: Endpoint, other: Endpoint): boolean {
  if (one.spec.health !== other.spec.health) return one.spec.health === 'passing'
  return one.ejectedUntil < other.ejectedUntil
}
