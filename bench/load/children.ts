import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from './command.ts'
import { pinned } from './cores.ts'

/** A program the bench started and will end. */
export interface Child {
  readonly name: string
  readonly pid: number
  readonly hasExited: () => boolean
  /** The end of what it printed: what to show when it does not do what it should. */
  readonly lastWords: () => string
  readonly stop: () => Promise<void>
}

const living = new Set<ChildProcess>()
const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'))

// The last line of defence, synchronous by nature: whatever ends the bench, nothing it started stays behind.
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
})
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
] as const) {
  process.on(signal, () => process.exit(128 + number))
}

/** The bench's temporary folder; gone when the bench ends. */
export function temporaryFolder(): string {
  return folder
}

/**
 * Starts a program on the given core (null: where the bench itself runs). What it prints goes to a file in the
 * temporary folder.
 */
export function start(name: string, program: Command, core: number | null): Child {
  const { command, args } = core === null ? program : pinned(core, program)
  const logFile = join(folder, `${name.replaceAll(/\W+/g, '-')}-${process.hrtime.bigint()}.log`)
  const log = createWriteStream(logFile)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...program.env } })
  let spawnError = ''
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  child.on('error', error => {
    spawnError = error.message
  })
  living.add(child)
  const ended = new Promise<void>(resolve => {
    child.once('close', () => {
      living.delete(child)
      log.end()
      resolve()
    })
  })
  return {
    name,
    pid: child.pid ?? -1,
    hasExited: () => child.exitCode !== null || child.signalCode !== null || spawnError !== '',
    lastWords: () => spawnError || readEnd(logFile) || '(it printed nothing)',
    async stop() {
      if (!living.has(child)) return
      child.kill('SIGTERM')
      // Draining may take a proxy its time; nothing here needs it to.
      const timer = setTimeout(() => child.kill('SIGKILL'), 1500)
      await ended
      clearTimeout(timer)
    },
  }
}

function readEnd(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').slice(-6).join('\n')
  } catch {
    return ''
  }
}

/** Runs a program to its end, bounded in time, and gives back what it printed. */
export async function runToEnd(program: Command, timeoutMs: number): Promise<string> {
  const child = spawn(program.command, program.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...program.env },
  })
  living.add(child)
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  try {
    const code = await new Promise<number | string>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (exitCode, signal) => resolve(exitCode ?? signal ?? 'nothing'))
    })
    const output = Buffer.concat(chunks).toString()
    if (code !== 0)
      throw new Error(`${program.command} ended with ${code}: ${output.trim().split('\n').slice(-4).join(' | ')}`)
    return output
  } finally {
    clearTimeout(timer)
    living.delete(child)
  }
}
