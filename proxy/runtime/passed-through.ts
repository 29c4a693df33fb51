import type { Direction, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Change } from './change.ts'
import { Originals, type OriginalsDeps } from './originals.ts'

/** The destinations that belong to no service, of a snapshot that is being prepared. */
export interface PreparedOriginals extends Change {
  /** Of this service, which says how they are called. */
  of(through: ServiceSpec, direction: Direction): Originals
}

/** They live on over snapshots, with their connections, as long as one has their service. */
export function passedThrough(deps: OriginalsDeps): () => PreparedOriginals {
  let inForce: ReadonlyMap<string, Originals> = new Map()
  return () => {
    const next = new Map<string, { readonly originals: Originals; readonly spec: ServiceSpec }>()
    return {
      of(through, direction) {
        const { name } = through
        const originals =
          next.get(name)?.originals ?? inForce.get(name) ?? new Originals(through, direction === 'inbound', deps)
        next.set(name, { originals, spec: through })
        return originals
      },
      commit() {
        for (const [name, originals] of inForce) if (!next.has(name)) originals.retire()
        for (const { originals, spec } of next.values()) originals.configure(spec)
        inForce = new Map([...next].map(([name, { originals }]) => [name, originals]))
      },
      abandon() {
        for (const [name, { originals }] of next) if (!inForce.has(name)) originals.retire()
      },
    }
  }
}
