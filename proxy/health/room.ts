import { mostEjected } from '../../mesh-config/ejectable.ts'
import type { Endpoint } from '../core/endpoint.ts'

/**
 * How many more endpoints of a set may be ejected; negative: how many must be readmitted. Endpoints that pass their
 * checks count. `withFailing`: so do those that fail them, which get requests in panic.
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

/**
 * The ejected endpoint whose ejection ends first; endpoints that pass their checks come before those that fail them.
 */
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
