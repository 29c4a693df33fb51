import { readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { hash32 } from '../core/hash.ts'
import type { ChildLine } from './loaded-config.ts'

/**
 * What the config reader (load-config.ts) made of the files the last time, so that a start with unchanged files needs
 * no child process. It holds for the very same texts, variables of the environment and program; docs/decisions/0033
 * says more.
 */
export interface CacheHead {
  /** Of the program that read the files. */
  readonly build: string
  readonly files: readonly { readonly file: string; readonly text: string }[]
  /** Every variable that was looked at; null: it was not set. */
  readonly env: Readonly<Record<string, string | null>>
}

export type Config = Extract<ChildLine, { readonly ok: true }>
export type Effective = Extract<ChildLine, { readonly json: string }>

export interface CachedConfig {
  readonly config: Config
  effective(): Effective
}

/** More is not kept: reading it would take as long as reading the files. */
export const MAX_CACHE_BYTES = 8 * 1024 * 1024

/** In the private folder that bin/outrigger.js found; null: there is none. */
export function cacheFile(
  files: readonly string[],
  folder: string | undefined = process.env.OUTRIGGER_CACHE_FOLDER,
): string | null {
  if (folder === undefined || folder === '') return null
  return join(folder, `config-${hash32(files.map(file => resolve(file)).join('\n')).toString(16)}.json`)
}

/** Changes with every build and every version. */
export function buildOf(program: string): string {
  const { mtimeMs, size } = statSync(program)
  return `${program} ${mtimeMs} ${size}`
}

/** Null: nothing is kept for these files, or something is not as it was. Never throws. */
export function cachedConfig(files: readonly string[], program: string): CachedConfig | null {
  const path = cacheFile(files)
  if (path === null) return null
  try {
    const { uid, size } = statSync(path)
    if (uid !== process.getuid?.() || size > MAX_CACHE_BYTES) return null
    const [head = '', config = '', effective = '', end] = readFileSync(path, 'utf8').split('\n')
    if (end !== '' || !isCurrent(JSON.parse(head) as CacheHead, files, program)) return null
    // Bytes of its own: a part of the text would keep all of it.
    const bytes = Buffer.from(effective)
    return { config: JSON.parse(config) as Config, effective: () => JSON.parse(bytes.toString()) as Effective }
  } catch {
    return null
  }
}

function isCurrent({ build, files, env }: CacheHead, given: readonly string[], program: string): boolean {
  if (build !== buildOf(program) || files.length !== given.length) return false
  if (Object.entries(env).some(([name, value]) => (process.env[name] ?? null) !== value)) return false
  // A pipe can be read only once, and that is for the reader to do.
  return files.every(
    ({ file, text }, index) => file === given[index] && statSync(file).isFile() && readFileSync(file, 'utf8') === text,
  )
}
