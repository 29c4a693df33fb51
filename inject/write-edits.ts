import { isAlias, isMap as isMapNode, isScalar, isSeq, type Node, type Pair, type YAMLMap, type YAMLSeq } from 'yaml'
import type { Edit } from './edit.ts'
import { endOf, type PodNodes, pairOf, startOf } from './manifest-nodes.ts'
import { Lines, type Splice } from './splice.ts'
import { yamlText } from './yaml-values.ts'

/** A form of YAML in which nothing can be inserted without changing what is not ours; with what a user can do. */
export class Unwritable extends Error {}

/** The edits of a pod as changes of the text: every byte that is there stays. */
export function writeEdits(text: string, pod: PodNodes, edits: readonly Edit[]): Splice[] {
  const writer = new Writer(text, pod)
  // In brackets, several entries of one place are written together, because of the commas.
  const keys = Map.groupBy(
    edits.filter(edit => edit.kind === 'key'),
    edit => edit.in.join('/'),
  )
  return [
    ...[...keys.values()].flatMap(group =>
      writer.keys(
        group[0]!.in,
        group.map(({ key, value }) => [key, value]),
      ),
    ),
    ...edits.flatMap(edit => (edit.kind === 'items' ? [writer.items(edit.list, edit.at, edit.values)] : [])),
  ]
}

class Writer {
  readonly #lines: Lines
  readonly #pod: PodNodes

  constructor(text: string, pod: PodNodes) {
    this.#lines = new Lines(text)
    this.#pod = pod
  }

  keys(path: readonly string[], entries: readonly (readonly [string, unknown])[]): Splice[] {
    const { map, pair } = this.#mapAt(path)
    // A key that is there without a value gets one.
    const filled = entries.filter(([key]) => pairOf(map, key) !== null)
    const added = entries.filter(([key]) => pairOf(map, key) === null)
    const splices = filled.map(([key, value]) => this.#fill(map, key, value))
    if (added.length === 0) return splices
    if (map.flow === true) return [...splices, this.#flow(map, added.map(entryText), 'first')]
    if (pair === null) throw new Unwritable(`${added[0]![0]} is missing: write it`)
    const indent = this.#indentOf(map)
    const lines = added.map(([key, value]) => this.#block({ [key]: value }, indent)).join('')
    return [...splices, this.#lines.insertion(this.#afterKey(map, pair), lines)]
  }

  items(list: string, at: 'first' | 'last', values: readonly unknown[]): Splice {
    const { map } = this.#mapAt(['spec'])
    const pair = pairOf(map, list)
    const seq = this.#value(pair, list)
    if (!isSeq(seq)) throw new Unwritable(`${list} is no list: write one`)
    if (seq.flow === true)
      return this.#flow(
        seq,
        values.map(value => () => value),
        at,
      )
    const indent = this.#indentOf(seq)
    const body = this.#block(values, indent)
    if (at === 'first') return this.#lines.insertion(this.#afterKey(seq, pair!), body)
    const { offset, isLineStart } = endOf(seq)
    return this.#lines.insertion(isLineStart ? offset : this.#lines.after(offset), body)
  }

  #mapAt(path: readonly string[]): { readonly map: YAMLMap; readonly pair: Pair | null } {
    let map = this.#pod.map
    let pair = this.#pod.way.at(-1)?.pair ?? null
    // The pod itself is the root of a document, or an item of a list.
    if (pair !== null && pair.value !== map) pair = null
    for (const { node } of this.#pod.way) this.#refuseShared(node, 'the object')
    this.#refuseShared(map, 'the pod')
    for (const step of path) {
      pair = pairOf(map, step)
      const value = this.#value(pair, step)
      if (!isMapNode(value)) throw new Unwritable(`${step} is no map: write one`)
      map = value
    }
    return { map, pair }
  }

  #value(pair: Pair | null, name: string): Node {
    if (pair === null) throw new Unwritable(`${name} comes from a merge (<<): write it out where it belongs`)
    const value = pair.value as Node
    if (isAlias(value)) throw new Unwritable(`${name} is an alias (*${value.source}): write it out`)
    this.#refuseShared(value, name)
    return value
  }

  #refuseShared(node: Node, name: string): void {
    const { anchor } = node as { anchor?: string }
    if (anchor !== undefined && this.#pod.shared.has(anchor))
      throw new Unwritable(`${name} is used in other places too (&${anchor}), which would change with it: write it out`)
  }

  /** Of the keys of a map, or the dashes of a list. */
  #indentOf(node: YAMLMap | YAMLSeq): string {
    const indent = this.#lines.indentBefore(isSeq(node) ? (node.range?.[0] ?? 0) : startOf(node.items[0]))
    if (indent === null)
      throw new Unwritable('it is written in a form (such as "? key") that cannot be edited: write "key: value"')
    return indent
  }

  /** The line after a key, where its value begins. */
  #afterKey(value: Node, { key }: Pair): number {
    const line = this.#lines.after(endOf(key).offset)
    if ((value.range?.[0] ?? 0) < line)
      throw new Unwritable(
        `the value of ${String((key as { value?: unknown }).value)} begins on the line of its key: begin it on a line of its own`,
      )
    return line
  }

  #fill(map: YAMLMap, key: string, value: unknown): Splice {
    const pair = pairOf(map, key)!
    const node = pair.value
    const isEmpty = node === null || (isScalar(node) && node.value === null && node.range?.[0] === node.range?.[1])
    if (!isEmpty || map.flow === true) throw new Unwritable(`${key} is null: remove it, or give it a value`)
    const indent = this.#indentOf(map)
    const lines = this.#block({ [key]: value }, indent)
    // Without the key itself, which is there.
    return this.#lines.insertion(this.#lines.after(endOf(pair.key).offset), lines.slice(lines.indexOf('\n') + 1))
  }

  /** Lines of YAML, in the style of the file. */
  #block(value: unknown, indent: string): string {
    const { step, isIndentedSeq } = this.#style()
    const text = yamlText(value, step, isIndentedSeq)
    return text.replace(/^(?=.)/gm, indent)
  }

  #style(): { readonly step: number; readonly isIndentedSeq: boolean } {
    const spec = pairOf(this.#pod.map, 'spec')
    const map = spec?.value
    if (!isMapNode(map) || map.flow === true) return { step: 2, isIndentedSeq: false }
    const [outer, inner] = [this.#column(startOf(spec)), this.#column(startOf(map.items[0]))]
    const list = map.items.find(({ value }) => isSeq(value) && value.flow !== true && value.items.length > 0)
    const dash = list === undefined ? inner : this.#column((list.value as YAMLSeq).range?.[0] ?? 0)
    return { step: Math.max(2, inner - outer), isIndentedSeq: dash > inner }
  }

  #column(offset: number): number {
    return offset - this.#lines.startOf(offset)
  }

  /** Entries inside brackets: JSON, on lines of their own where the others are. */
  #flow(node: YAMLMap | YAMLSeq, entries: readonly Entry[], at: 'first' | 'last'): Splice {
    const open = node.range![0]
    const first = node.items[0]
    if (first === undefined) return { at: open + 1, remove: 0, insert: entries.map(each => jsonEntry(each)).join(', ') }
    const start = startOf(first)
    const indent = this.#lines.startOf(start) > open ? this.#lines.indentBefore(start) : null
    const outer = this.#lines.indentOfLine(open)
    const unit = indent?.startsWith(outer) === true && indent.length > outer.length ? indent.slice(outer.length) : ''
    const isPretty = indent !== null && unit !== ''
    const between = isPretty ? `,${this.#lines.breakAt(open)}${indent}` : ', '
    const texts = entries.map(each =>
      isPretty ? jsonEntry(each, unit).replaceAll('\n', this.#lines.breakAt(open) + indent) : jsonEntry(each),
    )
    if (at === 'first') return { at: start, remove: 0, insert: texts.map(text => text + between).join('') }
    return { at: endOf(node.items.at(-1)).offset, remove: 0, insert: texts.map(text => between + text).join('') }
  }
}

/** An entry of a map, or with a function an item of a list. */
type Entry = readonly [string, unknown] | (() => unknown)

const entryText = (entry: readonly [string, unknown]): Entry => entry

function jsonEntry(entry: Entry, unit?: string): string {
  if (typeof entry === 'function') return JSON.stringify(entry(), null, unit)
  return `${JSON.stringify(entry[0])}: ${JSON.stringify(entry[1], null, unit)}`
}
