import { isMap, isScalar, isSeq, type Node, type Pair, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml'
import type { FixValue } from './fix.ts'

/** Nodes of a YAML document, where they are in its text, and texts of new ones. */

export type Collection = YAMLMap | YAMLSeq
/** What a key or an item is made of. */
export interface Place {
  readonly holder: Collection
  readonly index: number
}

export function indexOf(node: Node | null, step: string | number): number {
  if (isMap(node)) return node.items.findIndex(({ key }) => isScalar(key) && String(key.value) === String(step))
  return isSeq(node) && Number(step) < node.items.length ? Number(step) : -1
}

export function valueAt({ holder, index }: Place): Node | null {
  const item = holder.items[index]
  return (isMap(holder) ? (item as Pair).value : item) as Node | null
}

export function startOf(item: unknown): number {
  const node = (isPairOf(item) ? item.key : item) as Node | null
  return node?.range?.[0] ?? 0
}

/** After its last character. */
export function endOf(item: unknown): number {
  if (isPairOf(item)) {
    const value = item.value as Node | null
    const end = value === null ? 0 : endOf(value)
    return Math.max(end, (item.key as Node).range![1])
  }
  const node = item as Node | null
  if ((isMap(node) || isSeq(node)) && node.flow !== true && node.items.length > 0) return endOf(node.items.at(-1))
  return node?.range?.[1] ?? 0
}

function isPairOf(item: unknown): item is Pair {
  return typeof item === 'object' && item !== null && 'key' in item && 'value' in item && !('items' in item)
}

/** Empty: there is none. */
export function commentOf(line: string): string {
  const at = withoutQuotes(line).search(/(^|\s)#/)
  return at === -1 ? '' : line.slice(at).trim()
}

/** A # in quotes begins no comment. */
function withoutQuotes(line: string): string {
  return line.replace(/"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'/g, quoted => 'x'.repeat(quoted.length))
}

/** A value as it is written in one line. */
export function flowText(value: FixValue, isJson: boolean): string {
  if (isJson) return JSON.stringify(value)
  if (typeof value === 'string') return isPlain(value) ? value : JSON.stringify(value)
  if (typeof value !== 'object') return String(value)
  if (Array.isArray(value)) return `[${value.map(item => flowText(item, false)).join(', ')}]`
  const entries = Object.entries(value).map(([key, inner]) => entryText(key, inner, false))
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`
}

export function entryText(key: string, value: FixValue, isJson: boolean): string {
  return `${flowText(key, isJson)}: ${flowText(value, isJson)}`
}

function isPlain(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_./-]*$/.test(text) && parseDocument(text).toJS() === text
}
