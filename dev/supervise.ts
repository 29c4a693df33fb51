import { setTimeout as sleep } from 'node:timers/promises'
import type { Groups } from './groups.ts'
import { type Program, type Run, runProgram } from './program.ts'

/** Keeps a program running: starts it again when it ends, each time later, until it stayed up. */

export type State = 'waiting' | 'starting' | 'ready' | 'crashed' | 'stopped'

export interface Kept {
  readonly name: string
  state(): State
  /** Null: it does not run just now. */
  pid(): number | null
  start(): void
  /** True: it was ready once. False: it has been stopped before. */
  readonly whenReady: Promise<boolean>
  stop(graceMs: number): Promise<void>
  /** At once. */
  kill(): void
}

export interface KeepOptions {
  readonly name: string
  readonly program: Program
  readonly isReady: () => Promise<boolean>
  /** Said when it takes long: what it may lack. */
  readonly hint: string
  /** `detail`: how it ended and when it starts again, or the hint; empty: nothing to add. */
  readonly onState: (state: State, detail: string) => void
}

export const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 30_000
/** After this it is no crash at the start any more, and the delays begin anew. */
const STEADY_MS = 10_000
const ASK_EVERY_MS = 25
const HINT_AFTER_MS = 15_000

/** `failures`: how often in a row it ended before it was steady. */
export function delayAfter(failures: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures)
}

export function keepRunning({ name, program, isReady, hint, onState }: KeepOptions, groups: Groups): Kept {
  let state: State = 'waiting'
  let run: Run | null = null
  let readySince: number | null = null
  let tellReady: (ready: boolean) => void = () => {}
  const whenReady = new Promise<boolean>(done => {
    tellReady = done
  })
  const stopped = new AbortController()
  const isStopped = () => stopped.signal.aborted
  const turn = (to: State, detail = '') => {
    state = to
    onState(to, detail)
  }

  async function live(): Promise<void> {
    for (let failures = 0; !isStopped(); ) {
      turn('starting')
      readySince = null
      const current = runProgram(program, groups)
      run = current
      void waitUntilReady(current)
      const how = await current.ended
      if (isStopped()) return
      if (readySince !== null && performance.now() - readySince >= STEADY_MS) failures = 0
      const delay = delayAfter(failures++)
      turn('crashed', `${how}, starts again in ${delay / 1000} s`)
      await sleep(delay, null, { signal: stopped.signal }).catch(() => {})
    }
  }

  async function waitUntilReady(current: Run): Promise<void> {
    const began = performance.now()
    let hinted = false
    while (current.isRunning() && !isStopped()) {
      if (await isReady()) {
        if (!current.isRunning() || isStopped()) return
        readySince = performance.now()
        turn('ready')
        return tellReady(true)
      }
      if (!hinted && performance.now() - began > HINT_AFTER_MS) {
        hinted = true
        onState(state, hint)
      }
      await sleep(ASK_EVERY_MS)
    }
  }

  return {
    name,
    state: () => state,
    pid: () => (run?.isRunning() ? run.pid : null),
    start: () => void live(),
    whenReady,
    async stop(graceMs) {
      stopped.abort()
      tellReady(false)
      await run?.stop(graceMs)
      turn('stopped')
    },
    kill() {
      stopped.abort()
      tellReady(false)
      run?.kill()
    },
  }
}
