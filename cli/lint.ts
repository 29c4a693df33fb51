import { chmod, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { type LoadedSnapshot, loadSnapshot, type SourceText } from '../mesh-config/load-snapshot.ts'
import { formatProblem, type Problem } from '../mesh-config/located.ts'
import { type Fixed, fixAll, type Patch, patchOf } from '../mesh-config/patch.ts'
import { printable } from '../proxy/core/printable.ts'
import { colours } from './colours.ts'
import type { ConfigSurroundings } from './config-surroundings.ts'
import { unifiedDiff } from './unified-diff.ts'

/** Warnings are left; the files are not good, or could not be written. */
const EXIT_WARNINGS = 1
const EXIT_BAD = 2

/** `outrigger config lint`: each warning with its fix as a patch; with `fix`, the safe ones are applied. */
export async function lintFiles(
  files: readonly string[],
  fix: boolean,
  surroundings: ConfigSurroundings,
): Promise<void> {
  const { stdout, stderr, env } = surroundings
  let sources: readonly SourceText[] = []
  const first = await loadSnapshot(files, env, read => {
    sources = read
  })
  if (!first.ok) {
    for (const error of first.errors) stderr.write(`${printable(error)}\n`)
    surroundings.exitCode = EXIT_BAD
    return
  }
  const done: Fixed = fix ? await fixAll(sources, first, env) : { sources, loaded: first, fixed: [] }
  const trouble = await writeChanged(sources, done.sources)
  if (trouble !== '') {
    stderr.write(`${printable(trouble)}\n`)
    surroundings.exitCode = EXIT_BAD
    return
  }
  const { green, yellow } = colours(stdout, env)
  for (const { lint, patch } of done.fixed) stdout.write(`${green('fixed')} ${entryText(lint, patch)}`)
  const left = await leftOf(done, env)
  for (const text of left) stdout.write(`${yellow('warning')} ${text}`)
  stdout.write(`${summary(done.fixed.length, left.length, fix, done.loaded)}\n`)
  if (left.length > 0) surroundings.exitCode = EXIT_WARNINGS
}

async function leftOf({ sources, loaded }: Fixed, env: ConfigSurroundings['env']): Promise<string[]> {
  const known = new Set(loaded.lints.map(formatProblem))
  const others = loaded.warnings.filter(warning => !known.has(warning)).map(warning => `${printable(warning)}\n`)
  const texts: string[] = []
  for (const lint of loaded.lints) {
    const { fix } = lint
    const patch = fix === undefined ? null : await patchOf({ ...lint, fix }, sources, loaded, env)
    texts.push(entryText(lint, patch))
  }
  return [...others, ...texts]
}

/** `patch` null: there is none; a text: why not. */
function entryText(lint: Problem, patch: Patch | string | null): string {
  const title = `${printable(formatProblem(lint))}\n`
  if (patch === null) return title
  if (typeof patch === 'string') return `${title}  no patch: ${printable(patch)}\n`
  const note = lint.fix!.isSafe ? '' : '  one way, which --fix leaves to you:\n'
  const lines = unifiedDiff(patch.file, patch.before, patch.after)
  return `${title}${note}${lines.map(line => `${printable(line)}\n`).join('')}`
}

function summary(fixed: number, left: number, fix: boolean, { lints }: LoadedSnapshot): string {
  if (fixed + left === 0) return 'nothing to say'
  const safe = lints.filter(lint => lint.fix?.isSafe === true).length
  const hint = fix || safe === 0 ? '' : `; --fix applies the patches of ${safe}`
  const applied = fix ? `${fixed} fixed, ` : ''
  return `${applied}${left} ${left === 1 ? 'warning' : 'warnings'}${fix ? ' left' : ''}${hint}`
}

/** Each file at once, or none of it. Why not; empty: done. */
async function writeChanged(before: readonly SourceText[], after: readonly SourceText[]): Promise<string> {
  const changed = after.filter(({ text }, index) => text !== before[index]!.text)
  const original = new Map(before.map(({ file, text }) => [file, text]))
  if (changed.some(({ file }) => file === 'stdin')) return 'stdin: --fix writes files: name one'
  for (const { file, text } of changed) {
    try {
      // A link stays one.
      const path = await realpath(file)
      if ((await readFile(path, 'utf8')) !== original.get(file)) return `${file}: it was changed meanwhile: try again`
      await replaceText(path, text)
    } catch (error) {
      return `${file}: it cannot be written: ${error instanceof Error ? error.message : String(error)}`
    }
  }
  return ''
}

async function replaceText(path: string, text: string): Promise<void> {
  const { mode } = await stat(path)
  const temporary = `${path}.${process.pid}.new`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await chmod(temporary, mode & 0o777)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
}
