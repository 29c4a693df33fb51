import type { LocalityEntry } from './entry.ts'

type Meta = Readonly<Record<string, string>> | null | undefined

/**
 * Under which names of node meta data people keep a zone; a name of Kubernetes, with its slash, is not allowed there.
 */
const NODE_KEYS = ['zone', 'availability_zone', 'availability-zone']

/**
 * What the instance says of itself comes before what Consul says, and that before what its node says. Empty: nowhere.
 */
export function zoneOf(
  instance: { readonly meta: Meta; readonly locality: LocalityEntry | null | undefined } | null,
  node: { readonly meta: Meta; readonly locality: LocalityEntry | null | undefined } | null,
): string {
  const ofNode = NODE_KEYS.map(key => node?.meta?.[key]).find(zone => zone)
  return instance?.meta?.zone || instance?.locality?.Zone || node?.locality?.Zone || ofNode || ''
}
