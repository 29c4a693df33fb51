import { type ListName, lists } from './names.ts'
import { isMap, type Json, mapOf } from './shape.ts'

/**
 * A change of a pod, always an addition: the command line writes it into a text, the webhook makes a JSON Patch of it,
 * and both can take it back.
 */
export type Edit =
  /** A key of a map that is there. */
  | { readonly kind: 'key'; readonly in: readonly string[]; readonly key: string; readonly value: unknown }
  /** Items before the first or after the last one of a list that is there. */
  | { readonly kind: 'items'; readonly list: ListName; readonly at: 'first' | 'last'; readonly values: readonly Json[] }

export interface Additions {
  readonly annotations: Readonly<Record<string, string>>
  readonly spec: Json
  readonly lists: readonly {
    readonly list: ListName
    readonly at: 'first' | 'last'
    readonly values: readonly Json[]
  }[]
}

export type Collection = 'metadata' | 'annotations' | ListName

/** What of a pod is not there, or is null: additions make it, and taking them back removes it. */
export function missingIn(pod: Json, { lists: wanted, annotations }: Additions): Collection[] {
  const metadata = mapOf(pod.metadata)
  const spec = mapOf(pod.spec)
  const ofMetadata: Collection[] =
    Object.keys(annotations).length === 0 ? [] : isAbsent(pod.metadata) ? ['metadata'] : []
  const ofAnnotations: Collection[] = ofMetadata.length === 0 && isAbsent(metadata.annotations) ? ['annotations'] : []
  return [
    ...ofMetadata,
    ...ofAnnotations,
    ...lists.filter(list => isAbsent(spec[list]) && wanted.some(each => each.list === list)),
  ]
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}

export function editsOf(pod: Json, additions: Additions): Edit[] {
  const missing = missingIn(pod, additions)
  const { annotations, spec } = additions
  const edits: Edit[] = []
  if (missing.includes('metadata')) edits.push({ kind: 'key', in: [], key: 'metadata', value: { annotations } })
  else if (missing.includes('annotations'))
    edits.push({ kind: 'key', in: ['metadata'], key: 'annotations', value: annotations })
  else
    for (const [key, value] of Object.entries(annotations))
      edits.push({ kind: 'key', in: ['metadata', 'annotations'], key, value })
  for (const [key, value] of Object.entries(spec)) edits.push({ kind: 'key', in: ['spec'], key, value })
  for (const list of lists) {
    const groups = additions.lists.filter(each => each.list === list && each.values.length > 0)
    if (groups.length === 0) continue
    if (missing.includes(list))
      edits.push({ kind: 'key', in: ['spec'], key: list, value: groups.flatMap(({ values }) => values) })
    else for (const { at, values } of groups) edits.push({ kind: 'items', list, at, values })
  }
  return edits
}

/** The pod with the edits made: what a text or a patch has to come to. */
export function applyEdits(pod: Json, edits: readonly Edit[]): Json {
  const copy = structuredClone(pod) as Record<string, unknown>
  for (const edit of edits) {
    if (edit.kind === 'key') {
      let map = copy
      for (const step of edit.in) map = map[step] as Record<string, unknown>
      map[edit.key] = structuredClone(edit.value)
    } else {
      const spec = copy.spec as Record<string, unknown>
      const list = spec[edit.list] as unknown[]
      const values = structuredClone(edit.values)
      spec[edit.list] = edit.at === 'first' ? [...values, ...list] : [...list, ...values]
    }
  }
  return copy
}

/** RFC 6902. */
export interface PatchOperation {
  readonly op: 'add' | 'replace' | 'remove'
  readonly path: string
  readonly value?: unknown
}

export function patchOf(edits: readonly Edit[]): PatchOperation[] {
  return edits.flatMap((edit): PatchOperation[] => {
    if (edit.kind === 'key') return [{ op: 'add', path: pointer([...edit.in, edit.key]), value: edit.value }]
    if (edit.at === 'last')
      return edit.values.map(value => ({ op: 'add', path: pointer(['spec', edit.list, '-']), value }))
    return edit.values.map((value, index) => ({ op: 'add', path: pointer(['spec', edit.list, index]), value }))
  })
}

export function pointer(path: readonly (string | number)[]): string {
  return path.map(step => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

export function hasOwnShape(pod: unknown): pod is Json {
  return isMap(pod) && isMap(pod.spec)
}
