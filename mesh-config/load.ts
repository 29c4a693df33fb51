import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml'
import { type Environment, refuseVariables, resolvePlain, shield, substitute, unshield } from './environment.ts'
import { type Located, type LocatedEntry, type LocatedScalar, type Position, type Problem, problem } from './located.ts'
import { conflictLine, explainSyntaxError } from './syntax-error.ts'
import { MAX_DEPTH, MAX_YAML_BYTES, outOfBounds } from './yaml-bounds.ts'

export interface LoadedDocument {
  /** Null: the text is not YAML, and nothing in it is reliable. */
  readonly root: Located | null
  readonly problems: readonly Problem[]
}

/** Aliases may stand for large parts; a document that unfolds to more values than this is an attack or a mistake. */
const maxNodes = 200_000

/**
 * The text of one YAML (or JSON) file as located values, variables filled in; `env` null: there are none. Never
 * throws.
 */
export function loadDocument(file: string, text: string, env: Environment | null): LoadedDocument {
  const lines = new LineCounter()
  const tooMuch = text.length > MAX_YAML_BYTES ? { offset: 0, message: tooLarge } : outOfBounds(new Lexer().lex(text))
  if (tooMuch !== null)
    return { root: null, problems: [problem(positionOf(file, text, tooMuch.offset), tooMuch.message)] }
  const shielded = shield(text)
  const document = parseDocument(shielded, { lineCounter: lines, prettyErrors: false, uniqueKeys: false })
  // A file that contains private-use characters of its own is read as it is.
  const reader = new Reader(file, lines, document, env, shielded === text ? same : unshield)
  if (document.errors.length > 0) return { root: null, problems: [firstSyntaxProblem(reader, document.errors, text)] }
  const root: Located =
    document.contents === null
      ? { kind: 'map', at: { file, line: 1, column: 1 }, entries: new Map() }
      : reader.read(document.contents as Node, 0)
  const warnings = document.warnings.map(({ pos, message }) =>
    problem(reader.position(pos[0]), `${message}: YAML tags and directives have no meaning here: remove it`),
  )
  return { root, problems: [...warnings, ...reader.problems] }
}

const tooLarge = `the file is larger than ${MAX_YAML_BYTES / 1024 ** 2} MiB: split it`

function positionOf(file: string, text: string, offset: number): Position {
  const before = text.slice(0, offset)
  return { file, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}

const same = (text: string) => text

/** The parser continues after an error, but only the first one is certain. */
function firstSyntaxProblem(reader: Reader, errors: readonly YAMLError[], text: string): Problem {
  const conflict = conflictLine(text)
  if (conflict !== null) return problem({ ...reader.position(0), line: conflict.line }, conflict.message)
  const error = errors.reduce((first, each) => (each.pos[0] < first.pos[0] ? each : first))
  const at = reader.position(error.pos[0])
  return problem(at, explainSyntaxError(error.code, error.message, text.split('\n')[at.line - 1] ?? ''))
}

class Reader {
  readonly problems: Problem[] = []
  readonly #file: string
  readonly #lines: LineCounter
  readonly #document: Document
  readonly #env: Environment | null
  readonly #asWritten: (text: string) => string
  #nodes = 0
  #targets: ReadonlyMap<Node, Node | undefined> | null = null

  constructor(
    file: string,
    lines: LineCounter,
    document: Document,
    env: Environment | null,
    asWritten: (text: string) => string,
  ) {
    this.#file = file
    this.#lines = lines
    this.#document = document
    this.#env = env
    this.#asWritten = asWritten
  }

  position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset)
    return { file: this.#file, line: Math.max(1, line), column: Math.max(1, col) }
  }

  /** `around`: the position for a node without one of its own (an empty value). */
  read(node: Node | null, depth: number, around?: Position): Located {
    const at = node?.range ? this.position(node.range[0]) : (around ?? this.position(0))
    if (++this.#nodes > maxNodes || depth > MAX_DEPTH) {
      if (this.#nodes <= maxNodes + 1)
        this.problems.push(
          problem(
            at,
            `too many values, or nested deeper than ${MAX_DEPTH}: is there an alias (*name) inside what it stands for?`,
          ),
        )
      this.#nodes = maxNodes + 1
      return unusable(at)
    }
    if (isAlias(node)) return this.#alias(this.#targetOf(node), node.source, depth, at)
    if (isMap(node)) return { kind: 'map', at, entries: this.#entries(node, depth) }
    if (isSeq(node))
      return { kind: 'list', at, items: node.items.map(item => this.read(item as Node | null, depth + 1, at)) }
    return this.#scalar(node, at)
  }

  /** Finds all in one pass: the parser's own method searches the whole document for each. */
  #targetOf(alias: Node): Node | undefined {
    this.#targets ??= targetsOf(this.#document)
    return this.#targets.get(alias)
  }

  #alias(target: Node | undefined, name: string, depth: number, at: Position): Located {
    if (target !== undefined) return { ...this.read(target, depth + 1), at }
    this.problems.push(
      problem(at, `*${name} has no value: no &${name} comes before it; a text that begins with * needs quotes`),
    )
    return unusable(at)
  }

  #scalar(node: Node | null, at: Position): LocatedScalar {
    const parsed: unknown = isScalar(node) ? node.value : null
    const value = typeof parsed === 'string' ? this.#asWritten(parsed) : parsed
    if (typeof value !== 'string') {
      const known = typeof value === 'number' || typeof value === 'boolean' || value === null
      const source = isScalar(node) && typeof node.source === 'string' ? { source: node.source } : {}
      return { kind: 'scalar', at, value: known ? value : String(value), written: null, ...source }
    }
    const { text, fromEnvironment, errors } = this.#env === null ? refuseVariables(value) : substitute(value, this.#env)
    for (const error of errors) this.problems.push(problem(at, error))
    if (errors.length > 0) return unusable(at)
    const isPlain = isScalar(node) && node.type === 'PLAIN'
    return {
      kind: 'scalar',
      at,
      value: fromEnvironment && isPlain ? resolvePlain(text) : text,
      written: fromEnvironment ? value : null,
    }
  }

  #entries(map: YAMLMap, depth: number): Map<string, LocatedEntry> {
    const entries = new Map<string, LocatedEntry>()
    const merged = new Map<string, LocatedEntry>()
    for (const pair of map.items) {
      const keyNode = pair.key as Node | null
      const keyAt = keyNode?.range ? this.position(keyNode.range[0]) : this.position(map.range?.[0] ?? 0)
      if (!isScalar(keyNode) || keyNode.value === null || typeof keyNode.value === 'object') {
        this.problems.push(problem(keyAt, 'a key must be a simple text: write key: value'))
        continue
      }
      const key = this.#asWritten(String(keyNode.value))
      const node = this.read(pair.value as Node | null, depth + 1, keyAt)
      const earlier = entries.get(key)
      if (key === '<<') this.#mergeInto(merged, node, keyAt)
      else if (key === '__proto__') this.problems.push(problem(keyAt, '__proto__ cannot be a key: choose another name'))
      else if (earlier !== undefined)
        this.problems.push(
          problem(keyAt, `"${key}" is given twice: keep this one or the one on line ${earlier.keyAt.line}`),
        )
      else entries.set(key, { keyAt, node })
    }
    for (const [key, entry] of merged) if (!entries.has(key)) entries.set(key, entry)
    return entries
  }

  /** YAML's merge key: `<<: *defaults` or `<<: [*a, *b]`, the earlier ones of the list winning. */
  #mergeInto(merged: Map<string, LocatedEntry>, node: Located, keyAt: Position): void {
    for (const part of node.kind === 'list' ? node.items : [node]) {
      if (part.kind !== 'map') {
        if (part.kind === 'list' || !part.unusable)
          this.problems.push(problem(keyAt, '<< takes a map or a list of maps: write <<: *name'))
        continue
      }
      for (const [key, entry] of part.entries) if (!merged.has(key)) merged.set(key, entry)
    }
  }
}

/** An alias stands for the last node of its name before it. */
function targetsOf(document: Document): Map<Node, Node | undefined> {
  const named = new Map<string, Node>()
  const targets = new Map<Node, Node | undefined>()
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) targets.set(node, named.get(node.source))
      else if (node.anchor !== undefined) named.set(node.anchor, node)
    },
  })
  return targets
}

function unusable(at: Position): LocatedScalar {
  return { kind: 'scalar', at, value: null, written: null, unusable: true }
}
