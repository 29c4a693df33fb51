import {
  type Document,
  isAlias,
  isMap as isMapNode,
  isNode,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  visit,
  type YAMLMap,
} from 'yaml'
import { MAX_YAML_BYTES, outOfBounds } from '../mesh-config/yaml-bounds.ts'
import { isMap, type Json, mapOf, textOf } from './shape.ts'

/** The objects of a manifest, each with its nodes in the text. */

export interface ManifestObject {
  readonly kind: string
  readonly name: string
  readonly line: number
  /** Null: it has no pod. */
  readonly pod: PodNodes | null
}

export interface PodNodes {
  readonly json: Json
  readonly map: YAMLMap
  /** The way from the root of the document to the pod: the pod is the value of the last pair. */
  readonly way: readonly Step[]
  /** Anchors that an alias of the document refers to: what they stand for is in several places. */
  readonly shared: ReadonlySet<string>
}

export interface Step {
  readonly node: YAMLMap
  readonly pair: Pair | null
}

/** Where the template of a pod is, by group and kind. */
const workloads: readonly (readonly [group: RegExp, kinds: readonly string[], path: readonly string[]])[] = [
  [/^v1$/, ['Pod'], []],
  [/^v1$/, ['ReplicationController'], ['spec', 'template']],
  [/^(apps|extensions)\//, ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet'], ['spec', 'template']],
  [/^argoproj\.io\//, ['Rollout'], ['spec', 'template']],
  [/^batch\//, ['Job'], ['spec', 'template']],
  [/^batch\//, ['CronJob'], ['spec', 'jobTemplate', 'spec', 'template']],
]

/** Or, as a text, why it is no manifest. */
export function readManifest(text: string): ManifestObject[] | string {
  if (Buffer.byteLength(text) > MAX_YAML_BYTES)
    return `it is larger than ${MAX_YAML_BYTES / 1024 ** 2} MiB: split it into several files`
  const lines = new LineCounter()
  const lineOf = (offset: number) => lines.linePos(offset).line
  const tooMuch = outOfBounds(new Lexer().lex(text))
  const documents = tooMuch === null ? parseAllDocuments(text, { ...parsing, lineCounter: lines }) : []
  if (tooMuch !== null) return `line ${text.slice(0, tooMuch.offset).split('\n').length}: ${tooMuch.message}`
  if (!Array.isArray(documents)) return []
  const objects: ManifestObject[] = []
  for (const document of documents) {
    const error = document.errors[0]
    if (error !== undefined)
      return `line ${lineOf(error.pos[0])}: this is no YAML: ${error.message}${/\{\{/.test(text) ? '; is it a template of Helm? Render it with helm template first' : ''}`
    try {
      collect(document, lineOf, objects)
    } catch (cause) {
      return `line ${lineOf(document.range[0])}: ${(cause as Error).message}`
    }
  }
  return objects
}

// As the API server reads it: merge keys work.
const parsing = { prettyErrors: false, merge: true, keepSourceTokens: false, uniqueKeys: true } as const

function collect(document: Document.Parsed, lineOf: (offset: number) => number, into: ManifestObject[]): void {
  const root = document.contents as Node | null
  if (!isMapNode(root)) return
  const shared = new Set<string>()
  visit(document, { Alias: (_key, { source }) => void shared.add(source) })
  const visitObject = (map: YAMLMap, way: readonly Step[]) => {
    const json = mapOf(map.toJS(document as Document, { maxAliasCount: 100 }))
    const kind = textOf(json.kind) ?? ''
    const group = textOf(json.apiVersion) ?? ''
    if (kind.endsWith('List') && Array.isArray(json.items)) {
      const pair = pairOf(map, 'items')
      for (const item of isSeq(pair?.value) ? pair.value.items : [])
        if (isMapNode(item)) visitObject(item, [...way, { node: map, pair }])
      return
    }
    if (kind === '') return
    const metadata = mapOf(json.metadata)
    const name = textOf(metadata.name) ?? textOf(metadata.generateName) ?? ''
    const path = workloads.find(([groups, kinds]) => groups.test(group) && kinds.includes(kind))?.[2]
    const line = lineOf(map.range?.[0] ?? 0)
    into.push({ kind, name, line, pod: path === undefined ? null : podAt(map, json, path, way, shared) })
  }
  visitObject(root, [])
}

function podAt(
  root: YAMLMap,
  object: Json,
  path: readonly string[],
  before: readonly Step[],
  shared: ReadonlySet<string>,
): PodNodes | null {
  let [map, json]: [YAMLMap, Json] = [root, object]
  const way = [...before]
  for (const step of path) {
    if (!isMap(json[step])) return null
    json = json[step]
    const pair = pairOf(map, step)
    if (pair === null) throw new Error(`${step} comes from a merge (<<): write it out where it belongs`)
    if (isAlias(pair.value)) throw new Error(`${step} is an alias (*${pair.value.source}): write it out`)
    way.push({ node: map, pair })
    map = pair.value as YAMLMap
  }
  if (!isMap(json.spec)) return null
  return { json, map, way, shared }
}

export function pairOf(map: YAMLMap, key: string): Pair | null {
  return map.items.find(pair => isScalar(pair.key) && pair.key.value === key) ?? null
}

export function startOf(node: unknown): number {
  return (isPair(node) ? startOf(node.key) : isNode(node) ? node.range?.[0] : undefined) ?? 0
}

/** After its last character; of a text in a block (`|`) after its last line. */
export function endOf(node: unknown): { readonly offset: number; readonly isLineStart: boolean } {
  if (isPair(node)) return node.value === null ? endOf(node.key) : endOf(node.value)
  if (isMapNode(node) || isSeq(node)) {
    const last = node.items.at(-1)
    if (node.flow !== true && last !== undefined) return endOf(last)
  }
  if (!isNode(node)) return { offset: 0, isLineStart: false }
  const isBlock = isScalar(node) && (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED')
  return { offset: node.range?.[1] ?? 0, isLineStart: isBlock }
}
