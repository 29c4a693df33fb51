import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What Node compiled. */
const OF_NODE = /^(node-compile-cache|v\d+\.)/

/** The suite has a folder of its own for temporary files. A test that leaves something in it fails the run. */
export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-suite-'))
  const before = process.env.TMPDIR
  process.env.TMPDIR = folder
  return () => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
    const left = readdirSync(folder).filter(name => !OF_NODE.test(name))
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    if (left.length === 0) return
    process.exitCode = 1
    throw new Error(`tests left files behind in the folder for temporary ones: ${left.join(', ')}`)
  }
}
