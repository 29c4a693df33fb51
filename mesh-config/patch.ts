import type { Environment } from './environment.ts'
import type { Fix } from './fix.ts'
import { type LoadedSnapshot, loadTexts, type SourceText } from './load-snapshot.ts'
import type { Problem } from './located.ts'
import { editYaml, Uneditable } from './yaml-edits.ts'

/** One file with the fix of one warning. */
export interface Patch {
  readonly file: string
  readonly before: string
  readonly after: string
}

/**
 * What fixes a warning, tried out: the files are good with it, the warning is gone, and there is no new one. A text: why
 * there is no such patch.
 */
export async function patchOf(
  { file, fix, message }: Problem & { readonly fix: Fix },
  sources: readonly SourceText[],
  loaded: LoadedSnapshot,
  env: Environment,
): Promise<Patch | string> {
  const before = sources.find(source => source.file === file)?.text
  if (before === undefined) return 'its value comes from the environment: change it there'
  let after = before
  try {
    for (const edit of fix.edits) after = editYaml(after, edit)
  } catch (error) {
    if (error instanceof Uneditable) return error.message
    throw error
  }
  const now = await loadTexts(replaced(sources, file, after), env)
  if (!now.ok) return `the file would not be good any more: ${now.errors[0]}`
  const left = loaded.lints.map(kindOf)
  take(left, kindOf({ message }))
  const isNew = now.lints.find(each => !take(left, kindOf(each)))
  return isNew === undefined ? { file, before, after } : `it would warn of this: ${isNew.message}`
}

export function replaced(sources: readonly SourceText[], file: string, text: string): SourceText[] {
  return sources.map(source => (source.file === file ? { file, text } : source))
}

/** Of the warning, whatever the numbers in it are: those of another one may change with a fix. */
export function kindOf({ message }: Pick<Problem, 'message'>): string {
  return message.replaceAll(/\d+(\.\d+)?(ms|[smh%])?/g, 'N')
}

/** Takes one of them out of the list. */
function take(list: string[], message: string): boolean {
  const index = list.indexOf(message)
  if (index === -1) return false
  list.splice(index, 1)
  return true
}

export interface Fixed {
  readonly sources: readonly SourceText[]
  readonly loaded: LoadedSnapshot
  readonly fixed: readonly { readonly lint: Problem; readonly patch: Patch }[]
}

/** Applies the safe fixes, one after the other, each to what came of the one before. */
export async function fixAll(sources: readonly SourceText[], loaded: LoadedSnapshot, env: Environment): Promise<Fixed> {
  const fixed: { lint: Problem; patch: Patch }[] = []
  const tried = new Set<string>()
  for (;;) {
    const lint = loaded.lints.find(
      (each): each is Problem & { fix: Fix } => each.fix?.isSafe === true && !tried.has(keyOf(each)),
    )
    if (lint === undefined) return { sources, loaded, fixed }
    tried.add(keyOf(lint))
    const patch = await patchOf(lint, sources, loaded, env)
    if (typeof patch === 'string') continue
    sources = replaced(sources, patch.file, patch.after)
    // It is good: the patch was tried out.
    loaded = (await loadTexts(sources, env)) as LoadedSnapshot
    fixed.push({ lint, patch })
  }
}

function keyOf({ fix, message }: Problem): string {
  return `${message} ${JSON.stringify(fix)}`
}
