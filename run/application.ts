import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import type { User } from './users.ts'

export interface ApplicationOptions {
  readonly command: readonly [string, ...string[]]
  readonly env: NodeJS.ProcessEnv
  readonly user: User | null
}

export interface Application {
  readonly pid: number
  /** Of a shell: its exit code, or 128 + the number of the signal that ended it. */
  readonly ended: Promise<number>
  signal(signal: NodeJS.Signals): void
  /** SIGKILL, to its group where it has one of its own. */
  kill(): void
}

/**
 * The application with our standard streams. At a terminal it stays in our process group, so that job control and
 * Ctrl-C reach it as without us; elsewhere it leads a session of its own, so that all of it can be ended. Rejects where
 * the system cannot start it.
 */
export function startApplication({ command, env, user }: ApplicationOptions): Promise<Application> {
  const ownGroup = !isatty(0)
  const [program, ...args] = command
  const ids = user === null ? {} : { uid: user.uid, gid: user.gid }
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', env, detached: ownGroup, ...ids })
    child.once('error', reject)
    const ended = new Promise<number>(done => {
      child.once('exit', (code, signal) => done(code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 0)))
    })
    child.once('spawn', () => resolve(applicationOf(child, ended, ownGroup)))
  })
}

function applicationOf(child: ChildProcess, ended: Promise<number>, ownGroup: boolean): Application {
  const pid = child.pid!
  return {
    pid,
    ended,
    signal: signal => void child.kill(signal),
    kill() {
      try {
        if (ownGroup) process.kill(-pid, 'SIGKILL')
        else child.kill('SIGKILL')
      } catch {
        // The group is empty.
      }
    },
  }
}

/** The exit code of a shell for a command that the system could not start. */
export function startFailure(error: NodeJS.ErrnoException): 126 | 127 {
  return error.code === 'ENOENT' ? 127 : 126
}
