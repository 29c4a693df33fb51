import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Groups, signalGroup } from './groups.ts'
import { lineSplitter } from './lines.ts'

/** What is to run. */
export interface Program {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  /** Each line of it, without its end. */
  readonly onLine: (line: string, stream: 'stdout' | 'stderr') => void
}

/** One run of a program. */
export interface Run {
  readonly pid: number
  /** Resolves once its whole group is gone, with how its first process ended, such as `exit code 1`. */
  readonly ended: Promise<string>
  isRunning(): boolean
  /** Asked first, after `graceMs` made to; resolves once the whole group is gone. */
  stop(graceMs: number): Promise<void>
  kill(): void
}

const POLL_MS = 20
/** A process that nobody has waited for stays in its group, and cannot be ended any more. */
const AFTER_KILL_MS = 500

export function runProgram({ command, args, cwd, env, onLine }: Program, groups: Groups): Run {
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const pid = child.pid ?? 0
  if (pid > 0) groups.add(pid)
  for (const stream of ['stdout', 'stderr'] as const) {
    const lines = lineSplitter(line => onLine(line, stream))
    child[stream]
      .setEncoding('utf8')
      .on('data', lines.push)
      .on('close', lines.end)
      .on('error', () => {})
  }
  let running = true
  let stopping = false
  const left = new Promise<string>(done => {
    child.once('error', error => done(error.message))
    child.once('exit', (code, signal) => done(signal === null ? `exit code ${code}` : `signal ${signal}`))
  })
  const ended = left.then(async how => {
    // What it leaves behind has its port, and would meet the next run of it.
    if (!stopping && pid > 0) await endGroup(pid, 0)
    return how
  })
  const gone = () => {
    running = false
    if (pid > 0) groups.remove(pid)
  }
  void left.then(() => {
    if (!stopping) void ended.then(gone)
  })
  return {
    pid,
    ended,
    isRunning: () => running,
    async stop(graceMs) {
      if (!running) return
      stopping = true
      if (pid > 0) await endGroup(pid, graceMs)
      await left
      gone()
    },
    kill: () => void (pid > 0 && signalGroup(pid, 'SIGKILL')),
  }
}

async function endGroup(pid: number, graceMs: number): Promise<void> {
  const waitUntilGone = async (ms: number) => {
    for (let waited = 0; waited < ms; waited += POLL_MS) {
      if (!signalGroup(pid, 0)) return true
      await sleep(POLL_MS)
    }
    return !signalGroup(pid, 0)
  }
  if (graceMs > 0) {
    // A stopped process (SIGSTOP, Ctrl-Z) gets the one only with the other.
    if (!signalGroup(pid, 'SIGTERM')) return
    signalGroup(pid, 'SIGCONT')
    if (await waitUntilGone(graceMs)) return
  }
  if (signalGroup(pid, 'SIGKILL')) await waitUntilGone(AFTER_KILL_MS)
}
