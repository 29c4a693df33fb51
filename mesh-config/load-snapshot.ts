import { type Compiled, compile } from './compile.ts'
import { crossCheck, serviceNames } from './cross-check.ts'
import type { Effective } from './effective.ts'
import type { Environment } from './environment.ts'
import { lint } from './lint.ts'
import { loadDocument } from './load.ts'
import {
  formatProblem,
  type Located,
  merge,
  nodeAt,
  type Path,
  type Problem,
  plain,
  positionAt,
  sortProblems,
} from './located.ts'
import { otelEnvironment } from './otel-environment.ts'
import type { OwnPolicies } from './own-policy.ts'
import { FileTrouble, readText } from './read-file.ts'
import { defaultAdmin, type SidecarDocument, sidecarSchema } from './sidecar.ts'
import { MAX_YAML_BYTES } from './yaml-bounds.ts'

export interface LoadedSnapshot extends Compiled {
  readonly ok: true
  /** `file:line:column: text`: allowed, but probably not intended. */
  readonly warnings: readonly string[]
  /** The same as data, with what would fix them; without those of the environment. */
  readonly lints: readonly Problem[]
  /** Every value with its source, without secrets: for the admin port and `config effective`. Made on demand. */
  effective(): Promise<Effective>
  /** What the files say of each service, for the agent. */
  own(): Promise<OwnPolicies>
}

export interface LoadErrors {
  readonly ok: false
  /** All errors as `file:line:column: what is wrong: what to write`, in the order of the files. */
  readonly errors: readonly string[]
}

export interface SourceText {
  readonly file: string
  readonly text: string
}

/**
 * Loads the files of `-c`, later ones over earlier ones; `-` is standard input. Never throws: all problems are returned
 * as errors. `read` gets the texts.
 */
export async function loadSnapshot(
  paths: readonly string[],
  env: Environment,
  read: (sources: readonly SourceText[]) => void = () => {},
): Promise<LoadedSnapshot | LoadErrors> {
  if (paths.length === 0) return { ok: false, errors: ['no config file given: name one with -c sidecar.yaml'] }
  if (paths.filter(path => path === '-').length > 1)
    return { ok: false, errors: ['- is given twice, and standard input can be read once: name it once'] }
  const texts = await Promise.all(paths.map(readSource))
  const errors = texts.filter(each => typeof each === 'string')
  if (errors.length > 0) return { ok: false, errors }
  const sources = texts.filter(each => typeof each !== 'string')
  read(sources)
  return loadTexts(sources, env)
}

async function readSource(file: string): Promise<SourceText | string> {
  if (file === '-') return { file: STDIN, text: await readStdin() }
  try {
    return { file, text: await readText(file, MAX_YAML_BYTES) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    return `${file}: ${unreadable[code] ?? (error instanceof FileTrouble ? error.message : `cannot be read (${code})`)}`
  }
}

/** Its name in errors. */
const STDIN = 'stdin'

async function readStdin(): Promise<string> {
  let text = ''
  process.stdin.setEncoding('utf8')
  for await (const chunk of process.stdin) text += chunk
  return text
}

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file: check the path given with -c',
  EACCES: 'no permission to read it: give the user that runs outrigger read access',
  EISDIR: 'this is a folder: name the files in it, -c takes several',
}

/** The same for texts that are already read. */
export async function loadTexts(
  sources: readonly SourceText[],
  env: Environment,
): Promise<LoadedSnapshot | LoadErrors> {
  const files = sources.map(({ file }) => file)
  const loaded = sources.map(({ file, text }) => loadDocument(file, text, env))
  const problems = loaded.flatMap(each => each.problems)
  const roots = loaded.flatMap(({ root }) => (root === null ? [] : [root]))
  // Without valid YAML, further errors would be guesses.
  if (roots.length < loaded.length) return failed(problems, files)
  const notMaps = loaded.flatMap(({ root }) => (root === null || root.kind === 'map' ? [] : [notAMap(root)]))
  if (notMaps.length > 0) return failed([...problems, ...notMaps], files)
  const otel = otelEnvironment(env)
  const root = (otel.root === null ? roots : [otel.root, ...roots]).reduce(merge)
  const parsed = sidecarSchema.safeParse(withEveryService(root))
  if (!parsed.success) problems.push(...(await explainIssues(parsed.error.issues, root)))
  problems.push(...(await crossCheck(root, defaultAdmin)))
  if (!parsed.success || problems.length > 0) return failed(problems, files)
  return finished(parsed.data, root, files, otel.warnings)
}

function finished(
  document: SidecarDocument,
  root: Located,
  files: readonly string[],
  ofEnvironment: readonly string[],
): LoadedSnapshot {
  const bare = compile(document)
  const compiled: Compiled = { ...bare, snapshot: Object.freeze({ ...bare.snapshot, places: placesOf(bare, root) }) }
  const lints = sortProblems(lint(compiled, root), files)
  const warnings = [...ofEnvironment, ...lints.map(formatProblem)]
  const effective = async (): Promise<Effective> => (await import('./effective.ts')).effective(document, root, files)
  const own = async (): Promise<OwnPolicies> => (await import('./own-policy.ts')).ownPolicies(root)
  return { ok: true, ...compiled, warnings, lints, effective, own }
}

/** The positions (`file:line:column`) of the addresses to listen on. */
function placesOf({ snapshot }: Compiled, root: Located): Readonly<Record<string, string>> {
  const places: Record<string, string> = {}
  const note = (name: string, path: Path) => {
    if (nodeAt(root, path) === null) return
    const { file, line, column } = positionAt(root, path)
    places[name] = `${file}:${line}:${column}`
  }
  for (const direction of ['inbound', 'outbound'] as const) {
    const listeners = snapshot.listeners.filter(listener => listener.direction === direction)
    for (const [index, { name }] of listeners.entries()) note(name, [direction, index, 'listen'])
  }
  note('admin', ['admin'])
  note('metrics', nodeAt(root, ['metrics', 'listen']) === null ? ['metrics'] : ['metrics', 'listen'])
  note('dns', nodeAt(root, ['dns', 'listen']) === null ? ['dns'] : ['dns', 'listen'])
  return Object.freeze(places)
}

function failed(problems: readonly Problem[], files: readonly string[]): LoadErrors {
  return { ok: false, errors: sortProblems(problems, files).map(formatProblem) }
}

function notAMap(root: Located): Problem {
  return {
    at: root.at,
    file: root.at.file,
    message: `the file is a ${root.kind === 'list' ? 'list' : 'single value'}, and settings are a map: write "key: value" lines, such as outbound:`,
  }
}

/** A service that has endpoints and no policy has the defaults of one. */
function withEveryService(root: Located): unknown {
  const document = plain(root) as Record<string, unknown>
  const { services = {} } = document
  if (typeof services !== 'object' || services === null || Array.isArray(services)) return document
  const named = Object.fromEntries(
    [...serviceNames(root)].map(name => [
      name,
      Object.hasOwn(services, name) ? (services as Record<string, unknown>)[name] : {},
    ]),
  )
  return { ...document, services: named }
}

/** The code that explains errors, loaded when there are some. */
async function explainIssues(
  issues: Parameters<typeof import('./issue.ts').explainIssue>[0][],
  root: Located,
): Promise<Problem[]> {
  const [{ explainIssue }, { schemaOf }] = await Promise.all([import('./issue.ts'), import('./schema.ts')])
  return issues.flatMap(issue => explainIssue(issue, root, schemaOf('sidecar')))
}
