import { mostEjected } from '../../mesh-config/ejectable.ts'
import type { Endpoint } from '../core/endpoint.ts'

/** Endpoints that requests are shared among. */
export interface EndpointSet {
  /** The service, or `service/subset`. */
  readonly name: string
  readonly members: readonly Endpoint[]
}

/** What counts as ejected. */
export type IsOut = (endpoint: Endpoint) => boolean

export const isEjected: IsOut = ({ state }) => state === 'ejected'
/** A probing one has no more than one request. */
export const isNotUsed: IsOut = ({ state }) => state !== 'admitting'

/**
 * How many more endpoints of a set may be ejected; negative: how many must be readmitted. Endpoints that pass their
 * checks count. `withFailing`: so do those that fail them, which get requests in panic. What an operator ejected counts
 * as little as what is in maintenance.
 */
export function roomIn(
  set: readonly Endpoint[],
  withFailing: boolean,
  maxEjectedPercent: number,
  isOut: IsOut = isEjected,
): number {
  let count = 0
  let out = 0
  for (const endpoint of set) {
    const { health } = endpoint.spec
    if (endpoint.byHand !== 'no' || (health !== 'passing' && !(withFailing && health === 'failing'))) continue
    count++
    if (isOut(endpoint)) out++
  }
  return count === 0 ? 0 : mostEjected(count, maxEjectedPercent) - out
}

/** May it be ejected beside those that are out already? */
export function hasRoom(
  endpoint: Endpoint,
  sets: readonly EndpointSet[],
  maxEjectedPercent: number,
  isOut: IsOut,
): boolean {
  const { health } = endpoint.spec
  // An endpoint that the registry took out of use needs no ejection.
  if (health !== 'passing' && health !== 'failing') return false
  const others: IsOut = each => each !== endpoint && isOut(each)
  return sets
    .filter(guarded)
    .every(
      ({ members }) =>
        !members.includes(endpoint) || roomIn(members, health === 'failing', maxEjectedPercent, others) > 0,
    )
}

/**
 * A subset of one endpoint does not keep the rest of the service from ejecting it: the subset itself goes on using it
 * (cluster/load.ts). The first set is the whole service.
 */
export function guarded({ members }: EndpointSet, index: number): boolean {
  return index === 0 || members.length > 1
}

/** The first set that would have no usable endpoint without this one; null: there is none. */
export function emptiedWithout(endpoint: Endpoint, sets: readonly EndpointSet[]): EndpointSet | null {
  const isUsable = (each: Endpoint) => each.spec.health === 'passing' && each.state === 'admitting'
  return (
    sets.find(
      ({ members }) => members.includes(endpoint) && !members.some(each => each !== endpoint && isUsable(each)),
    ) ?? null
  )
}

/**
 * The ejected endpoint whose ejection ends first; endpoints that pass their checks come before those that fail them.
 */
export function leastBad(set: readonly Endpoint[]): Endpoint | null {
  let best: Endpoint | null = null
  for (const endpoint of set) {
    const { health } = endpoint.spec
    if (endpoint.state !== 'ejected' || endpoint.byHand !== 'no') continue
    if (health !== 'passing' && health !== 'failing') continue
    if (best === null || isBetter(endpoint, best)) best = endpoint
  }
  return best
}

function isBetter(one: Endpoint, other: Endpoint): boolean {
  if (one.spec.health !== other.spec.health) return one.spec.health === 'passing'
  return one.ejectedUntil < other.ejectedUntil
}
