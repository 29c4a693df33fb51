import type { LocalityEntry } from './entry.ts'

type Meta = Readonly<Record<string, string>> | null | undefined

/** Usual names of the zone in node meta data; the name of Kubernetes, with its slash, is not allowed there. */
const NODE_KEYS = ['zone', 'availability_zone', 'availability-zone']

/** The meta of the instance comes first, then the locality in Consul, then the meta of its node. Empty: no zone. */
export function zoneOf(
  instance: { readonly meta: Meta; readonly locality: LocalityEntry | null | undefined } | null,
  node: { readonly meta: Meta; readonly locality: LocalityEntry | null | undefined } | null,
): string {
  const ofNode = NODE_KEYS.map(key => node?.meta?.[key]).find(zone => zone)
  return instance?.meta?.zone || instance?.locality?.Zone || node?.locality?.Zone || ofNode || ''
}
