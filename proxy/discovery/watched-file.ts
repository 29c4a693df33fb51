import { statSync } from 'node:fs'
import { readTextSync } from '../../mesh-config/read-file.ts'
import type { Clock } from '../core/clock.ts'

/** How often a file is read at most. */
const LOOK_MS = 1_000
/** A bundle of all public certificate authorities has a tenth of this. */
const MAX_BYTES = 4 * 1024 * 1024

/** Files that other programs replace: a token, certificates. */
export interface WatchedFiles {
  /**
   * The text of each file, at most a second old. Throws while none could be read yet; later the last text stays in
   * force.
   */
  read(): readonly string[]
  /** Increases whenever `read` gives a new text. */
  version(): number
  /** Why the files cannot be read now, though they could before; empty: nothing is wrong. */
  trouble(): string
}

export function watchedFiles(paths: readonly string[], clock: Clock): WatchedFiles {
  let texts: readonly string[] | null = null
  let signature = ''
  let version = 0
  let lookedAt = Number.NEGATIVE_INFINITY
  let trouble = ''

  function look(): void {
    lookedAt = clock.now()
    try {
      const now = paths.map(signatureOf).join('|')
      if (texts === null || now !== signature) {
        texts = paths.map(path => readTextSync(path, MAX_BYTES))
        signature = now
        version++
      }
      trouble = ''
    } catch (error) {
      trouble = `cannot be read: ${(error as Error).message}`
      if (texts === null) throw error
    }
  }

  return {
    read() {
      if (texts === null || clock.now() - lookedAt >= LOOK_MS) look()
      return texts!
    },
    version: () => version,
    trouble: () => trouble,
  }
}

/** Of the target of links: secrets are often replaced by a new link. */
function signatureOf(path: string): string {
  const { ino, size, mtimeMs } = statSync(path)
  return `${ino} ${size} ${mtimeMs}`
}
