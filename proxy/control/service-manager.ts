import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { monotonicMicroseconds, type Notify, notifySocket } from '../system/notify-socket.ts'

/** systemd, as a unit with `Type=notify` has it: what it is told, and when. */
export interface ServiceManager {
  /** `isSuccessor`: this process is the main one of the service from now on. */
  ready(isSuccessor: boolean): void
  /** While `done` has not resolved the configuration is being read. */
  reloading(done: Promise<unknown>): void
  stopping(): void
  /** Another process of this service says the rest. */
  handedOver(): void
}

export interface ServiceManagerDeps {
  /** Every data thread answers. */
  readonly answers: () => Promise<boolean>
  readonly clock: Clock
  readonly log: Log
  readonly open?: (path: string) => Notify
}

/**
 * Null: nothing is to be told, because systemd did not start this process.
 */
export function serviceManager(
  env: NodeJS.ProcessEnv,
  { answers, clock, log, open = notifySocket }: ServiceManagerDeps,
): ServiceManager | null {
  const { NOTIFY_SOCKET: path } = env
  if (path === undefined || path === '') return null
  const notify = open(path)
  const everyMs = watchdogMs(env) / 2
  let isOver = false
  let hasFailed = false

  function say(...lines: readonly string[]): void {
    if (notify(lines.join('\n')) || hasFailed) return
    hasFailed = true
    log.warn(`systemd cannot be told: nothing takes messages at NOTIFY_SOCKET=${path}`)
  }

  const beat = clock.timer(() => {
    void answers().then(all => {
      if (isOver) return
      if (all) say('WATCHDOG=1')
      beat.arm(everyMs)
    })
  })

  function stop(): void {
    isOver = true
    beat.cancel()
  }

  return {
    ready(isSuccessor) {
      say('READY=1', 'STATUS=serves', ...(isSuccessor ? [`MAINPID=${process.pid}`] : []))
      if (everyMs > 0) beat.arm(everyMs)
    },
    reloading(done) {
      say('RELOADING=1', `MONOTONIC_USEC=${monotonicMicroseconds()}`)
      void done.then(() => say('READY=1'))
    },
    handedOver: stop,
    stopping() {
      stop()
      say('STOPPING=1', 'STATUS=finishes what runs')
    },
  }
}

/**
 * The time after which systemd misses a word; 0: it waits for none. `WATCHDOG_PID` names this process, or the older
 * Node that started it; a successor has none.
 */
function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number {
  const isOurs = WATCHDOG_PID === undefined || [process.pid, process.ppid].includes(Number(WATCHDOG_PID))
  const microseconds = Number(WATCHDOG_USEC)
  return isOurs && microseconds > 0 ? microseconds / 1000 : 0
}
