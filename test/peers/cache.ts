import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const PROJECT = resolve(import.meta.dirname, '../..')

/** Where peers that are not on PATH are kept: `.cache/peers` of the project, or `$OUTRIGGER_CACHE/peers`. */
export function cacheFolder(): string {
  const folder = join(resolve(process.env.OUTRIGGER_CACHE || join(PROJECT, '.cache')), 'peers')
  mkdirSync(folder, { recursive: true })
  // The cache hides itself from git, wherever it was put.
  const ignore = join(folder, '.gitignore')
  if (!existsSync(ignore)) writeFileSync(ignore, '*\n')
  return folder
}

/**
 * Runs `work` while no other process of this machine runs it for the same name: test files run in parallel
 * and several may want the same peer. The lock of a process that died is taken over.
 */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const lock = join(cacheFolder(), `.lock-${name}`)
  while (!take(lock)) await sleep(200)
  try {
    return await work()
  } finally {
    remove(lock)
  }
}

function take(lock: string): boolean {
  // Made whole under a private name, then renamed: a lock without its owner's id never exists.
  const mine = `${lock}.${process.pid}`
  mkdirSync(mine, { recursive: true })
  writeFileSync(join(mine, 'pid'), String(process.pid))
  try {
    renameSync(mine, lock) // refused while the folder at `lock` is there and not empty
    return true
  } catch {
    rmSync(mine, { recursive: true, force: true })
    if (!isHeld(lock)) remove(lock)
    return false
  }
}

/** Moved aside first, so that nobody meets a lock that is half removed. */
function remove(lock: string): void {
  const aside = `${lock}.${process.pid}.gone`
  try {
    renameSync(lock, aside)
  } catch {
    return // another process removed it first
  }
  rmSync(aside, { recursive: true, force: true })
}

function isHeld(lock: string): boolean {
  try {
    process.kill(Number(readFileSync(join(lock, 'pid'), 'utf8')), 0)
    return true
  } catch (error) {
    // EPERM: it lives and belongs to another user. ENOENT: released a moment ago, so there is nothing to remove.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
