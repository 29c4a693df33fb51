import { compileEndpoints } from './compile-discovery.ts'
import { endpointList } from './discovery.ts'
import { MOST_ENDPOINTS } from './endpoint-json.ts'
import { explainIssue } from './issue.ts'
import { loadDocument } from './load.ts'
import {
  formatProblem,
  type Located,
  type LocatedEntry,
  type LocatedMap,
  type LocatedScalar,
  type Problem,
  plain,
  problem,
  sortProblems,
} from './located.ts'
import type { SchemaNode } from './schema.ts'
import type { EndpointSpec } from './snapshot.ts'

/** Explaining an error takes time, and readers begin with the first ones. */
const MOST_ISSUES = 50

/** The endpoints of a file, or all its errors as `file:line:column: what is wrong: what to write`. */
export type EndpointFile =
  | { readonly ok: true; readonly endpoints: readonly EndpointSpec[] }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Reads a list as under `discovery.endpoints`, or the groups of Prometheus's file_sd, in JSON or YAML. Variables are
 * not replaced: the writer of the file need not be trusted with the environment. Never throws.
 */
export function readEndpointFile(file: string, text: string): EndpointFile {
  if (text.trim() === '')
    return refused([{ at: null, file, message: 'the file is empty: write [] where there are no endpoints' }], file)
  const { root, problems } = loadDocument(
    file,
    text.replaceAll('${', () => '$${'),
    {},
  )
  if (root === null || problems.length > 0) return refused(problems, file)
  if (root.kind !== 'list')
    return refused([problem(root.at, 'a list of endpoints belongs here: begin each with "- ", or write []')], file)
  const groups = root.items.map(endpointsOfGroup)
  const wrong = groups.flatMap(({ problems }) => problems).slice(0, MOST_ISSUES)
  if (wrong.length > 0) return refused(wrong, file)
  const list: Located = { ...root, items: groups.flatMap(({ items }) => items) }
  if (list.items.length > MOST_ENDPOINTS)
    return refused([problem(root.at, `more than ${MOST_ENDPOINTS} endpoints: no service has so many`)], file)
  const parsed = endpointList.safeParse(plain(list))
  if (parsed.success) return { ok: true, endpoints: compileEndpoints(parsed.data) }
  const schema = endpointList.toJSONSchema({ io: 'input', unrepresentable: 'any' }) as SchemaNode
  return refused(
    parsed.error.issues.slice(0, MOST_ISSUES).flatMap(issue => explainIssue(issue, list, schema)),
    file,
  )
}

function refused(problems: readonly Problem[], file: string): EndpointFile {
  return { ok: false, problems: sortProblems(problems.slice(0, MOST_ISSUES), [file]).map(formatProblem) }
}

interface Group {
  readonly items: readonly Located[]
  readonly problems: readonly Problem[]
}

/** Turns a group of file_sd into items of our list, each value with its position. Returns anything else unchanged. */
function endpointsOfGroup(item: Located): Group {
  const targets = item.kind === 'map' ? item.entries.get('targets') : undefined
  if (item.kind !== 'map' || targets === undefined) return { items: [item], problems: [] }
  const labels = item.entries.get('labels')
  const others = [...item.entries].filter(([name]) => name !== 'targets' && name !== 'labels')
  const problems = others.map(([name, { keyAt }]) =>
    problem(keyAt, `unknown key "${name}": a group of file_sd has targets and labels`),
  )
  if (targets.node.kind !== 'list')
    problems.push(problem(targets.node.at, 'targets is a list: write [ "host:port", ... ]'))
  else
    problems.push(
      ...targets.node.items
        .filter(target => target.kind !== 'scalar')
        .map(({ at }) => problem(at, 'a target is a text: write "host:port"')),
    )
  if (labels !== undefined && labels.node.kind !== 'map')
    problems.push(problem(labels.node.at, 'labels is a map: write { "name": "value" }'))
  if (problems.length > 0 || targets.node.kind !== 'list') return { items: [], problems }
  const common = labels?.node.kind === 'map' ? fieldsOfLabels(labels.node, labels.keyAt) : []
  return {
    items: targets.node.items.map(target =>
      mapOf(target, [['address', { keyAt: target.at, node: target }], ...common]),
    ),
    problems: [],
  }
}

/**
 * Labels are metadata, and `zone` is also the zone. Labels that begin with `__` are for Prometheus itself and are left
 * out.
 */
function fieldsOfLabels(labels: LocatedMap, keyAt: LocatedEntry['keyAt']): [string, LocatedEntry][] {
  const entries = new Map([...labels.entries].filter(([name]) => !name.startsWith('__')))
  const zone = entries.get('zone')
  const meta: [string, LocatedEntry] = ['meta', { keyAt, node: { ...labels, entries } }]
  return zone === undefined || isEmpty(zone.node) ? [meta] : [['zone', zone], meta]
}

function isEmpty(node: Located): node is LocatedScalar {
  return node.kind === 'scalar' && node.value === ''
}

function mapOf({ at }: Located, entries: readonly (readonly [string, LocatedEntry])[]): LocatedMap {
  return { kind: 'map', at, entries: new Map(entries) }
}
