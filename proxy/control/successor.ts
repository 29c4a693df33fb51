import type { ChildProcess, StdioOptions } from 'node:child_process'
import type { Duplex } from 'node:stream'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { type Give, gather } from './handed.ts'
import { INHERITANCE, type Inheritance, type InheritedListener, VARIABLE } from './inherited.ts'
import { jsonLines } from './json-lines.ts'

/** How long a successor may take until it serves. */
export const PATIENCE_MS = 60_000
/** The first three descriptors are its standard streams, and bin/outrigger.js may use the next. */
const LINK_FD = 4

export interface Upgrade {
  readonly ok: true
  readonly pid: number
  /** Of the program that serves now. */
  readonly version: string
  /** From the start of the process until it served. */
  readonly readyMs: number
}

export interface NoUpgrade {
  readonly ok: false
  /** Nothing was started. */
  readonly refused: boolean
  /** Why, and what the successor said. */
  readonly reason: string
  readonly details: readonly string[]
}

export interface Upgrader {
  /** Starts the program anew and hands everything over to it. The reasons are in the log as well. */
  request(why: string, patienceMs?: number): Promise<Upgrade | NoUpgrade>
  /** One is being started: its own reading of the files counts, so a reload waits. */
  running(): boolean
  /** This process is about to end: a successor that does not serve yet ends too. */
  cancel(): void
}

export interface UpgraderOptions {
  readonly version: string
  /** Why there can be no successor now; empty: there can. */
  readonly refusal: () => string
  readonly sockets: () => Promise<readonly InheritedListener[]>
  readonly give: readonly Give[]
  /** Descriptors that it gets as well, by the variable that tells it which. */
  readonly also: () => Readonly<Record<string, number>>
  /**
   * Lets go of what only one process can have, and then finishes what runs. Resolves with what the successor must know
   * of that. Null: too late, this process ends.
   */
  readonly letGo: (successor: Serving) => Promise<object | null>
  /** A successor that is given up may have begun with requests: so long it may go on with them. */
  readonly drainMs: () => number
  readonly clock: Clock
  readonly log: Log
}

export interface Serving {
  readonly pid: number
  /** The id of what it registers; empty: nothing. */
  readonly registers: string
}

type Outcome = Upgrade | NoUpgrade

export function upgrader(options: UpgraderOptions): Upgrader {
  const { clock, log } = options
  let running: { readonly pid: number; giveUp(reason: string): void } | null = null
  let isBusy = false
  let isEnding = false

  async function attempt(patienceMs: number): Promise<Outcome> {
    const sockets = await options.sockets()
    if (isEnding) return { ok: false, refused: true, reason: ENDS, details: [] }
    const started = startSuccessor(sockets, options.also())
    const { child, link } = started
    return await new Promise(resolve => {
      let isOver = false
      let told: readonly string[] = []
      const end = (outcome: Outcome) => {
        if (isOver) return
        isOver = true
        running = null
        late.cancel()
        resolve(outcome)
      }
      const fail = (reason: string) => end({ ok: false, refused: false, reason, details: told })
      const giveUp = (reason: string) => {
        if (isOver) return
        fail(reason)
        endChild(child, options.drainMs(), clock)
      }
      const late = clock.timer(() => giveUp(`it was not ready within ${patienceMs / 1000} s, and is ended`))
      late.arm(patienceMs)
      running = { pid: child.pid ?? 0, giveUp }

      const take = async (value: unknown) => {
        const message = value as Readonly<Record<string, unknown>>
        if (message.say === 'failed') sayFailed(message.reasons)
        else if (message.say === 'hand-over') talk.send(await gather(options.version, options.give))
        else if (message.say === 'ready' && !isOver) await serving(message)
      }
      function sayFailed(reasons: unknown): void {
        told = lines(reasons)
        const slow = clock.timer(() => fail('it could not start'))
        slow.arm(SAID_MS)
      }
      async function serving(said: Readonly<Record<string, unknown>>): Promise<void> {
        // An older Node may stand between.
        const pid = Number(said.pid)
        const answer = await options.letGo({ pid, registers: String(said.registers ?? '') })
        if (answer === null) return giveUp(ENDS)
        talk.send(answer)
        // Its socket stays open until this process ends: so it knows when that is.
        child.unref()
        end({ ok: true, pid, version: String(said.version), readyMs: Number(said.readyMs) })
      }
      const talk = jsonLines(
        link,
        message => void take(message).catch((error: unknown) => giveUp(`handing over failed: ${String(error)}`)),
        () => {},
      )
      child.once('error', error => fail(`it could not be started: ${error.message}`))
      child.once('exit', (code, signal) => {
        // What it said last may still be on its way.
        const soon = clock.timer(() =>
          fail(`it ended with ${signal ?? `exit code ${code}`} before it was ready${told.length > 0 ? '' : ELSEWHERE}`),
        )
        soon.arm(LAST_WORDS_MS)
      })
    })
  }

  return {
    running: () => isBusy,
    cancel() {
      isEnding = true
      running?.giveUp(ENDS)
    },
    async request(why, patienceMs = PATIENCE_MS) {
      const refusal = isBusy
        ? `another upgrade is under way${running === null ? '' : `: its new process is ${running.pid}`}`
        : options.refusal()
      if (refusal !== '') {
        log.warn(`${why}: no upgrade: ${refusal}`)
        return { ok: false, refused: true, reason: refusal, details: [] }
      }
      isBusy = true
      log.info(`${why}: the program that is installed now is started, to take over`)
      const outcome = await attempt(patienceMs).catch((error: unknown): NoUpgrade => {
        const reason = error instanceof Error ? error.message : String(error)
        return { ok: false, refused: false, reason: `it could not be started: ${reason}`, details: [] }
      })
      isBusy = false
      if (outcome.ok)
        log.info(
          `version ${outcome.version} has taken over as process ${outcome.pid}, ${outcome.readyMs} ms after its start`,
        )
      else {
        log.error(`${why}: the new process did not take over, this one goes on as before: ${outcome.reason}`)
        for (const line of outcome.details) log.error(line)
      }
      return outcome
    },
  }
}

const ENDS = 'this process ends'
const ELSEWHERE = '; the log of the proxy may say more'
const LAST_WORDS_MS = 50
/** It has said why it fails, and may still finish requests that it had begun. */
const SAID_MS = 1_000

function lines(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}

/** The same command line in the same folder. */
function startSuccessor(
  sockets: readonly InheritedListener[],
  also: Readonly<Record<string, number>>,
): { readonly child: ChildProcess; readonly link: Duplex } {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const stdio: StdioOptions = ['inherit', 'inherit', 'inherit', 'ignore', 'pipe']
  const pass = (fd: number) => stdio.push(fd) - 1
  const listeners = sockets.map(socket => ({ ...socket, descriptors: socket.descriptors.map(pass) }))
  const numbers = Object.entries(also).map(([variable, fd]) => [variable, String(pass(fd))])
  const inheritance: Inheritance = { version: INHERITANCE, pid: process.pid, link: LINK_FD, listeners }
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...Object.fromEntries(numbers),
    [VARIABLE]: JSON.stringify(inheritance),
  }
  // systemd's, for this process only.
  delete env.WATCHDOG_PID
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], { stdio, env })
  return { child, link: child.stdio[LINK_FD] as Duplex }
}

/** It drains as on any SIGTERM; where it does not, it is killed. */
function endChild(child: ChildProcess, drainMs: number, clock: Clock): void {
  child.kill('SIGTERM')
  const kill = clock.timer(() => child.kill('SIGKILL'))
  kill.arm(drainMs + 2_000)
  child.once('exit', () => kill.cancel())
}
