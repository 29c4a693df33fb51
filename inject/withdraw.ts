import { annotation, isOurs, lists } from './names.ts'
import { isMap, type Json, mapOf } from './shape.ts'
import type { Status } from './status.ts'

/** The pod without what injection added to it: what others have added since stays. */
export function withdraw(pod: Json, status: Status): Json {
  const copy = structuredClone(pod) as Record<string, unknown>
  const spec = copy.spec as Record<string, unknown>
  for (const key of status.spec) delete spec[key]
  for (const list of lists) {
    if (!Array.isArray(spec[list])) continue
    const others = (spec[list] as unknown[]).filter(item => !isMap(item) || !isOurs(list, item.name))
    if (others.length > 0) spec[list] = others
    else if (status.made.includes(list)) delete spec[list]
    else spec[list] = status.filled.includes(list) ? null : []
  }
  const metadata = copy.metadata as Record<string, unknown>
  const annotations = { ...mapOf(metadata.annotations) }
  for (const key of [...status.annotations, annotation.injected]) delete annotations[key]
  const isEmpty = Object.keys(annotations).length === 0
  if (
    isEmpty &&
    (status.made.includes('annotations') || status.made.includes('metadata') || status.filled.includes('metadata'))
  )
    delete metadata.annotations
  else metadata.annotations = isEmpty && status.filled.includes('annotations') ? null : annotations
  if (Object.keys(metadata).length === 0) {
    if (status.made.includes('metadata')) delete copy.metadata
    else if (status.filled.includes('metadata')) copy.metadata = null
  }
  return copy
}
