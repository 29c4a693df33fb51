import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '../..')
const FOLLOW_PARENT = resolve(import.meta.dirname, 'follow-parent.ts')

/** A process that an example started. */
export interface Running {
  readonly name: string
  readonly pid: number
  readonly command: string
  /** How it ended, such as `exit code 1`; null while it runs. */
  ended(): string | null
  /** What it printed last, for when it does not do what it should. */
  lastWords(lines: number): string
  signal(signal: NodeJS.Signals): void
  /** Resolves once the process is gone: asked first, after `patienceMs` made to. */
  stop(patienceMs: number): Promise<void>
}

const living = new Set<ChildProcess>()

// Whatever ends the parent in an orderly way takes them along at once; when it is killed, follow-parent.ts does.
process.on('exit', () => {
  for (const child of living) killGroup(child)
})

/** With what it has started itself, such as a binary of run-binary.ts: each is a process group of its own. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has just ended.
  }
}

/** Starts Node with these arguments. What it prints is added to `logFile`. `onEnd` is called once. */
export function startNode(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  logFile: string,
  onEnd: (how: string) => void,
): Running {
  const log = openSync(logFile, 'a')
  const child = spawn(process.execPath, ['--import', FOLLOW_PARENT, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['pipe', log, log],
    // Out of the terminal's reach: Ctrl-C is for the parent, who stops the others in order.
    detached: true,
  })
  closeSync(log)
  living.add(child)
  let how: string | null = null
  const gone = new Promise<void>(done => {
    const end = (reason: string) => {
      if (how !== null) return
      how = reason
      living.delete(child)
      onEnd(reason)
      done()
    }
    child.once('error', error => end(error.message))
    child.once('exit', (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`))
  })
  // Nothing is ever written to it.
  child.stdin?.on('error', () => {})
  return {
    name,
    pid: child.pid ?? -1,
    command: `node ${args.map(arg => arg.replace(`${root}/`, '')).join(' ')}`,
    ended: () => how,
    lastWords: lines => readEnd(logFile, lines),
    signal: signal => void child.kill(signal),
    async stop(patienceMs) {
      if (how !== null) return
      child.kill('SIGTERM')
      const timer = setTimeout(() => killGroup(child), patienceMs)
      await gone
      clearTimeout(timer)
    },
  }
}

/** A real sidecar: the program that users run, with a file that they could have written. */
export function startSidecar(name: string, file: string, logFile: string, onEnd: (how: string) => void): Running {
  return startNode(name, [resolve(root, 'bin/outrigger.js'), 'proxy', '-c', file], {}, logFile, onEnd)
}

function readEnd(file: string, lines: number): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  } catch {
    return ''
  }
}
