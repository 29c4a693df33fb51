import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { EndpointsDelta } from './channel.ts'

/**
 * The one diff of endpoints: what makes `after` of `before`; null: nothing differs. An address that is named twice
 * counts once, by its last spec; order does not count.
 */
export function deltaOf(before: readonly EndpointSpec[], after: readonly EndpointSpec[]): EndpointsDelta | null {
  if (areSame(before, after)) return null
  const old = byName(before)
  const put: EndpointSpec[] = []
  for (const [name, spec] of byName(after)) {
    const known = old.get(name)
    old.delete(name)
    if (known === undefined || !isSame(known, spec)) put.push(spec)
  }
  const drop = [...old.keys()]
  return put.length === 0 && drop.length === 0 ? null : { put, drop }
}

export function endpointName(spec: { readonly address: string; readonly port: number }): string {
  return spec.address.includes(':') ? `[${spec.address}]:${spec.port}` : `${spec.address}:${spec.port}`
}

function byName(specs: readonly EndpointSpec[]): Map<string, EndpointSpec> {
  const map = new Map<string, EndpointSpec>()
  for (const spec of specs) map.set(endpointName(spec), spec)
  return map
}

/** Spares the names of sets that are confirmed as they are: most of what sources and snapshots deliver. */
function areSame(a: readonly EndpointSpec[], b: readonly EndpointSpec[]): boolean {
  return a.length === b.length && a.every((spec, i) => isSame(spec, b[i]!))
}

function isSame(a: EndpointSpec, b: EndpointSpec): boolean {
  return (
    a === b ||
    (a.port === b.port &&
      a.address === b.address &&
      a.weight === b.weight &&
      a.priority === b.priority &&
      a.zone === b.zone &&
      a.health === b.health &&
      a.healthReason === b.healthReason &&
      a.from === b.from &&
      a.virtual === b.virtual &&
      hasSameEntries(a.metadata, b.metadata))
  )
}

function hasSameEntries(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  let count = 0
  for (const name in a) {
    if (a[name] !== b[name]) return false
    count++
  }
  return count === Object.keys(b).length
}
