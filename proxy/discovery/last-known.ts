import { constants, readdirSync, renameSync, rmSync } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FileTrouble, readTextSync } from '../../mesh-config/read-file.ts'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { keepSame } from './endpoint-lists.ts'
import { formatSaved, parseSaved, type Saved } from './saved-endpoints.ts'

/**
 * The last endpoints of each source, kept on disk for a start without the sources. Trouble with the disk is logged once
 * and stops nothing.
 */
export interface LastKnown {
  get(service: string, source: string): Saved | null
  put(service: string, source: string, endpoints: readonly EndpointSpec[]): void
  status(): LastKnownStatus
  /** Resolves when everything is on the disk, cannot be written, or takes too long. */
  flush(): Promise<void>
  /** The file as it would be written now, for a process that takes over. */
  text(): string
  /** The folder is another process's from now on: nothing more is written. */
  close(): void
}

export interface LastKnownStatus {
  /** Why the last save failed; empty: it did not. */
  readonly trouble: string
  readonly saves: number
  readonly failures: number
}

const FILE = 'last-known.json'
/** Changes come in groups. */
const SETTLE_MS = 1_000
/** A large registry changes all the time: the saved state may be this old. */
const SAVE_EVERY_MS = 5_000
/** Unchanged endpoints are saved only now and then, for their age. */
const AGE_MS = 600_000
/** A disk that hangs must not delay the end of the process. */
const FLUSH_MS = 1_000
/** A service without a request in this time is forgotten. */
const FORGET_MS = 30 * 24 * 3_600_000
const MAX_BYTES = 32 * 1024 * 1024

export interface LastKnownOptions {
  /** The folder, created if needed. Null: nothing is kept. */
  readonly folder: string | null
  readonly clock: Clock
  readonly log: Log
  /**
   * Takes the folder for this process; resolves with the process that has it already; empty: none. Absent: the folder
   * is ours.
   */
  readonly claim?: () => Promise<string>
  /** The file as a process before this one has it, and may not have written it yet. */
  readonly handed?: string | undefined
}

/** Reads synchronously what an earlier process left: a start has nothing else to wait for. Never throws. */
export function lastKnown(options: LastKnownOptions): LastKnown {
  const { folder, clock, log, claim = () => Promise.resolve(''), handed } = options
  const services =
    handedServices(handed) ?? (folder === null ? new Map<string, Map<string, Saved>>() : load(folder, log))
  /** Where there is no folder: for a process that takes over, and not used here. */
  const unsaved = new Map<string, Map<string, Saved>>()
  let isClosed = false
  /** The state differs from the disk: endpoints, or only when they were confirmed. */
  let isChanged = false
  let isConfirmed = false
  let saving: Promise<void> | null = null
  let savedAt = Number.NEGATIVE_INFINITY
  let status: LastKnownStatus = { trouble: '', saves: 0, failures: 0 }
  let saidFull = false
  const timer = clock.timer(() => void save())

  async function save(): Promise<void> {
    if (folder === null || isClosed || saving !== null || !(isChanged || isConfirmed)) return
    timer.cancel()
    isChanged = false
    isConfirmed = false
    savedAt = clock.now()
    saving = whenOurs(folder, () => replaceFile(folder, content(folder))).then(
      () => {
        if (status.trouble !== '') log.info(`${join(folder, FILE)} can be written again`)
        status = { ...status, trouble: '', saves: status.saves + 1 }
      },
      (error: Error) => {
        if (status.trouble === '')
          log.warn(
            `last-known endpoints cannot be saved, so a restart without their registry will not know them: ${error.message}: ${saveRemedy(folder)}`,
          )
        status = { ...status, trouble: error.message, failures: status.failures + 1 }
        isChanged = true
      },
    )
    await saving
    saving = null
    if (isChanged) timer.arm(SAVE_EVERY_MS)
  }

  function content(folder: string): string {
    const now = clock.wallTime()
    for (const [service, sources] of services) {
      if ([...sources.values()].every(saved => saved.savedAt < now - FORGET_MS)) services.delete(service)
    }
    const { text, left } = formatSaved(services, now, MAX_BYTES)
    if (left > 0 && !saidFull)
      log.warn(
        `${join(folder, FILE)} has no room for ${left} services: a restart without their registry will not know them`,
      )
    saidFull = left > 0
    return text
  }

  function forget(service: string, source: string): void {
    const sources = services.get(service)
    sources?.delete(source)
    if (sources?.size === 0) services.delete(service)
  }

  /** Two processes that write the same file would each delete what the other knows. */
  async function whenOurs(path: string, write: () => Promise<void>): Promise<void> {
    const owner = await claim()
    if (owner !== '')
      throw new Error(
        `${path} is used by another sidecar (${owner}): give each a folder of its own, state: /path, or write state: off`,
      )
    await write()
  }

  return {
    get: (service, source) => services.get(service)?.get(source) ?? null,
    put(service, source, endpoints) {
      if (folder === null)
        return void unsaved.set(
          service,
          (unsaved.get(service) ?? new Map<string, Saved>()).set(source, { endpoints, savedAt: clock.wallTime() }),
        )
      const before = services.get(service)?.get(source)?.endpoints
      // Empty services are not saved: names that callers make up must not fill the file.
      if (endpoints.length === 0) {
        if (before === undefined) return
        forget(service, source)
      }
      const kept = before === undefined ? endpoints : keepSame(before, endpoints)
      if (kept.length > 0)
        services.set(
          service,
          (services.get(service) ?? new Map<string, Saved>()).set(source, {
            endpoints: kept,
            savedAt: clock.wallTime(),
          }),
        )
      isConfirmed = true
      if (isClosed || isChanged || (kept === before && clock.now() - savedAt < AGE_MS)) return
      isChanged = true
      timer.arm(Math.max(SETTLE_MS, savedAt + SAVE_EVERY_MS - clock.now()))
    },
    status: () => status,
    text: () => formatSaved(folder === null ? unsaved : services, clock.wallTime(), MAX_BYTES).text,
    close() {
      isClosed = true
      timer.cancel()
    },
    async flush() {
      const late = Promise.withResolvers<void>()
      const timer = clock.timer(late.resolve)
      timer.arm(FLUSH_MS)
      await Promise.race([late.promise, Promise.resolve(saving).then(save)])
      timer.cancel()
    },
  }
}

function handedServices(handed: string | undefined): Map<string, Map<string, Saved>> | null {
  const read = handed === undefined ? '' : parseSaved(handed)
  return typeof read === 'string' ? null : read
}

/** What to do about a folder that cannot be written. */
export function saveRemedy(folder: string): string {
  return `let this user write to ${folder} (under systemd: StateDirectory=outrigger), or write state: /another/folder, or state: off`
}

function load(folder: string, log: Log): Map<string, Map<string, Saved>> {
  const path = join(folder, FILE)
  removeLeftovers(folder)
  try {
    const read = parseSaved(readTextSync(path, MAX_BYTES))
    if (typeof read !== 'string') return read
    setAside(path, read, log)
  } catch (error) {
    if (error instanceof FileTrouble) setAside(path, error.message, log)
    else if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn(`last-known endpoints cannot be read: ${(error as Error).message}`)
  }
  return new Map()
}

function setAside(path: string, why: string, log: Log): void {
  try {
    renameSync(path, `${path}.bad`)
    log.warn(`${path} is not used: ${why}; it is kept as ${FILE}.bad`)
  } catch (error) {
    log.warn(`${path} is not used: ${why}; it cannot be moved out of the way: ${(error as Error).message}`)
  }
}

/**
 * Writes all or nothing, even if the process or the machine ends. Only the owner may read it, because it has addresses
 * and metadata.
 */
async function replaceFile(folder: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const temporary = join(folder, `${FILE}.${process.pid}.new`)
  await rm(temporary, { force: true })
  try {
    // Never through a link that another user put there.
    await withFile(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, async file => {
      await file.writeFile(text)
      await file.sync()
    })
    await rename(temporary, join(folder, FILE))
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
  // Syncs the name too. Not every file system lets a folder be opened for that.
  await withFile(folder, constants.O_RDONLY, file => file.sync()).catch(() => {})
}

async function withFile(path: string, flags: number, use: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, flags, 0o600)
  try {
    await use(file)
  } finally {
    await file.close()
  }
}

/** Removes files of processes that were killed in the middle of a save. */
function removeLeftovers(folder: string): void {
  try {
    for (const name of readdirSync(folder)) {
      const pid =
        name.startsWith(`${FILE}.`) && name.endsWith('.new') ? Number(name.slice(FILE.length + 1, -'.new'.length)) : 0
      if (pid > 0 && pid !== process.pid && !isRunning(pid)) rmSync(join(folder, name))
    }
  } catch {
    // The folder does not exist yet, or may not be changed by this user.
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
