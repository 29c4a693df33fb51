import { isMap as isMapNode, isScalar, isSeq, type Pair, type YAMLMap, type YAMLSeq } from 'yaml'
import { endOf, type PodNodes, pairOf, startOf } from './manifest-nodes.ts'
import { annotation, isOurs, lists } from './names.ts'
import { Lines, type Splice } from './splice.ts'
import type { Status } from './status.ts'

/** The text without what injection added to a pod: the reverse of `write-edits.ts`, found by names. */
export function writeUndo(text: string, { map }: PodNodes, status: Status): Splice[] {
  const lines = new Lines(text)
  const ranges: [number, number][] = []
  const splices: Splice[] = []

  /** Entries `from` to `to` of a collection. */
  function remove(node: YAMLMap | YAMLSeq, from: number, to: number): void {
    const [first, last] = [node.items[from], node.items[to]]
    if (node.flow !== true) {
      const { offset, isLineStart } = endOf(last)
      const end = isLineStart ? trimmedEnd(offset) : lines.after(offset)
      ranges.push([lines.startOf(startOf(first)), end])
      return
    }
    const [next, before] = [node.items[to + 1], node.items[from - 1]]
    const start = next === undefined && before !== undefined ? endOf(before).offset : startOf(first)
    const end = next === undefined ? endOf(last).offset : startOf(next)
    splices.push({ at: start, remove: end - start, insert: '' })
  }

  /** A text in a block ends before empty lines that follow it: ours has none at its end. */
  function trimmedEnd(offset: number): number {
    const content = text.slice(0, offset).trimEnd().length
    return lines.after(content)
  }

  function removeOurs(node: YAMLMap | YAMLSeq, isOwn: (item: unknown) => boolean): void {
    for (let from = 0; from < node.items.length; from++) {
      if (!isOwn(node.items[from])) continue
      let to = from
      while (to + 1 < node.items.length && isOwn(node.items[to + 1])) to++
      remove(node, from, to)
      from = to
    }
  }

  const specPair = pairOf(map, 'spec')
  const spec = specPair?.value
  const wholeKeys = new Set<Pair>()
  if (isMapNode(spec)) {
    for (const key of status.spec) addPair(spec, key)
    for (const list of lists) {
      const seq = pairOf(spec, list)?.value
      if (!isSeq(seq)) continue
      const isOwn = (item: unknown) => isMapNode(item) && isOurs(list, item.get('name'))
      if (status.made.includes(list) && seq.items.every(isOwn)) addPair(spec, list)
      else removeOurs(seq, isOwn)
    }
    removeOurs(spec, item => wholeKeys.has(item as Pair))
  }
  const metadata = pairOf(map, 'metadata')?.value
  const annotations = isMapNode(metadata) ? pairOf(metadata, 'annotations')?.value : null
  if (isMapNode(metadata) && isMapNode(annotations)) {
    const names = new Set<unknown>([...status.annotations, annotation.injected])
    const isOwn = (pair: unknown) =>
      isScalar((pair as Pair).key) && names.has(((pair as Pair).key as { value: unknown }).value)
    const isAll = annotations.items.every(isOwn)
    if (isAll && status.made.includes('metadata') && metadata.items.length === 1) addPair(map, 'metadata')
    else if (isAll && (status.made.includes('annotations') || status.made.includes('metadata')))
      addPair(metadata, 'annotations')
    else removeOurs(annotations, isOwn)
    removeOurs(metadata, item => wholeKeys.has(item as Pair))
    removeOurs(map, item => wholeKeys.has(item as Pair))
  }
  return [...splices, ...lines.removals(ranges)]

  function addPair(from: YAMLMap, key: string): void {
    const pair = pairOf(from, key)
    if (pair !== null) wholeKeys.add(pair)
  }
}
