import type { Environment } from '../environment.ts'
import { explainIssue } from '../issue.ts'
import { loadDocument } from '../load.ts'
import {
  formatProblem,
  keyPosition,
  type Located,
  nodeAt,
  type Problem,
  plain,
  problem,
  sortProblems,
} from '../located.ts'
import { entriesAt, itemsAt, scalarAt } from '../look.ts'
import { nearest } from '../nearest.ts'
import { schemaOf } from '../schema.ts'
import { type DevDocument, type DevServiceDocument, devSchema } from './dev-file.ts'

/** A service of the file, ready to run. */
export interface DevService extends Omit<DevServiceDocument, 'policy' | 'env'> {
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  /** As written; null: none. */
  readonly policy: unknown
}

export interface DevFile extends Omit<DevDocument, 'services'> {
  readonly services: readonly DevService[]
}

export type LoadedDevFile =
  | { readonly ok: true; readonly dev: DevFile }
  /** As `file:line:column: what is wrong: what to write`. */
  | { readonly ok: false; readonly errors: readonly string[] }

/** Each instance takes three processes of this machine. */
const MOST_INSTANCES = 60
/** Of the gateway, which is an instance of its own. */
export const GATEWAY = 'gateway'

/** Never throws. */
export function loadDevFile(file: string, content: string, env: Environment): LoadedDevFile {
  const { root, problems } = loadDocument(file, content, env)
  if (root === null || problems.length > 0) return failed(problems, file)
  const parsed = devSchema.safeParse(plain(root))
  const wrong = crossCheck(root)
  if (parsed.success && wrong.length === 0) return { ok: true, dev: devFile(parsed.data, root) }
  const issues = parsed.success ? [] : parsed.error.issues
  return failed([...issues.flatMap(issue => explainIssue(issue, root, schemaOf('dev'))), ...wrong], file)
}

function failed(problems: readonly Problem[], file: string): LoadedDevFile {
  return { ok: false, errors: sortProblems(problems, [file]).map(formatProblem) }
}

function devFile({ services, ...rest }: DevDocument, root: Located): DevFile {
  const all = Object.entries(services).map(([name, { policy: _, env: __, ...service }]): DevService => {
    const policy = nodeAt(root, ['services', name, 'policy'])
    return { ...service, name, env: envOf(root, name), policy: policy === null ? null : plain(policy) }
  })
  return { ...rest, services: all }
}

/** Numbers as they are written: 1.10 is not 1.1. */
function envOf(root: Located, service: string): Record<string, string> {
  return Object.fromEntries(
    entriesAt(root, ['services', service, 'env']).map(([name, node]) => [
      name,
      node.kind === 'scalar' ? (node.source ?? String(node.value ?? '')) : '',
    ]),
  )
}

/** `orders-v2` -> `ORDERS_V2`: what its variables begin with. */
export function variableName(service: string): string {
  return service.toUpperCase().replace(/[^A-Z0-9]/g, '_')
}

/** What must agree between fields. Values of the wrong kind are the schema's to tell. */
function crossCheck(root: Located): Problem[] {
  const found: Problem[] = []
  const services = entriesAt(root, ['services'])
  const names = services.map(([name]) => name)
  const say = (path: readonly (string | number)[], message: string) => {
    const at = nodeAt(root, path)?.at ?? keyPosition(root, path)
    if (at !== null && at !== undefined) found.push(problem(at, message))
  }
  if (nodeAt(root, ['services'])?.kind === 'map' && names.length === 0)
    say(['services'], 'there is no service: write at least one, such as web: { command: node web.js }')
  checkNames(root, names, found)
  const ports = new Map<number, string>()
  let instances = 0
  for (const [name, service] of services) {
    const count = scalarAt(service, ['instances'])?.value ?? 1
    instances += typeof count === 'number' ? count : 1
    for (const [key, of] of [
      ['port', typeof count === 'number' ? Math.min(count, 20) : 1],
      ['publish', 1],
    ] as const) {
      const first = scalarAt(service, [key])?.value
      if (typeof first !== 'number') continue
      if (first + of - 1 > 65_535)
        say(['services', name, key], `${of} instances from ${first} on go beyond port 65535: write a lower one`)
      for (let port = first; port < first + of; port++) {
        const taken = ports.get(port)
        if (taken !== undefined)
          say(['services', name, key], `port ${port} is taken by ${taken}: write another one, or leave it out`)
        ports.set(port, `${key} of ${name}`)
      }
    }
    for (const [variable, value] of entriesAt(service, ['env']))
      if (value.kind !== 'scalar')
        say(
          ['services', name, 'env', variable],
          `${variable} is a ${value.kind}, and a variable is one value: write it in quotes`,
        )
    itemsAt(service, ['depends']).forEach((item, index) => {
      if (item.kind !== 'scalar' || typeof item.value !== 'string' || names.includes(item.value)) return
      const meant = nearest(item.value, names)
      const fix = meant === null ? `there are ${names.join(', ')}` : `did you mean ${meant}?`
      say(['services', name, 'depends', index], `there is no service "${item.value}": ${fix}`)
    })
  }
  if (instances > MOST_INSTANCES)
    say(['services'], `${instances} instances are more than one machine should run: write ${MOST_INSTANCES} at most`)
  const circle = circleOf(root, names)
  if (circle !== null)
    say(['services', circle[0]!, 'depends'], `${circle.join(' depends on ')}: none of them could start; remove one`)
  return found
}

function checkNames(root: Located, names: readonly string[], found: Problem[]): void {
  const variables = new Map<string, string>()
  for (const name of names) {
    const at = keyPosition(root, ['services', name])
    if (at === null) continue
    if (name === GATEWAY) found.push(problem(at, `"${GATEWAY}" is the way in from outside: choose another name`))
    const other = variables.get(variableName(name))
    if (other !== undefined)
      found.push(problem(at, `"${name}" and "${other}" would share the variable ${variableName(name)}_URL: rename one`))
    variables.set(variableName(name), name)
    const asInstance = /^(.*)-\d+$/.exec(name)?.[1]
    if (asInstance !== undefined && names.includes(asInstance))
      found.push(problem(at, `"${name}" is what an instance of "${asInstance}" is called: rename one`))
  }
}

/** `a, b, a`; null: there is none. */
function circleOf(root: Located, names: readonly string[]): string[] | null {
  const done = new Set<string>()
  const visit = (name: string, way: readonly string[]): string[] | null => {
    if (way.includes(name)) return [...way.slice(way.indexOf(name)), name]
    if (done.has(name) || !names.includes(name)) return null
    for (const item of itemsAt(root, ['services', name, 'depends'])) {
      const circle = item.kind === 'scalar' ? visit(String(item.value), [...way, name]) : null
      if (circle !== null) return circle
    }
    done.add(name)
    return null
  }
  for (const name of names) {
    const circle = visit(name, [])
    if (circle !== null) return circle
  }
  return null
}
