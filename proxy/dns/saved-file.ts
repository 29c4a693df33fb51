import { FileTrouble, readTextSync } from '../../mesh-config/read-file.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'

const FILE = 'virtual-addresses.json'
const MAX_BYTES = 8 * 1024 * 1024
/** Changes come in groups. */
const SETTLE_MS = 1_000
/** When addresses were used last is saved so often: a day later they may be given to others. */
const USE_MS = 3_600_000
/** A disk that hangs must not delay the end of the process. */
const FLUSH_MS = 1_000

export interface SavedFileDeps {
  /** Null: nothing is kept. */
  readonly folder: string | null
  readonly replaceFile: (folder: string, name: string, text: string) => Promise<void>
  /** Takes the folder for this process; resolves with the process that has it already; empty: none. */
  readonly claim: () => Promise<string>
  readonly text: () => string
  readonly clock: Clock
  readonly log: Log
}

/** Keeps the addresses over a restart. Trouble with the disk is logged once and stops nothing. */
export interface SavedFile {
  changed(): void
  /** Resolves when all is on the disk, cannot be written, or takes too long. */
  flush(): Promise<void>
}

export function savedFile({ folder, replaceFile, claim, text, clock, log }: SavedFileDeps): SavedFile {
  let isChanged = false
  let hasSaidTrouble = false
  let saving: Promise<void> | null = null
  const timer = clock.timer(() => void save())
  const use = clock.timer(() => {
    isChanged = true
    use.arm(USE_MS)
    void save()
  })
  if (folder !== null) use.arm(USE_MS)

  async function write(path: string): Promise<void> {
    const owner = await claim()
    if (owner !== '') throw new Error(`${path} is used by another sidecar (${owner})`)
    await replaceFile(path, FILE, text())
  }

  async function save(): Promise<void> {
    if (folder === null || !isChanged) return
    if (saving !== null) return saving
    isChanged = false
    saving = write(folder).then(
      () => {
        hasSaidTrouble = false
      },
      (error: Error) => {
        if (!hasSaidTrouble)
          log.warn(
            `virtual addresses cannot be saved, so a restart may give services others: ${error.message}: let this user write to ${folder}, or write state: /another/folder, or state: off`,
          )
        hasSaidTrouble = true
      },
    )
    await saving
    saving = null
    if (isChanged) timer.arm(SETTLE_MS)
  }

  return {
    changed() {
      isChanged = true
      timer.arm(SETTLE_MS)
    },
    async flush() {
      timer.cancel()
      use.cancel()
      const late = Promise.withResolvers<void>()
      const limit = clock.timer(late.resolve)
      limit.arm(FLUSH_MS)
      await Promise.race([late.promise, Promise.resolve(saving).then(save)])
      limit.cancel()
    },
  }
}

/** What an earlier process saved; empty: nothing that can be read. */
export function readSavedFile(folder: string | null, log: Log): string {
  if (folder === null) return ''
  try {
    return readTextSync(`${folder}/${FILE}`, MAX_BYTES)
  } catch (error) {
    const isMissing = !(error instanceof FileTrouble) && (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (!isMissing) log.warn(`virtual addresses cannot be read: ${(error as Error).message}`)
    return ''
  }
}
