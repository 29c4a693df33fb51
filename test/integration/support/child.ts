import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { removeFolders } from '../../support/temporary-folder.ts'
import { until, within } from './until.ts'

export { temporaryFolder } from '../../support/temporary-folder.ts'

export const root = resolve(import.meta.dirname, '../../..')
/** Node 26 itself, not a script that starts it: so a signal reaches who it is meant for. */
export const node = join(root, 'node_modules/node/bin/node')

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A process that a test started. It ends with the test file at the latest. */
export interface Child extends AsyncDisposable {
  readonly pid: number
  /** What it printed so far. */
  out(): string
  err(): string
  readonly ended: Promise<Ended>
  running(): boolean
  signal(signal: NodeJS.Signals): void
  /** SIGSTOP, and resolves when each of its threads stands still. SIGCONT thaws it. */
  freeze(): Promise<void>
  /** Resolves with what `find` sees in what it prints, or rejects when it ends before. */
  said(what: string, find: (out: string, err: string) => boolean, timeoutMs?: number): Promise<void>
  /** Asked to end; after a minute made to. */
  stop(): Promise<Ended>
}

/** Null in a bench. */
const vitest = process.env.VITEST ? await import('vitest') : null
// Real processes on a machine that may be busy: a slow test is no wrong one.
vitest?.vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const living = new Set<ChildProcess>()
/** With all they started themselves: each is a process group of its own. */
const killAll = () => {
  for (const { pid } of living) {
    try {
      process.kill(-pid!, 'SIGKILL')
    } catch {
      // It never started, or has just ended.
    }
  }
}
process.on('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    killAll()
    removeFolders()
    process.kill(process.pid, signal)
  })
}
vitest?.afterAll(async () => {
  const ends = [...living].map(child => new Promise(done => child.once('close', done)))
  killAll()
  await Promise.all(ends)
})

export function startChild(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  cwd: string = root,
): Child {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  if (child.pid !== undefined) living.add(child)
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  let running = true
  const ended = new Promise<Ended>(done => {
    child.once('error', error => {
      err += error.message
      done({ code: null, signal: null })
    })
    // Not `exit`: what it printed last would still be on its way.
    child.once('close', (code, signal) => done({ code, signal }))
  }).then(how => {
    running = false
    living.delete(child)
    return how
  })
  const words = () => `${[command, ...args].join(' ')}\n${out.slice(-2000)}${err.slice(-2000)}`
  const self: Child = {
    pid: child.pid ?? -1,
    out: () => out,
    err: () => err,
    ended,
    running: () => running,
    signal: signal => void child.kill(signal),
    async freeze() {
      child.kill('SIGSTOP')
      await until('that it stands still', () => statesOf(self.pid).every(state => state === 'T'))
    },
    async said(what, find, timeoutMs) {
      await until(what, () => find(out, err) || !running, timeoutMs).catch((error: Error) => {
        throw new Error(`${error.message}: ${words()}`)
      })
      if (!find(out, err)) throw new Error(`it ended before: ${what}: ${words()}`)
    },
    async stop() {
      if (!running) return ended
      child.kill('SIGTERM')
      // A stopped process (SIGSTOP) gets the SIGTERM only then.
      child.kill('SIGCONT')
      return within('its end', ended, 60_000).catch(() => {
        child.kill('SIGKILL')
        return ended
      })
    },
    async [Symbol.asyncDispose]() {
      await self.stop()
    },
  }
  return self
}

/** `R` runs, `S` sleeps, `T` is stopped: one letter for each thread. */
function statesOf(pid: number): string[] {
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks).map(task => /\) (\w)/.exec(readFileSync(`${tasks}/${task}/stat`, 'latin1'))![1]!)
}

/** Runs to the end. */
export async function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  cwd: string = root,
): Promise<Ended & { out: string; err: string }> {
  const child = startChild(command, args, env, cwd)
  const how = await child.ended
  return { ...how, out: child.out(), err: child.err() }
}
