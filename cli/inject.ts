import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { isatty } from 'node:tty'
import type { Command } from 'commander'
import { injectText, type Outcome, type Row, undoText } from '../inject/manifest.ts'
import { readBase } from '../inject/options.ts'
import type { Options, SidecarMode, UsualAgent } from '../inject/settings.ts'
import { printable } from '../mesh-config/agent/printable.ts'
import { colours } from './colours.ts'
import { diffLines } from './line-diff.ts'
import { table } from './table.ts'

interface Given {
  readonly filename?: readonly string[]
  readonly inPlace?: true
  readonly diff?: true
  readonly undo?: true
  readonly quiet?: true
  readonly sidecar: SidecarMode
  readonly agent: UsualAgent
  readonly image?: string
  readonly base?: string
}

interface Source {
  readonly file: string
  readonly text: string
}

/** `outrigger inject`: manifests with the sidecar in them, for `kubectl apply`. */
export function addInjectCommand(program: Command, version: string): void {
  const command = program.command('inject')
  command
    .description('add the sidecar to Kubernetes manifests; what is not injected stays byte for byte')
    .argument('[files...]', 'the same as -f')
    .option('-f, --filename <files...>', 'manifests in YAML or JSON, or folders of them; - is standard input')
    .option('-i, --in-place', 'write the files rather than standard output')
    .option('--diff', 'show what would change, and write nothing: exit code 3 where something would')
    .option('--undo', 'take the sidecar out again')
    .addOption(
      command
        .createOption('--sidecar <mode>', 'an init container that goes on running (Kubernetes 1.29), or a container')
        .choices(['native', 'classic'])
        .default('native'),
    )
    .option('--image <image>', `the image of the sidecar (default: outrigger:${version})`)
    .addOption(
      command
        .createOption('--agent <which>', 'what sidecars follow: the agent of their node, or none')
        .choices(['node', 'off'])
        .default('off'),
    )
    .option('--base <file>', 'a part of a sidecar file that every sidecar gets, such as discovery:')
    .option('-q, --quiet', 'no table on standard error')
    .addHelpText(
      'after',
      `
Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs, CronJobs, Pods and Lists of them get the sidecar. Annotations
of the pod say how (docs/kubernetes.md). Where one object is refused nothing is written at all.

Examples:
  outrigger inject -f app.yaml | kubectl apply -f -
  helm template ./chart | outrigger inject -f - --base mesh.yaml | kubectl apply -f -
  outrigger inject -f manifests/ --diff
  outrigger inject -f app.yaml --undo

Exit codes:
  0   done     1   a file cannot be read or written
  2   a manifest or the command line is wrong     3   of --diff: something would change`,
    )
    .action(async (files: readonly string[], given: Given, self: Command) => {
      const named = [...(given.filename ?? []), ...files]
      if (named.length === 0) self.error('error: no manifest given: name one with -f app.yaml, or - for standard input')
      if (given.inPlace === true && named.includes('-')) self.error('error: standard input cannot be written in place')
      process.exitCode = await run(named, given, {
        version,
        by: 'inject',
        image: given.image ?? `outrigger:${version}`,
        mode: given.sidecar,
        agent: given.agent,
        base: {},
      })
    })
}

async function run(named: readonly string[], given: Given, usual: Options): Promise<number> {
  let options = usual
  let sources: Source[]
  try {
    if (given.base !== undefined) options = { ...usual, base: await readBase(given.base) }
    sources = named.flatMap(sourcesOf)
  } catch (error) {
    process.stderr.write(`${printable((error as Error).message)}\n`)
    return 1
  }
  const outcomes: (Outcome & Source)[] = []
  for (const source of sources) {
    const outcome = given.undo === true ? undoText(source.text) : await injectText(source.text, options)
    outcomes.push({ ...source, ...outcome, text: outcome.text })
  }
  const rows = outcomes.flatMap(({ file, rows: all }) => all.map(row => ({ file, row })))
  if (given.quiet !== true || rows.some(({ row }) => row.result === 'refused')) summary(rows, sources.length > 1)
  if (rows.some(({ row }) => row.result === 'refused')) return 2
  const changed = outcomes
    .map(({ text }, index) => ({ ...sources[index]!, now: text }))
    .filter(each => each.now !== each.text)
  if (given.diff === true) return showDiff(changed)
  if (given.inPlace === true) return writeAll(changed)
  process.stdout.write(joined(outcomes.map(({ text }) => text)))
  return 0
}

/** Several files are one stream of documents. */
function joined(texts: readonly string[]): string {
  return texts.reduce((all, text, index) => {
    if (index === 0) return text
    const between = /^---(\s|$)/.test(text) ? '' : '---\n'
    return `${all}${all === '' || all.endsWith('\n') ? '' : '\n'}${between}${text}`
  }, '')
}

const EXTENSIONS = new Set(['.yaml', '.yml', '.json'])

/** As kubectl: the files of a folder by their names, and not of folders in it. */
function sourcesOf(name: string): Source[] {
  if (name === '-') return [{ file: '-', text: textOf(0, 'standard input') }]
  if (statSync(name, { throwIfNoEntry: false })?.isDirectory() !== true)
    return [{ file: name, text: textOf(name, name) }]
  const files = readdirSync(name, { withFileTypes: true })
    .filter(entry => !entry.isDirectory() && EXTENSIONS.has(extname(entry.name)))
    .map(entry => join(name, entry.name))
    .sort()
  if (files.length === 0) throw new Error(`${name}: no .yaml, .yml or .json file is in this folder`)
  return files.map(file => ({ file, text: textOf(file, file) }))
}

function textOf(file: string | 0, name: string): string {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new Error(`${name}: cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`)
  }
  const text = bytes.toString('utf8')
  // A byte that is not UTF-8 would come out as another.
  if (!Buffer.from(text, 'utf8').equals(bytes)) throw new Error(`${name}: is not UTF-8: save it as UTF-8`)
  return text
}

function showDiff(changed: readonly (Source & { readonly now: string })[]): number {
  const paint = colours(process.stdout, process.env)
  for (const { file, text, now } of changed) {
    process.stdout.write(`--- ${printable(file)}\n+++ ${printable(file)}\n`)
    for (const line of diffLines(text, now)) {
      const shown = `${line.sign}${line.text.replace(/\r$/, '')}`
      process.stdout.write(`${line.sign === '+' ? paint.green(shown) : line.sign === '-' ? paint.red(shown) : shown}\n`)
    }
  }
  return changed.length > 0 ? 3 : 0
}

function writeAll(changed: readonly (Source & { readonly now: string })[]): number {
  for (const { file, now } of changed) {
    try {
      writeFileSync(file, now)
    } catch (error) {
      process.stderr.write(`${file}: cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)})\n`)
      return 1
    }
  }
  return 0
}

const words: Readonly<Record<Row['result'], string>> = {
  injected: 'injected',
  same: 'unchanged',
  removed: 'removed',
  skipped: 'not injected',
  none: 'no pod',
  refused: 'REFUSED',
}

function summary(rows: readonly { readonly file: string; readonly row: Row }[], showFile: boolean): void {
  const width = isatty(2) ? (process.stderr.columns ?? 120) : 10_000
  const lines = rows.flatMap(({ file, row }) =>
    row.why
      .split('\n')
      .map((why, index) => [
        index === 0 ? row.object : '',
        index === 0 ? words[row.result] : '',
        row.result === 'none' ? '' : why,
        row.result === 'refused' || showFile ? `${file}${row.line > 0 ? `:${row.line}` : ''}` : '',
      ]),
  )
  if (lines.length === 0) process.stderr.write('no object is in it\n')
  // Errors are shown whole.
  const isWhole = rows.some(({ row }) => row.result === 'refused')
  for (const line of table(lines, isWhole ? 10_000 : width, 3)) process.stderr.write(`${line}\n`)
  for (const { row } of rows)
    for (const note of row.notes) process.stderr.write(`note: ${row.object}: ${printable(note)}\n`)
}
