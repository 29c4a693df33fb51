import { type Located, nodeAt, type Path } from './located.ts'
import { VARIABLE } from './otel-environment.ts'
import { type SchemaNode, schemaAt, schemaOf } from './schema.ts'
import { hidden, isSecretField, isSecretName, referenceWithoutSecret, withoutUserinfo } from './secret.ts'
import type { SidecarDocument } from './sidecar.ts'
import { formatPath, isLeaf } from './value-path.ts'

/** The config in force: every written value and every default, each with its source. Never a secret. */
export interface Effective {
  readonly files: readonly string[]
  /** In the form of a sidecar file, shorthands written out. */
  readonly config: unknown
  /** By the path of a value in `config`: `outbound[0].timeouts.head`. Lists of plain values are one value. */
  readonly sources: Readonly<Record<string, Source>>
}

export interface Source {
  /** `sidecar.yaml:12`, or null for a default. */
  readonly at: string | null
  /** Why the default is what it is. */
  readonly why?: string
  /** Names of the variables in the value. */
  readonly environment?: string
}

export function effective(document: SidecarDocument, root: Located, files: readonly string[]): Effective {
  const { config, sources } = effectiveOf(document, root, schemaOf('sidecar'))
  return { files, config, sources }
}

/** The same for any document of the schema; `values`: those of `config`, by the same paths as their sources. */
export function effectiveOf(
  document: unknown,
  root: Located,
  schema: SchemaNode,
): Omit<Effective, 'files'> & {
  readonly values: ReadonlyMap<string, { readonly path: Path; readonly value: unknown }>
} {
  const sources: Record<string, Source> = {}
  const values = new Map<string, { readonly path: Path; readonly value: unknown }>()
  const visit = (value: unknown, path: Path): unknown => {
    if (!isLeaf(value)) {
      if (Array.isArray(value)) return value.map((item, index) => visit(item, [...path, index]))
      const entries = Object.entries(value as Record<string, unknown>).filter(([, inner]) => inner !== undefined)
      return Object.fromEntries(entries.map(([key, inner]) => [key, visit(inner, [...path, key])]))
    }
    const rule = schemaAt(schema, path)
    const source = sourceOf(value, path, root, rule)
    sources[formatPath(path)] = source
    const said = rule?.secret === true || isSecret(source) || isSecretField(path) ? hidden : shown(value)
    values.set(formatPath(path), { path, value: said })
    return said
  }
  return { config: visit(document, []), sources, values }
}

function sourceOf(value: unknown, path: Path, root: Located, rule: SchemaNode | null): Source {
  const node = nodeAt(root, path) ?? shorthand(value, path, root)
  if (node === null || (node.kind === 'scalar' && node.value === null))
    return { at: null, ...(rule?.why === undefined ? {} : { why: rule.why }) }
  if (node.at.file.startsWith(VARIABLE)) return { at: null, environment: node.at.file.slice(VARIABLE.length) }
  const written = referenceWithoutSecret(writtenIn(node), rule?.secret)
  return { at: `${node.at.file}:${node.at.line}`, ...(written === '' ? {} : { environment: written }) }
}

/** The value of a field may have been written in place of its map: `accessLog: on` gives `accessLog.mode`. */
function shorthand(value: unknown, path: Path, root: Located): Located | null {
  const node = nodeAt(root, path.slice(0, -1))
  return node?.kind === 'scalar' &&
    (node.value === value || (typeof value === 'string' && String(node.value).replace(/\*$/, '') === value))
    ? node
    : null
}

function writtenIn(node: Located): string {
  if (node.kind === 'scalar') return node.written ?? ''
  const inner = node.kind === 'list' ? node.items : [...node.entries.values()].map(entry => entry.node)
  return inner
    .map(writtenIn)
    .filter(text => text !== '')
    .join(' ')
}

/** The value of a variable with such a name must not be shown on the admin page. */
function isSecret({ environment }: Source): boolean {
  return environment !== undefined && [...environment.matchAll(/\$\{(\w+)/g)].some(([, name]) => isSecretName(name!))
}

function shown(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shown)
  return typeof value === 'string' ? withoutUserinfo(value) : value
}
