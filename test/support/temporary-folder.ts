import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Null in a bench. */
const vitest = process.env.VITEST ? await import('vitest') : null

let folders: string | null = null

/** A new folder that goes away with the test file. */
export function temporaryFolder(): string {
  folders ??= mkdtempSync(join(tmpdir(), 'outrigger-test-'))
  return mkdtempSync(join(folders, 'f-'))
}

export function removeFolders(): void {
  if (folders !== null) rmSync(folders, { recursive: true, force: true, maxRetries: 3 })
  folders = null
}

process.on('exit', removeFolders)
vitest?.afterAll(removeFolders)
