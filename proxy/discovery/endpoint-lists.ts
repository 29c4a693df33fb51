import { formatAddress } from '../../mesh-config/address.ts'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'

/** By `address:port`. */
export type EndpointMap = ReadonlyMap<string, EndpointSpec>

/** Of several entries with one address the last counts. */
export function byAddress(endpoints: Iterable<EndpointSpec>): Map<string, EndpointSpec> {
  const map = new Map<string, EndpointSpec>()
  for (const endpoint of endpoints) map.set(formatAddress(endpoint), endpoint)
  return map
}

/** Merges lists; of several entries with one address the last counts, at the position of the first. */
export function mergeEndpoints(lists: readonly (readonly EndpointSpec[])[]): EndpointMap {
  return byAddress(lists.flat())
}

/** Sorted by address, so that the order of the source does not matter. */
export function sorted(map: EndpointMap): EndpointSpec[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, endpoint]) => endpoint)
}

/**
 * `now` with the objects of `before` where nothing differs, so that later stages may compare by identity; `before`
 * itself when nothing changed.
 */
export function keepSame(before: readonly EndpointSpec[], now: readonly EndpointSpec[]): readonly EndpointSpec[] {
  const known = byAddress(before)
  const kept = now.map(endpoint => {
    const earlier = known.get(formatAddress(endpoint))
    return earlier !== undefined && isSameEndpoint(earlier, endpoint) ? earlier : endpoint
  })
  return kept.length === before.length && kept.every((endpoint, i) => endpoint === before[i]) ? before : kept
}

export function isSameEndpoint(a: EndpointSpec, b: EndpointSpec): boolean {
  return (
    a === b ||
    (a.address === b.address &&
      a.port === b.port &&
      a.weight === b.weight &&
      a.priority === b.priority &&
      a.zone === b.zone &&
      a.health === b.health &&
      a.healthReason === b.healthReason &&
      a.from === b.from &&
      isSameMetadata(a.metadata, b.metadata))
  )
}

function isSameMetadata(a: EndpointSpec['metadata'], b: EndpointSpec['metadata']): boolean {
  if (a === b) return true
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name])
}

/** It may get requests: always, or in panic. */
export function isInUse({ health }: EndpointSpec): boolean {
  return health === 'passing' || health === 'failing'
}

export function isPassing({ health }: EndpointSpec): boolean {
  return health === 'passing'
}
