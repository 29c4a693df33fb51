import { type Located, nodeAt } from '../../mesh-config/located.ts'
import { compilePolicy, EVERY_SERVICE } from '../../mesh-config/policy-document.ts'
import { type Change, type Held, keyOf, type Problems } from './held.ts'

export type Documents = ReadonlyMap<string, Held>

/** What sources say of a service, the least important first: the documents for all, then those for the service. */
export function layersOf(service: string, documents: Documents, order: readonly string[]): Located[] {
  const found = (wanted: string) =>
    order.flatMap(source => {
      const held = documents.get(keyOf(source, wanted))
      return held === undefined ? [] : [held.root]
    })
  return service === EVERY_SERVICE ? found(EVERY_SERVICE) : [...found(EVERY_SERVICE), ...found(service)]
}

/** What the policy of a caller says of its calls to a service: of all, then of this one. */
export function callLayersOf(
  caller: string,
  service: string,
  documents: Documents,
  order: readonly string[],
): Located[] {
  const layers = layersOf(caller, documents, order)
  return [EVERY_SERVICE, service].flatMap(called => layers.flatMap(layer => nodeAt(layer, ['calls', called]) ?? []))
}

export function hasCalls(held: Held | null | undefined): boolean {
  return held !== null && held !== undefined && nodeAt(held.root, ['calls']) !== null
}

export function withChanges(documents: Documents, changes: readonly Change[]): Map<string, Held> {
  const next = new Map(documents)
  for (const { source, service, held } of changes) {
    if (held === null) next.delete(keyOf(source, service))
    else next.set(keyOf(source, service), held)
  }
  return next
}

export interface Sorted {
  readonly accepted: readonly Change[]
  readonly refused: readonly (Change & { readonly problems: Problems })[]
}

/**
 * Which changes may be made, so that every policy stays good: all of them, where they fit together; else those that fit
 * one by one, in any order.
 */
export async function sortChanges(
  documents: Documents,
  changes: readonly Change[],
  order: readonly string[],
): Promise<Sorted> {
  if ((await problemsOf(documents, changes, order)).length === 0) return { accepted: changes, refused: [] }
  const accepted: Change[] = []
  let waiting = [...changes]
  for (;;) {
    const refused: (Change & { problems: Problems })[] = []
    for (const change of waiting) {
      const problems = await problemsOf(withChanges(documents, accepted), [change], order)
      if (problems.length === 0) accepted.push(change)
      else refused.push({ ...change, problems })
    }
    if (refused.length === waiting.length || refused.length === 0) return { accepted, refused }
    waiting = refused
  }
}

/** What would be wrong with policies after these changes. */
export async function problemsOf(
  documents: Documents,
  changes: readonly Change[],
  order: readonly string[],
): Promise<Problems> {
  const after = withChanges(documents, changes)
  for (const service of concerned(after, changes)) {
    await breath()
    const compiled = compilePolicy(service, layersOf(service, after, order))
    if (!compiled.ok) return compiled.problems
  }
  return []
}

function concerned(documents: Documents, changes: readonly Change[]): ReadonlySet<string> {
  const changed = new Set(changes.map(({ service }) => service))
  return changed.has(EVERY_SERVICE)
    ? new Set([EVERY_SERVICE, ...changed, ...[...documents.values()].map(({ document }) => document.service)])
    : changed
}

const BUSY_MS = 10
let since = 0

/** Lets others on when this has run for long: a thousand services take a second. */
export async function breath(): Promise<void> {
  if (performance.now() - since < BUSY_MS) return
  await new Promise(resolve => setImmediate(resolve))
  since = performance.now()
}
