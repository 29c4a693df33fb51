import { formatAddress } from '../../mesh-config/address.ts'
import type { EndpointSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import { hash32 } from '../core/hash.ts'
import { isPassing } from './endpoint-lists.ts'

export type Subsets = ServiceSpec['subsets']

/**
 * Chooses this many endpoints at random: those with the highest hash of their address and the seed (rendezvous hashing,
 * Thaler and Ravishankar 1998). When one comes or goes at most one other is exchanged, and sidecars with other seeds
 * choose others. Endpoints that are not passing are chosen only when too few pass. Each priority level, and each named
 * subset, gets as many: one choice over all could leave it with none. 0: all.
 */
export function randomSubset(
  endpoints: readonly EndpointSpec[],
  size: number,
  seed: number,
  subsets: Subsets,
): readonly EndpointSpec[] {
  if (size === 0 || endpoints.length <= size) return endpoints
  const drawn = new Set<EndpointSpec>()
  for (const group of Map.groupBy(endpoints, endpoint => groupOf(endpoint, subsets)).values()) {
    for (const endpoint of highest(group, size, seed)) drawn.add(endpoint)
  }
  return endpoints.filter(endpoint => drawn.has(endpoint))
}

function highest(group: readonly EndpointSpec[], size: number, seed: number): readonly EndpointSpec[] {
  if (group.length <= size) return group
  const scored = group.map(endpoint => {
    const name = formatAddress(endpoint)
    return { endpoint, name, score: hash32(name, seed), passing: isPassing(endpoint) }
  })
  scored.sort((a, b) => Number(b.passing) - Number(a.passing) || b.score - a.score || (a.name < b.name ? -1 : 1))
  return scored.slice(0, size).map(({ endpoint }) => endpoint)
}

/** Endpoints of one level that belong to the same subsets. */
function groupOf({ priority, metadata }: EndpointSpec, subsets: Subsets): string {
  const named = Object.keys(subsets).filter(name =>
    Object.entries(subsets[name]!).every(([key, value]) => metadata[key] === value),
  )
  return [priority, ...named].join('/')
}
