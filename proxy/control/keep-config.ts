import { closeSync, openSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type CacheHead, type Config, cacheFile, type Effective, MAX_CACHE_BYTES } from './config-cache.ts'

/** Sets of files that are kept, the last used ones. */
const MOST = 32

/** For config-cache.ts to find at the next start. Where it cannot be written, that start reads the files again. */
export function keepConfig(head: CacheHead, config: Config, effective: Effective): void {
  const path = cacheFile(head.files.map(({ file }) => file))
  if (path === null) return
  const text = [head, config, effective].map(part => `${JSON.stringify(part)}\n`).join('')
  if (Buffer.byteLength(text) > MAX_CACHE_BYTES) return
  const temporary = `${path}.${process.pid}.new`
  try {
    const file = openSync(temporary, 'wx', 0o600)
    try {
      writeFileSync(file, text)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
    forgetOldest(dirname(path), basename(path))
  } catch {
    discard(temporary)
  }
}

function discard(file: string): void {
  try {
    rmSync(file, { force: true })
  } catch {
    // Where it could not be written, it may well be that it cannot be removed.
  }
}

function forgetOldest(folder: string, newest: string): void {
  const kept = readdirSync(folder).filter(name => name.startsWith('config-') && name !== newest)
  if (kept.length < MOST) return
  const byAge = kept.map(name => ({ name, at: statSync(join(folder, name)).mtimeMs })).toSorted((a, b) => a.at - b.at)
  for (const { name } of byAge.slice(0, kept.length - MOST + 1)) rmSync(join(folder, name), { force: true })
}
