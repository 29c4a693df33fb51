import { type Located, type LocatedScalar, nodeAt, type Path } from './located.ts'

/** Reads values of a document as written; values of another kind than requested are skipped. */

export type Text = LocatedScalar & { readonly value: string }

export function textOf(node: Located | null): Text | null {
  return node?.kind === 'scalar' && typeof node.value === 'string' ? (node as Text) : null
}

export function textAt(node: Located, path: Path): Text | null {
  return textOf(nodeAt(node, path))
}

export function scalarAt(node: Located, path: Path): LocatedScalar | null {
  const found = nodeAt(node, path)
  return found?.kind === 'scalar' ? found : null
}

export function itemsAt(node: Located, path: Path): readonly Located[] {
  const found = nodeAt(node, path)
  return found?.kind === 'list' ? found.items : []
}

export function entriesAt(node: Located, path: Path): [string, Located][] {
  const found = nodeAt(node, path)
  return found?.kind === 'map' ? [...found.entries].map(([key, entry]) => [key, entry.node]) : []
}

export function children(node: Located): [string | number, Located][] {
  if (node.kind === 'list') return node.items.map((item, index) => [index, item])
  return node.kind === 'map' ? [...node.entries].map(([key, entry]) => [key, entry.node]) : []
}
