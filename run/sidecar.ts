import { type ChildProcess, spawn } from 'node:child_process'
import type { Duplex } from 'node:stream'
import type { RunLog } from './log.ts'
import { type ProxyLink, type ProxySays, proxyLink } from './proxy-link.ts'
import type { User } from './users.ts'

export interface SidecarOptions {
  readonly program: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly user: User | null
  readonly log: RunLog
  /** The proxy was asked to end by others (SIGTERM, POST /drain). */
  readonly askedToStop: (why: string) => void
}

export interface Sidecar {
  /** The first proxy is ready; or it ended before, with this exit code. */
  readonly first: Promise<'ready' | number>
  application(is: 'starting' | 'running' | 'gone'): void
  /** Not ready, deregistered, inbound drained. Bounded by what the proxy says it needs. */
  leave(): Promise<void>
  /** Resolves when no proxy is left. */
  end(): Promise<void>
  kill(): void
  owns(pid: number): boolean
}

/** The descriptor of the socket in the proxy. */
export const SUPERVISOR_FD = 3

/** A proxy that ran this long was no part of a crash loop. */
const SETTLED_MS = 60_000
const FIRST_BACKOFF_MS = 200
const MAX_BACKOFF_MS = 10_000
/** A proxy that has not begun to leave in this time hangs. */
const ANSWER_MS = 5_000
const MARGIN_MS = 2_000
/** Where the proxy has not said how long it may take. */
const USUAL_END_MS = 30_000

type Goal = 'serve' | 'leave' | 'end'

/** Keeps a proxy running. The socket says whether one is there: after an upgrade it is not our child any more. */
export function keepSidecar({ program, args, env, user, log, askedToStop }: SidecarOptions): Sidecar {
  const first = Promise.withResolvers<'ready' | number>()
  const drained = Promise.withResolvers<void>()
  const over = Promise.withResolvers<void>()
  let goal: Goal = 'serve'
  let application: 'starting' | 'running' | 'gone' = 'starting'
  let link: ProxyLink | null = null
  /** 0: none runs. */
  let pid = 0
  let wasReady = false
  let isReady = false
  let startedAt = 0
  let crashes = 0
  let limitMs: number | null = null
  let hangs = false
  /** Children that Node has not reaped yet. */
  const unreaped = new Set<number>()

  function start(): void {
    startedAt = performance.now()
    isReady = false
    const ids = user === null ? {} : { uid: user.uid, gid: user.gid }
    // In a session of its own, so Ctrl-C does not reach it. Standard output is the application's alone.
    const stdio = ['ignore', 2, 2, 'pipe'] as ['ignore', 2, 2, 'pipe']
    const child = spawn(program, args, { stdio, env, detached: true, ...ids })
    let how = ''
    const ended = new Promise<number>(done => {
      child.once('error', error => {
        how = `could not be started: ${error.message}`
        done(1)
      })
      child.once('exit', (code, signal) => {
        how = `ended with ${signal ?? `exit code ${code}`}`
        unreaped.delete(own)
        done(code ?? 1)
      })
    })
    const own = child.pid ?? 0
    pid = own
    if (own !== 0) unreaped.add(own)
    const socket = socketOf(child)
    if (socket === null) return void ended.then(code => lost(code, how))
    const mine = proxyLink(socket, heard, () => {
      link = null
      const last = pid
      pid = 0
      // The process may live on without its socket, and would keep the ports.
      if (last !== own || unreaped.has(own)) killProcess(last)
      if (last !== own) lost(1, 'ended')
      else void ended.then(code => lost(code, how))
    })
    link = mine
    tellAll()
  }

  /** A new proxy does not know how far things are; to one that does it changes nothing. */
  function tellAll(): void {
    if (goal !== 'serve') link?.tell({ do: goal })
    link?.tell({ do: 'application', is: application })
  }

  function heard(line: ProxySays): void {
    if (line.say === 'ready') {
      pid = line.pid
      // A successor says it too, while the one before still serves.
      if (wasReady && !isReady)
        log.info('the sidecar serves again', { pid, afterMs: Math.round(performance.now() - startedAt) })
      isReady = true
      wasReady = true
      // What was said while the socket went from one to the other may have been read by the one that ends.
      tellAll()
      first.resolve('ready')
    } else if (line.say === 'leaving') {
      limitMs = line.limitMs
      // Others asked it to (POST /leave): one that takes its place must not come back.
      if (goal === 'serve') goal = 'leave'
    } else if (line.say === 'inbound-drained') drained.resolve()
    else if (line.say === 'stop') askedToStop(line.why)
    else if (line.say === 'successor') {
      log.info('another sidecar has taken over', { pid: line.pid, before: pid })
      pid = line.pid
    }
  }

  function lost(code: number, how: string): void {
    if (!wasReady && goal === 'serve')
      log.error(`the sidecar ${how} before it was ready: the application is not started`)
    first.resolve(code)
    // Nothing inbound is left to drain.
    if (goal !== 'serve') drained.resolve()
    if (goal === 'end' || !wasReady) return over.resolve()
    const ranMs = performance.now() - startedAt
    crashes = isReady && ranMs >= SETTLED_MS ? 1 : crashes + 1
    const delayMs = crashes === 1 ? 0 : Math.min(FIRST_BACKOFF_MS * 2 ** (crashes - 2), MAX_BACKOFF_MS)
    log.error(`the sidecar ${how}: another one is started${delayMs === 0 ? '' : ` in ${delayMs} ms`}`, {
      crashesInARow: crashes,
    })
    if (delayMs === 0) start()
    else setTimeout(restart, delayMs)
  }

  function restart(): void {
    if (goal === 'end') over.resolve()
    else start()
  }

  start()
  return {
    first: first.promise,
    application(is) {
      application = is
      link?.tell({ do: 'application', is })
    },
    async leave() {
      goal = 'leave'
      if (link === null) return
      link.tell({ do: 'leave' })
      await Promise.race([drained.promise, after(ANSWER_MS)])
      hangs = limitMs === null
      if (limitMs === null) return
      await Promise.race([drained.promise, after(limitMs + MARGIN_MS)])
    },
    async end() {
      goal = 'end'
      if (link === null) return
      link.tell({ do: 'end' })
      const mostMs = hangs ? MARGIN_MS : (limitMs ?? USUAL_END_MS) + MARGIN_MS
      const inTime = await Promise.race([over.promise.then(() => true), after(mostMs)])
      if (inTime === true) return
      log.warn('the sidecar did not end in time and is killed', { pid })
      killProcess(pid)
    },
    kill: () => killProcess(pid),
    owns: each => each === pid || unreaped.has(each),
  }
}

function socketOf(child: ChildProcess): Duplex | null {
  return child.pid === undefined ? null : (child.stdio[SUPERVISOR_FD] as Duplex)
}

function after(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms).unref())
}

function killProcess(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
