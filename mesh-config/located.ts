import type { Fix } from './fix.ts'
import { referenceWithoutSecret } from './secret.ts'

/**
 * A document as a tree of values with their positions, to which errors and `config effective` refer. Plain data, no
 * YAML.
 */

export interface Position {
  readonly file: string
  /** Line and column begin with 1. */
  readonly line: number
  readonly column: number
}

export type Located = LocatedScalar | LocatedList | LocatedMap

export interface LocatedScalar {
  readonly kind: 'scalar'
  readonly at: Position
  readonly value: string | number | boolean | null
  /**
   * The text as written when it took something from the environment (`${TOKEN}`): errors show this and never the value.
   * Else null.
   */
  readonly written: string | null
  /** A number or a boolean as written: `1.10` must not be shown as 1.1. */
  readonly source?: string
  /**
   * The value could not be read (a variable is not set): this is reported already, and no further error about it is.
   */
  readonly unusable?: boolean
}

export interface LocatedList {
  readonly kind: 'list'
  readonly at: Position
  readonly items: readonly Located[]
}

export interface LocatedMap {
  readonly kind: 'map'
  readonly at: Position
  readonly entries: ReadonlyMap<string, LocatedEntry>
}

export interface LocatedEntry {
  readonly keyAt: Position
  readonly node: Located
}

export type Path = readonly (string | number)[]

export interface Problem {
  /** Null: it concerns the file as a whole, or no file. */
  readonly at: Position | null
  readonly file: string
  readonly message: string
  /** Of a warning. Absent: only its author knows what is meant. */
  readonly fix?: Fix
}

export function problem(at: Position, message: string): Problem {
  return { at, file: at.file, message }
}

/**
 * `file:line:column: message`, for people and for editors that jump there. The message never shows a password of a
 * URL or the fallback of a secret variable.
 */
export function formatProblem({ at, file, message }: Problem): string {
  const shown = referenceWithoutSecret(message)
  return at === null ? `${file}: ${shown}` : `${file}:${at.line}:${at.column}: ${shown}`
}

/** Sorts by file, in the given order, then by position, and removes duplicates. */
export function sortProblems(problems: readonly Problem[], files: readonly string[]): Problem[] {
  const seen = new Set<string>()
  return problems
    .filter(each => !seen.has(formatProblem(each)) && seen.add(formatProblem(each)))
    .sort(
      (a, b) =>
        files.indexOf(a.file) - files.indexOf(b.file) ||
        (a.at?.line ?? 0) - (b.at?.line ?? 0) ||
        (a.at?.column ?? 0) - (b.at?.column ?? 0),
    )
}

/** The node at the path, or null when nothing was written there. */
export function nodeAt(root: Located, path: Path): Located | null {
  let node: Located | undefined = root
  for (const step of path) {
    node =
      node.kind === 'map'
        ? node.entries.get(String(step))?.node
        : node.kind === 'list'
          ? node.items[Number(step)]
          : undefined
    if (node === undefined) return null
  }
  return node
}

/** The position of the value at the path; where there is none, of the nearest value around it. */
export function positionAt(root: Located, path: Path): Position {
  for (let length = path.length; length > 0; length--) {
    const node = nodeAt(root, path.slice(0, length))
    if (node !== null) return length === path.length ? node.at : (keyPosition(root, path.slice(0, length)) ?? node.at)
  }
  return root.at
}

/** The position of the last key of the path; null when it was not written, or for an item of a list. */
export function keyPosition(root: Located, path: Path): Position | null {
  const parent = nodeAt(root, path.slice(0, -1))
  return parent?.kind === 'map' ? (parent.entries.get(String(path.at(-1)))?.keyAt ?? null) : null
}

/**
 * Merges a later document over an earlier one: maps key by key, everything else as a whole. An empty value (`key:`
 * alone) restores the default.
 */
export function merge(earlier: Located, later: Located): Located {
  if (earlier.kind !== 'map' || later.kind !== 'map') return later
  const entries = new Map(earlier.entries)
  for (const [key, entry] of later.entries) {
    const before = entries.get(key)
    entries.set(key, before === undefined ? entry : { keyAt: entry.keyAt, node: merge(before.node, entry.node) })
  }
  return { kind: 'map', at: later.at, entries }
}

/** The values alone. An empty value of a map counts as not written. */
export function plain(node: Located): unknown {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'list') return node.items.map(plain)
  const values: Record<string, unknown> = {}
  for (const [key, entry] of node.entries) {
    if (entry.node.kind !== 'scalar' || entry.node.value !== null) values[key] = plain(entry.node)
  }
  return values
}

/** Reports what is wrong with the value that stands there. */
export type Say = (at: Position, message: string) => void

/** Reports what is doubtful about the value at a path. */
export type Warn = (path: Path, message: string, fix?: Fix) => void

/** Whether a path is the one written as `services.*.health`: `*` is any name or item. */
export function isAt(written: string, path: Path): boolean {
  const steps = written.split('.')
  return steps.length === path.length && steps.every((step, index) => step === '*' || step === String(path[index]))
}
