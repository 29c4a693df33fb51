import { isAt } from './located.ts'
import { refused, withoutEffect } from './not-yet.ts'
import { childOf, type SchemaNode, schemaOf } from './schema.ts'

/** Makes docs/configuration.md from the schema, so that the page says what the loader does. */
export function configurationReference(): string {
  const sidecar = schemaOf('sidecar')
  return [
    introduction,
    '## The sidecar file\n\n`[]` stands for an item of a list, `<name>` for a name of your choice.\n',
    ...sections(sidecar, [], new Map()),
    '## A service policy\n\nUnder `services: <name>:` in a sidecar file: how everyone behind this sidecar calls that service.\n',
    ...sections(childOf(childOf(sidecar, 'services')!, 'any')!, ['services', '*'], new Map()),
    '## The agent file\n\nWhat `outrigger agent -c agent.yaml` reads; without a file everything is as by default. `outrigger agent -c agent.yaml --check` checks it. [Traces](tracing.md#the-agent-from-spans-to-jaeger) tells what `traces` is for.\n',
    ...sections(schemaOf('agent'), [], new Map(), ' of an agent'),
    later(),
  ].join('\n')
}

const introduction = `# Configuration

<!-- Made from mesh-config/ by \`npm run docs\`: change the schema, not this page. -->

A sidecar reads one or more YAML files: \`outrigger proxy -c sidecar.yaml -c production.yaml\`. The smallest one has a port to listen on, a service, and its endpoints:

\`\`\`yaml
outbound: [{ listen: 127.0.0.1:9101, service: orders }]
discovery:
  endpoints: { orders: [127.0.0.1:9001, 127.0.0.1:9002] }
\`\`\`

A fuller one:

\`\`\`yaml
service: web                          # the service this sidecar stands beside
inbound:
  - listen: 0.0.0.0:20000             # callers connect here
    forward: 127.0.0.1:3000           # the application
outbound:
  - listen: 127.0.0.1:15001           # one port for all services, picked by Host
  - listen: 127.0.0.1:9101            # a port for one service
    service: orders
discovery:
  endpoints:
    orders: [127.0.0.1:9001, { address: 127.0.0.1:9002, weight: 3, meta: { version: v2 } }]
services:
  orders:
    timeouts: { request: 10s, perTry: 3s }
    retries: { attempts: 3 }
    subsets: { v2: { version: v2 } }
    routes:
      - match: { path: /beta/*, headers: { x-tester: { present: true } } }
        to: [{ subset: v2 }]
      - match: { path: { regex: "/reports/[0-9]+" }, methods: [GET] }
        timeouts: { request: off }
\`\`\`

| to | write |
|---|---|
| check files before they are used | \`outrigger config check -c sidecar.yaml\`: exit code 0 when they are valid, 2 with every error as \`file:line:column: what is wrong: what would be right\` |
| see what is allowed and probably not meant, with a patch for it | \`outrigger config lint -c sidecar.yaml\`: exit code 0 when there is nothing, 1 with each warning and its patch; \`--fix\` applies those that have no alternative |
| see every value in force, with the line it came from or the reason of the default | \`outrigger config effective -c sidecar.yaml\`, or \`/config\` at the admin port of a running sidecar |
| have an editor complete and check the file | \`outrigger config schema > sidecar.schema.json\`, and as its first line \`# yaml-language-server: $schema=./sidecar.schema.json\` |
| change a running sidecar | save the file, or send SIGHUP. A file with an error changes nothing |

**Several files** are merged in the given order: maps key by key, everything else (lists too) as a whole, and the later one wins. A key without a value (\`admin:\`) restores the default.

**Variables**: \`\${NAME}\` in a value is replaced from the environment. A variable that is not set is an error; \`\${NAME:-value}\` names a fallback. An unquoted value that is only a variable is read as if it stood in the file: as a number, \`true\` or \`false\`; in quotes it is a text. Inside \`[ ]\` and \`{ }\` it needs no quotes (editors, which do not know variables, ask for them there). \`$\${\` is a plain \`\${\`. Errors never show a value from the environment; \`config effective\` hides it when the variable has the name of a secret (TOKEN, SECRET, PASSWORD ...).

| kind of value | written |
|---|---|
| duration | a number with \`ms\`, \`s\`, \`m\` or \`h\`: \`250ms\`, \`2s\`, \`1m30s\`. Where it makes sense \`off\` (or \`0\`) turns a timeout off |
| size | a number with \`B\`, \`KiB\`, \`MiB\` or \`GiB\`: \`64KiB\` |
| address | \`host:port\`; an IPv6 address in brackets and, YAML wants it so, in quotes: \`"[::1]:80"\`. Listening takes an IP address or \`localhost\`; port 0 lets the system choose |
| regular expression | RE2, and the whole value must match; no lookaround and no backreferences, which could take exponential time |
`

/**
 * `whose`: behind each heading. A table for this map, then one for each map in it with settings of its own; a map that has a table already is
 * referred to.
 */
function sections(node: SchemaNode, path: readonly string[], seen: Map<string, string>, whose = ''): string[] {
  const name = nameOf(path)
  const content = JSON.stringify(node.properties)
  const twin = seen.get(content)
  if (twin !== undefined) return [`### \`${name}\`${whose}\n\nAs \`${twin}\`.\n`]
  seen.set(content, name)
  const rows: string[] = []
  const inner: string[] = []
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    const at = [...path, key]
    rows.push(row(key, child, at))
    const [below, suffix] = mapBelow(child)
    // Service policies are in a section of their own.
    if (below !== null && !isLater(at) && name + key !== 'services')
      inner.push(...sections(below, [...at, ...suffix], seen, whose))
  }
  const heading = name === '' ? '' : `### \`${name}\`${whose}\n\n`
  return [`${heading}| setting | value | default | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`, ...inner]
}

function nameOf(path: readonly string[]): string {
  const steps = path[0] === 'services' ? path.slice(2) : path
  return steps
    .map(step => (step === '*' ? '<name>' : step))
    .join('.')
    .replaceAll('.[]', '[]')
}

/** The settings one level down, and the steps to it: directly, in the items of a list, or under names. */
function mapBelow(node: SchemaNode): [SchemaNode | null, string[]] {
  if (node.properties !== undefined) return [node, []]
  const form = node.anyOf?.map(mapBelow).find(([found]) => found !== null)
  if (form !== undefined) return form
  const [below, step] =
    node.items !== undefined
      ? [node.items, '[]']
      : typeof node.additionalProperties === 'object'
        ? [node.additionalProperties, '*']
        : [null, '']
  if (below === null) return [null, []]
  const [found, rest] = mapBelow(below)
  return [found, [step, ...rest]]
}

function row(key: string, node: SchemaNode, path: readonly string[]): string {
  const meaning = [
    node.description,
    node.why === undefined ? undefined : `*Why this default: ${node.why}.*`,
    remark(path),
  ]
  return `| \`${key}\` | ${cell(kindOf(node))} | ${cell(defaultOf(node))} | ${cell(meaning.filter(text => text !== undefined).join(' '))} |`
}

function remark(path: readonly string[]): string | undefined {
  const entry = refused.find(each => isAt(each.at, steps(path)))
  if (entry !== undefined)
    return entry.values === undefined || entry.values[0] === true
      ? '**Not available yet.**'
      : `**Not available yet: ${entry.values.map(value => `\`${value}\``).join(', ')}.**`
  return withoutEffect.some(each => isAt(each.at, steps(path))) ? '**No effect yet.**' : undefined
}

function isLater(path: readonly string[]): boolean {
  return refused.some(entry => entry.values === undefined && isAt(entry.at, steps(path)))
}

function steps(path: readonly string[]): string[] {
  return path.map(step => (step === '[]' ? '*' : step))
}

function kindOf(node: SchemaNode): string {
  if (node.kind !== undefined) return node.kind
  if (node.enum !== undefined) return node.enum.map(value => `\`${value}\``).join(' ')
  if (node.const !== undefined) return `\`${String(node.const)}\``
  if (node.anyOf !== undefined) return node.anyOf.map(kindOf).join(', or ')
  if (node.items !== undefined) return `list of ${kindOf(node.items).split(', or ').map(plural).join(', or ')}`
  if (node.properties !== undefined) return 'map'
  if (typeof node.additionalProperties === 'object') return `name: ${kindOf(node.additionalProperties)}`
  if (node.type === 'boolean') return '`true` `false`'
  if (node.type === 'integer' || node.type === 'number') return `number ${bounds(node)}`
  return 'text'
}

function bounds({ minimum = 0, maximum }: SchemaNode): string {
  return maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? `from ${minimum}` : `${minimum} to ${maximum}`
}

function plural(word: string): string {
  return /^[a-z ]+$/.test(word) ? (word.endsWith('s') ? `${word}es` : `${word}s`) : word
}

function defaultOf(node: SchemaNode): string {
  if (node.default === undefined) return ''
  if (typeof node.default !== 'object' || node.default === null) return `\`${String(node.default)}\``
  if (Array.isArray(node.default) && node.default.length > 0 && typeof node.default[0] !== 'object')
    return `\`[${node.default.join(', ')}]\``
  if (Array.isArray(node.default) && node.default.length > 0) return ''
  return node.properties !== undefined || node.anyOf !== undefined ? '' : 'none'
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function later(): string {
  const lines = refused.map(({ at, values, what, instead }) => {
    const place = at.replaceAll('outbound.*', 'outbound[]').replaceAll('services.*', 'services.<name>')
    const which =
      values === undefined || values[0] === true ? '' : `: ${values.map(value => `\`${value}\``).join(', ')}`
    return `| \`${place}\`${which} | ${what} | ${instead} |`
  })
  return `## Understood, not available yet\n\nThese settings are refused with an error that says so, until they work.\n\n| setting | what | until then |\n|---|---|---|\n${lines.join('\n')}\n`
}
