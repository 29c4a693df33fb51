import { isDeepStrictEqual } from 'node:util'
import { checkFile } from './check-file.ts'
import { applyEdits, type Edit } from './edit.ts'
import { type ManifestObject, type PodNodes, readManifest } from './manifest-nodes.ts'
import { annotation } from './names.ts'
import { plan } from './plan.ts'
import type { Options } from './settings.ts'
import { type Json, mapOf } from './shape.ts'
import { applySplices } from './splice.ts'
import { digest, type Status, statusOf } from './status.ts'
import { Unwritable, writeEdits } from './write-edits.ts'
import { writeUndo } from './write-undo.ts'

/** The view of the command line: manifests as texts, in which every byte that is not ours stays. */

export interface Row {
  readonly object: string
  readonly line: number
  /** `none`: it has no pod. `same`: it is injected already, in this way. */
  readonly result: 'injected' | 'same' | 'removed' | 'skipped' | 'none' | 'refused'
  readonly why: string
  readonly notes: readonly string[]
}

export interface Outcome {
  /** The text as it was where a row is refused. */
  readonly text: string
  readonly rows: readonly Row[]
}

export async function injectText(text: string, options: Options): Promise<Outcome> {
  const before = readManifest(text)
  if (typeof before === 'string') return unreadable(text, before)
  const bare = withoutOurs(text, before, false)
  if (bare.refused.length > 0) return { text, rows: bare.refused }
  const objects = readManifest(bare.text)
  if (typeof objects === 'string') return unreadable(text, objects)
  const rows: Row[] = []
  const done: { readonly index: number; readonly pod: PodNodes; readonly edits: readonly Edit[] }[] = []
  for (const [index, object] of objects.entries()) {
    const { pod } = object
    if (pod === null) {
      rows.push(rowOf(object, 'none', 'no pod'))
      continue
    }
    const planned = plan(pod.json, { kind: object.kind, name: object.name.replace(/-$/, '') || null }, options)
    if (planned.kind === 'skip') rows.push(rowOf(object, 'skipped', planned.why))
    else if (planned.kind === 'refuse') rows.push(rowOf(object, 'refused', planned.errors.join('\n')))
    else {
      const wrong = await checkFile(planned.file)
      if (wrong.length > 0) rows.push(rowOf(object, 'refused', wrong.join('\n')))
      else {
        done.push({ index, pod, edits: planned.edits })
        rows.push({ ...rowOf(object, 'injected', `${planned.status.mode} sidecar`), notes: planned.notes })
      }
    }
  }
  const refusals = rows.filter(({ result }) => result === 'refused')
  if (refusals.length > 0) return { text, rows }
  const written = write(bare.text, objects, done)
  if (typeof written !== 'string') return { text, rows: [written] }
  const unchanged = written === text
  return {
    text: written,
    rows: rows.map(row => (unchanged && row.result === 'injected' ? { ...row, result: 'same', why: 'already' } : row)),
  }
}

function write(
  text: string,
  objects: readonly ManifestObject[],
  done: readonly { readonly index: number; readonly pod: PodNodes; readonly edits: readonly Edit[] }[],
): string | Row {
  const splices = []
  for (const { index, pod, edits } of done) {
    try {
      splices.push(...writeEdits(text, pod, edits))
    } catch (error) {
      if (!(error instanceof Unwritable)) throw error
      return rowOf(objects[index]!, 'refused', error.message)
    }
  }
  const written = applySplices(text, splices)
  const now = readManifest(written)
  for (const { index, pod, edits } of done) {
    // What the text has become is read again: it must be what was planned, and --undo must restore it.
    const isRight =
      Array.isArray(now) &&
      isDeepStrictEqual(now[index]?.pod?.json, applyEdits(pod.json, edits)) &&
      now.length === objects.length
    if (!isRight)
      return rowOf(
        objects[index]!,
        'refused',
        'it is written in a form that cannot be edited: write it as kubectl does',
      )
  }
  if (Array.isArray(now) && withoutOurs(written, now, true).text !== text && done.length > 0)
    return rowOf(
      objects[done[0]!.index]!,
      'refused',
      'it is written in a form that --undo could not restore: write it as kubectl does',
    )
  return written
}

/** The text without what injection added. */
export function undoText(text: string): Outcome {
  const objects = readManifest(text)
  if (typeof objects === 'string') return unreadable(text, objects)
  const { text: bare, refused, removed } = withoutOurs(text, objects, true)
  if (refused.length > 0) return { text, rows: refused }
  const rows = objects.map(object =>
    object.pod === null
      ? rowOf(object, 'none', 'no pod')
      : rowOf(object, removed.has(object) ? 'removed' : 'skipped', removed.has(object) ? '' : 'not injected'),
  )
  return { text: bare, rows }
}

interface Bare {
  readonly text: string
  readonly removed: ReadonlySet<ManifestObject>
  readonly refused: readonly Row[]
}

/** `evenEdited`: also where the sidecar file was edited by hand since. */
function withoutOurs(text: string, objects: readonly ManifestObject[], evenEdited: boolean): Bare {
  const removed = new Set<ManifestObject>()
  const refused: Row[] = []
  const splices = objects.flatMap(object => {
    if (object.pod === null) return []
    try {
      const status = statusOf(object.pod.json)
      if (status === null) return []
      if (!evenEdited) refuseEdited(object.pod.json, status)
      removed.add(object)
      return writeUndo(text, object.pod, status)
    } catch (error) {
      refused.push(rowOf(object, 'refused', (error as Error).message))
      return []
    }
  })
  return { text: refused.length > 0 ? text : applySplices(text, splices), removed, refused }
}

function refuseEdited(pod: Json, status: Status): void {
  const file = mapOf(mapOf(pod.metadata).annotations)[annotation.file]
  if (!status.annotations.includes(annotation.file) || digest(file) === status.file) return
  throw new Error(
    `${annotation.file} was edited after injection, and would be overwritten: take it out with --undo, and say the same in outrigger.io/config`,
  )
}

function rowOf({ kind, name, line }: ManifestObject, result: Row['result'], why: string): Row {
  return { object: `${kind}/${name === '' ? '(no name)' : name}`, line, result, why, notes: [] }
}

function unreadable(text: string, why: string): Outcome {
  return { text, rows: [{ object: '', line: 0, result: 'refused', why, notes: [] }] }
}
