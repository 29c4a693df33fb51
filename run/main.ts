import { type Application, startApplication, startFailure } from './application.ts'
import { takeForeignChildren } from './children.ts'
import { applicationEnvironment, sidecarEnvironment } from './environment.ts'
import { findCommand } from './find-command.ts'
import type { RunLog } from './log.ts'
import { keepSidecar, type Sidecar, SUPERVISOR_FD } from './sidecar.ts'
import { takeSignals } from './signals.ts'
import type { User } from './users.ts'

export interface RunOptions {
  readonly command: readonly [string, ...string[]]
  /** Node and its arguments for `outrigger proxy`. */
  readonly proxy: readonly [string, ...string[]]
  readonly env: NodeJS.ProcessEnv
  /** Null: the user of this process. */
  readonly user: User | null
  readonly sidecarUser: User | null
  readonly waitReadyMs: number
  readonly stopTimeoutMs: number
  readonly log: RunLog
  /** Both run: nothing more is loaded. */
  readonly settled: () => void
  /** Calls back when this process is to end for another reason than a signal. */
  readonly ending?: (stop: (why: string) => void) => void
}

/** The sidecar was not ready in time. */
const EXIT_NOT_READY = 1
/** SIGTERM before there was an application. */
const EXIT_STOPPED = 143
/** After both have started. */
const SETTLED_MS = 500
/** Of a time that has no end: the longest that a timer takes. */
const LONGEST_MS = 2 ** 31 - 1

/**
 * The life of an application and its sidecar, from the first process to the exit code: docs/run.md draws it. Resolves
 * with the exit code.
 */
export async function runBoth(options: RunOptions): Promise<number> {
  const { command, env, user, sidecarUser, log, stopTimeoutMs } = options
  const stops = stopRequests(log)
  const signals = takeSignals(stops.ask)
  options.ending?.(stops.ask)

  // 1  Before anything runs: a command that cannot be run must leave no trace.
  const own = applicationEnvironment(env, user)
  const found = findCommand(command[0], own.PATH ?? '/usr/local/bin:/usr/bin:/bin', process.cwd())
  if (!found.ok) {
    log.error(`the application cannot be started: ${found.reason}`)
    return found.code
  }

  // 2  The sidecar.
  const [program, ...args] = options.proxy
  let application: Application | null = null
  const sidecar: Sidecar = keepSidecar({
    program,
    args,
    env: sidecarEnvironment(env, sidecarUser, SUPERVISOR_FD),
    user: sidecarUser,
    log,
    askedToStop: why => stops.ask(`the sidecar was asked to end (${why})`),
  })
  const isOurs = (pid: number) => pid === application?.pid || sidecar.owns(pid)
  const foreign = takeForeignChildren(isOurs)
  if (!foreign.areTaken && process.pid === 1)
    log.warn(
      'this process is PID 1 and cannot wait for orphans, which stay as zombies: that needs the FFI of Node 26 on Linux, or an init such as docker run --init',
    )
  const first = await Promise.race([sidecar.first, stops.nth(1), inTime(options.waitReadyMs)])
  if (first !== 'ready') {
    if (first === 'late')
      log.error(`the sidecar was not ready within ${options.waitReadyMs / 1000} s: the application is not started`)
    await sidecar.end()
    return typeof first === 'number' ? first || EXIT_NOT_READY : first === 'late' ? EXIT_NOT_READY : EXIT_STOPPED
  }

  // 3  The application.
  try {
    application = await startApplication({ command, env: own, user })
  } catch (error) {
    log.error(`the application cannot be started: ${(error as Error).message}`)
    await sidecar.end()
    return startFailure(error as NodeJS.ErrnoException)
  }
  sidecar.application('running')
  signals.passTo(application.signal)
  setTimeout(options.settled, SETTLED_MS).unref()
  log.info('the application runs', { pid: application.pid })

  // 4  Its end: by itself, or because this process is to stop.
  const stopped = await Promise.race([application.ended, stops.nth(1)])
  if (typeof stopped !== 'number') await stop(application, sidecar, stops, stopTimeoutMs, log)
  const code = await application.ended
  log.info(`the application has ended with ${code}`, { code })

  // 5  The registration goes with it, then what it left behind, then the sidecar.
  sidecar.application('gone')
  // Where orphans do not come here, its group is all that is known of them.
  if (!foreign.areTaken) application.kill()
  await foreign.end(isOurs, stopTimeoutMs)
  await sidecar.end()
  return code
}

/** Callers first, then the application; outbound serves until it has ended. */
async function stop(
  { ended, signal, kill }: Application,
  sidecar: Sidecar,
  stops: StopRequests,
  stopTimeoutMs: number,
  log: RunLog,
): Promise<void> {
  if (typeof (await Promise.race([ended, stops.nth(2), sidecar.leave()])) === 'number') return
  const killNow = stops.nth(stops.count() + 1)
  signal('SIGTERM')
  // A stopped process (SIGSTOP) gets the SIGTERM only then.
  signal('SIGCONT')
  const how = await Promise.race([ended, killNow, inTime(stopTimeoutMs)])
  if (typeof how === 'number') return
  log.warn(
    how === 'late'
      ? `the application has not ended ${stopTimeoutMs / 1000} s after SIGTERM and is killed`
      : 'the application is killed',
  )
  kill()
}

interface StopRequests {
  ask(why: string): void
  /** The first one is 1. Resolves also when it came before. */
  nth(count: number): Promise<'stop'>
  count(): number
}

function stopRequests(log: RunLog): StopRequests {
  const asked: PromiseWithResolvers<'stop'>[] = []
  let count = 0
  const at = (index: number) => (asked[index] ??= Promise.withResolvers<'stop'>())
  return {
    ask(why) {
      log.info(count > 0 ? `${why}: at once` : `${why}: the sidecar leaves first, then the application is ended`)
      at(count++).resolve('stop')
    },
    nth: wanted => at(wanted - 1).promise,
    count: () => count,
  }
}

function inTime(ms: number): Promise<'late'> {
  return new Promise(resolve => setTimeout(() => resolve('late'), Math.min(ms, LONGEST_MS)).unref())
}
