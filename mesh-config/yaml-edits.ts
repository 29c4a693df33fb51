import { isDeepStrictEqual } from 'node:util'
import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, parseDocument, visit, type YAMLMap } from 'yaml'
import { shield } from './environment.ts'
import type { FixEdit, FixValue } from './fix.ts'
import type { Path } from './located.ts'
import {
  type Collection,
  commentOf,
  endOf,
  entryText,
  flowText,
  indexOf,
  type Place,
  startOf,
  valueAt,
} from './yaml-nodes.ts'

/** The text cannot be edited there without changing what is not meant; with what a user can do. */
export class Uneditable extends Error {}

/** The text of a YAML file with one value changed. Every other byte stays. Throws `Uneditable`. */
export function editYaml(text: string, edit: FixEdit): string {
  const edited = new Editor(text).edit(edit)
  if (!isDeepStrictEqual(dataOf(edited), expected(dataOf(text), edit)))
    throw new Uneditable('it is written in a form that cannot be edited: change it by hand')
  return edited
}

function dataOf(text: string): unknown {
  return parseDocument(shield(text)).toJS()
}

/** What is empty now is gone as well: an empty map says nothing. */
function expected(before: unknown, edit: FixEdit): unknown {
  const { path } = edit
  const root = structuredClone(before ?? {}) as Record<string | number, unknown>
  let holder = root
  for (const step of path.slice(0, -1)) {
    holder[step] ??= {}
    holder = holder[step] as Record<string | number, unknown>
  }
  const last = path.at(-1)!
  if ('before' in edit) {
    const list = holder as unknown as unknown[]
    list.splice(edit.before, 0, ...list.splice(Number(last), 1))
    return root
  }
  const { to } = edit
  if (to !== null) holder[last] = structuredClone(to)
  else if (Array.isArray(holder)) holder.splice(Number(last), 1)
  else delete holder[last]
  const shorter = path.slice(0, -1)
  if (to !== null || Array.isArray(holder) || Object.keys(holder).length > 0 || !mayVanish(shorter)) return root
  return expected(root, { path: shorter, to: null })
}

/** A service that is named stays so, and so does an item of a list. */
function mayVanish(path: Path): boolean {
  return typeof path.at(-1) === 'string' && path.length > (path[0] === 'services' ? 2 : 0)
}

class Editor {
  readonly #text: string
  readonly #root: Node | null
  readonly #shared = new Set<string>()
  /** What is written is JSON too. */
  readonly #isJson: boolean

  constructor(text: string) {
    this.#text = text
    const document = parseDocument(shield(text))
    this.#root = document.contents as Node | null
    this.#isJson = isJson(text)
    visit(document, { Alias: (_key, { source }) => void this.#shared.add(source) })
  }

  edit(edit: FixEdit): string {
    const { path } = edit
    const place = this.#placeOf(path)
    if ('before' in edit) return this.#move(place, edit.before)
    const { to } = edit
    if (to === null) {
      if (place === null) throw new Uneditable('it comes from elsewhere (a merge, an alias): change it there')
      return this.#remove(path, place)
    }
    return place === null ? this.#insert(path, to) : this.#replace(place, to)
  }

  /** Null: nothing is written there. */
  #placeOf(path: Path): Place | null {
    let node = this.#own(this.#root)
    let place: Place | null = null
    for (const step of path) {
      const index = indexOf(node, step)
      if (index === -1) return null
      place = { holder: node as Collection, index }
      node = this.#own(valueAt(place))
    }
    return place
  }

  /** Refuses what would change other places too. */
  #own(node: Node | null): Node | null {
    if (isAlias(node)) throw new Uneditable(`*${node.source} stands there: write it out`)
    const { anchor } = (node ?? {}) as { anchor?: string }
    if (anchor !== undefined && this.#shared.has(anchor))
      throw new Uneditable(`&${anchor} is used in other places too, which would change with it: write it out`)
    return node
  }

  #replace(place: Place, to: FixValue): string {
    const node = valueAt(place)
    const [start, end] = this.#rangeOf(node, place)
    const isEmpty = start === end
    if (this.#hasComment(start, end)) throw new Uneditable('there is a comment inside it: change it by hand')
    return this.#splice(start, end, `${isEmpty ? ' ' : ''}${flowText(to, this.#isJson)}`)
  }

  /** Of a value; of one that is empty, behind its colon. */
  #rangeOf(node: Node | null, { holder, index }: Place): [number, number] {
    const start = node?.range?.[0] ?? -1
    const end = node === null ? -1 : endOf(node)
    if (end > start) return [start, end]
    const key = (holder.items[index] as Pair).key as Node
    const colon = this.#text.indexOf(':', endOf(key)) + 1
    return [colon, colon]
  }

  #remove(path: Path, place: Place): string {
    const { holder, index } = place
    if (holder.items.length === 1) {
      const parent = path.slice(0, -1)
      if (mayVanish(parent) && isMap(holder)) return this.#remove(parent, this.#placeOf(parent)!)
      if (path.length === 1) return this.#cutLines(startOf(holder.items[0]), endOf(holder.items[0]))
      return this.#empty(holder)
    }
    return holder.flow === true ? this.#cutFlow(place) : this.#cutBlock(holder, index)
  }

  /** An item in lines, with the comments right above it. */
  #move(place: Place | null, before: number): string {
    if (place === null || place.holder.flow === true || !isSeq(place.holder))
      throw new Uneditable('the list is not written in lines: change it by hand')
    const { holder, index } = place
    const dash = this.#dashOf(holder.items[index])
    const other = this.#dashOf(holder.items[before])
    if (!this.#isFirstOnLine(dash) || !this.#isFirstOnLine(other))
      throw new Uneditable('it shares its line: change it by hand')
    const [from, to, at] = [
      this.#withComments(dash),
      this.#afterLine(endOf(holder.items[index])),
      this.#withComments(other),
    ]
    const lines = this.#text.slice(from, to)
    const ended = lines.endsWith('\n') ? lines : lines + this.#lineBreak()
    const rest = this.#text.slice(at, from) + this.#text.slice(to)
    const isUnended = ended !== lines && rest.endsWith('\n')
    return this.#text.slice(0, at) + ended + (isUnended ? rest.slice(0, -this.#lineBreak().length) : rest)
  }

  /** The start of its line, or of the lines of comments right above it. */
  #withComments(offset: number): number {
    let at = this.#lineStart(offset)
    for (;;) {
      const above = this.#lineStart(Math.max(0, at - 1))
      if (at === 0 || !/^[ \t]*#/.test(this.#text.slice(above, at))) return at
      at = above
    }
  }

  #empty(holder: Collection): string {
    const [start, end] = [holder.range![0], endOf(holder)]
    if (this.#hasComment(start, end)) throw new Uneditable('there is a comment inside it: change it by hand')
    return this.#splice(start, end, isMap(holder) ? '{}' : '[]')
  }

  #cutFlow({ holder, index }: Place): string {
    const item = holder.items[index]
    const next = holder.items[index + 1]
    const [start, end] =
      next === undefined ? [endOf(holder.items[index - 1]), endOf(item)] : [startOf(item), startOf(next)]
    if (this.#hasComment(start, end)) throw new Uneditable('there is a comment beside it: change it by hand')
    return this.#splice(start, end, '')
  }

  #cutBlock(holder: Collection, index: number): string {
    const item = holder.items[index]
    const start = isSeq(holder) ? this.#dashOf(item) : startOf(item)
    if (this.#isFirstOnLine(start)) return this.#cutLines(start, endOf(item))
    // The first key of an item stands behind its dash: the next one takes its place.
    const next = startOf(holder.items[index + 1])
    if (index > 0 || this.#hasComment(start, next)) throw new Uneditable('it shares its line: change it by hand')
    return this.#splice(start, next, '')
  }

  #dashOf(item: unknown): number {
    return this.#text.lastIndexOf('-', startOf(item) - 1)
  }

  /** Whole lines; their comments stay, each on a line of its own. */
  #cutLines(start: number, end: number): string {
    const from = this.#lineStart(start)
    const to = this.#afterLine(end)
    const comments = this.#text.slice(from, to).split('\n').map(commentOf)
    const indent = this.#text.slice(from, start)
    const kept = comments.filter(comment => comment !== '').map(comment => indent + comment + this.#lineBreak())
    return this.#splice(from, to, kept.join(''))
  }

  #insert(path: Path, to: FixValue): string {
    for (let length = path.length - 1; length >= 0; length--) {
      const place = length === 0 ? null : this.#placeOf(path.slice(0, length))
      if (length > 0 && place === null) continue
      const node = place === null ? this.#own(this.#root) : valueAt(place)
      const [key, ...inner] = path.slice(length)
      const value = inner.reduceRight<FixValue>((inside, step) => ({ [step]: inside }), to)
      if (isMap(node) && node.items.length > 0) return this.#add(node, String(key), value)
      const isNothing =
        node === null || (isScalar(node) && node.value === null) || (isMap(node) && node.items.length === 0)
      if (place === null || !isNothing) break
      return this.#replace(place, { [String(key)]: value })
    }
    throw new Uneditable('there is no place for it: write it by hand')
  }

  #add(map: YAMLMap, key: string, value: FixValue): string {
    const last = map.items.at(-1)!
    const end = endOf(last)
    const entry = entryText(key, value, this.#isJson)
    if (map.flow === true) return this.#splice(end, end, `, ${entry}`)
    const first = startOf(map.items[0])
    const indent = ' '.repeat(first - this.#lineStart(first))
    const at = this.#afterLine(end)
    const isUnended = at === this.#text.length && !this.#text.endsWith('\n')
    const line = `${indent}${entry}${isUnended ? '' : this.#lineBreak()}`
    return this.#splice(at, at, isUnended ? `${this.#lineBreak()}${line}` : line)
  }

  #hasComment(start: number, end: number): boolean {
    return this.#text
      .slice(start, end)
      .split('\n')
      .some(line => commentOf(line) !== '')
  }

  #isFirstOnLine(offset: number): boolean {
    return /^[ \t]*$/.test(this.#text.slice(this.#lineStart(offset), offset))
  }

  #lineStart(offset: number): number {
    return this.#text.lastIndexOf('\n', offset - 1) + 1
  }

  #afterLine(offset: number): number {
    const end = this.#text.indexOf('\n', offset)
    return end === -1 ? this.#text.length : end + 1
  }

  #lineBreak(): string {
    return this.#text.includes('\r\n') ? '\r\n' : '\n'
  }

  #splice(start: number, end: number, by: string): string {
    if (this.#text.slice(start, end).includes('${'))
      throw new Uneditable('its value comes from the environment: change it there')
    return this.#text.slice(0, start) + by + this.#text.slice(end)
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
