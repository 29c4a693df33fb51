import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RE2JS } from 're2js'
import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from 'yaml'
import { type DocumentKind, publishedSchema } from '../mesh-config/schema.ts'
import { chartValues } from './chart/values.ts'

/**
 * Writes what in the Helm chart is made of other files: the schema of its values, the table in its README, the dashboards
 * and the alerts, because a chart reads nothing outside of its folder. `npm run docs` runs it; a test compares.
 */

const root = join(import.meta.dirname, '..')
export const chart = join(root, 'deploy/helm/outrigger')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** Path in the chart, and text. */
export function chartFiles(): Map<string, string> {
  const dashboards = readdirSync(join(root, 'deploy/grafana'))
  return new Map([
    ['values.schema.json', valuesSchema()],
    ['README.md', withTable(read('deploy/helm/outrigger/README.md'), valueRows())],
    ['files/rules.yaml', read('deploy/prometheus/rules.yaml')],
    ...dashboards.map(file => [`files/dashboards/${file}`, read(`deploy/grafana/${file}`)] as const),
  ])
}

type Node = Readonly<Record<string, unknown>>

function valuesSchema(): string {
  const kinds: readonly DocumentKind[] = ['sidecar', 'agent', 'policy']
  // Draft 7 is known to every Helm 3, too.
  const schema = ofValues(chartValues.toJSONSchema({ io: 'input', target: 'draft-7' }), false) as { properties: Node }
  const properties = {
    ...schema.properties,
    // Where this is a dependency of another chart.
    global: { type: 'object' },
    enabled: { type: 'boolean' },
  }
  const documents = Object.fromEntries(kinds.map(kind => [kind, forHelm(publishedSchema(kind))]))
  const { $schema, ...rest } = { ...schema, properties, $defs: documents } as Node
  return `{\n${entriesOf({ $schema, ...rest }, 2).join(',\n')}\n}\n`
}

/** Lines for the first two levels, and one line for what is below. */
function entriesOf(node: Node, levels: number): string[] {
  return Object.entries(node).map(([key, value]) => {
    const isOpen = levels > 1 && typeof value === 'object' && value !== null
    const text = isOpen ? `{\n  ${entriesOf(value as Node, levels - 1).join(',\n  ')}\n}` : JSON.stringify(value)
    return `${JSON.stringify(key)}: ${text}`
  })
}

/** Documents are put in, and only items of lists have to be whole: everything else has a default, which null removes. */
function ofValues(value: unknown, isItem: boolean): unknown {
  if (Array.isArray(value)) return value.map(each => ofValues(each, isItem))
  if (typeof value !== 'object' || value === null) return value
  const { document, required, ...node } = value as Node
  if (typeof document === 'string') return { $ref: `#/$defs/${document}` }
  return Object.fromEntries([
    ...Object.entries(node).map(([key, child]) => [key, ofValues(child, key === 'items')]),
    ...(isItem && required !== undefined ? [['required', required]] : []),
  ])
}

/** What Helm needs: it shows no descriptions, and its regular expressions are RE2. */
function forHelm(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(forHelm)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([key, child]) => {
    if (key === 'pattern') return typeof child !== 'string' || isRe2(child)
    // Keywords have texts and values here; a property of that name has a schema.
    return !['description', 'title', '$schema'].includes(key) || typeof child !== 'string'
  })
  return Object.fromEntries(
    kept.map(([key, child]) => [key, ['default', 'examples'].includes(key) ? child : forHelm(child)]),
  )
}

function isRe2(pattern: string): boolean {
  try {
    RE2JS.compile(pattern)
    return !pattern.includes('\\u')
  } catch {
    return false
  }
}

export interface ValueRow {
  readonly path: string
  readonly usual: string
  readonly what: string
}

/** Each value of values.yaml with its comment; a map with a comment of its own is one row. */
export function valueRows(text = read('deploy/helm/outrigger/values.yaml')): ValueRow[] {
  const { contents } = parseDocument(text)
  if (!isMap(contents)) throw new Error('values.yaml is no map')
  return rowsOf(contents as YAMLMap, '')
}

function rowsOf(map: YAMLMap, prefix: string): ValueRow[] {
  return map.items.flatMap((pair, index) => {
    const { key, value } = pair as Pair
    if (!isScalar(key)) throw new Error('a key of values.yaml is no text')
    const path = `${prefix}${String(key.value)}`
    // The parser gives the comment before the first key to the map.
    const comment = (index === 0 ? map.commentBefore : null) ?? key.commentBefore ?? ''
    const what = /^ -- (.*)$/m.exec(comment.split('\n\n').at(-1)!)?.[1]
    if (what === undefined) {
      if (!isMap(value)) throw new Error(`values.yaml: ${path} has no comment that begins with --`)
      return rowsOf(value as YAMLMap, `${path}.`)
    }
    return [{ path, usual: JSON.stringify((value as { toJSON(): unknown }).toJSON()), what }]
  })
}

const [BEGIN, END] = ['<!-- values -->', '<!-- end of values -->']

function withTable(page: string, rows: readonly ValueRow[]): string {
  const [before, rest] = page.split(BEGIN)
  const lines = rows.map(({ path, usual, what }) => `| \`${path}\` | \`${usual}\` | ${what} |`)
  const table = ['| value | default | what |', '|---|---|---|', ...lines].join('\n')
  return `${before}${BEGIN}\n\n${table}\n\n${END}${rest!.split(END)[1]}`
}

if (import.meta.main) for (const [file, text] of chartFiles()) writeFileSync(join(chart, file), text)
