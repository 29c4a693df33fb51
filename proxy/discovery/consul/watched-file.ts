import { statSync } from 'node:fs'
import { readTextSync } from '../../../mesh-config/read-file.ts'
import type { Clock } from '../../core/clock.ts'

/** A file is looked at this often at most. */
const LOOK_MS = 1_000
/** A bundle with the certificates of every authority there is has a tenth of this. */
const MAX_BYTES = 4 * 1024 * 1024

/** Files that others replace: a token, certificates. */
export interface WatchedFiles {
  /**
   * The text of each, as of a second ago at the latest. Throws while none could be read yet; later what was read last
   * stays true.
   */
  read(): readonly string[]
  /** Grows whenever `read` gives something new. */
  version(): number
  /** Why they cannot be read now, though they could before; empty: nothing is wrong. */
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

/** Of what links lead to: secrets are often replaced by a link that points elsewhere. */
function signatureOf(path: string): string {
  const { ino, size, mtimeMs } = statSync(path)
  return `${ino} ${size} ${mtimeMs}`
}
