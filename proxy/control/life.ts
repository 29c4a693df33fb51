import type { DrainSpec } from '../../mesh-config/snapshot.ts'
import type { Log } from '../core/log.ts'

/** From ready to the end of the process. */
export interface Life {
  /** Finishes what runs, then exits with 0. False: it does so already. */
  drain(why: string): boolean
  draining(): boolean
}

export interface LifeOptions {
  readonly plan: () => DrainSpec
  /** Tells the registry that we go, so that callers turn elsewhere while we still listen. Bounded in time. */
  readonly leave: () => Promise<void>
  /** Finishes what runs; how many requests were cut. */
  readonly drainThreads: (plan: DrainSpec) => Promise<number>
  /** What must be written and closed before the process ends. */
  readonly finish: () => Promise<void>
  readonly exit: (code: number) => void
  readonly log: Log
}

export function life({ plan, leave, drainThreads, finish, exit, log }: LifeOptions): Life {
  let draining = false

  async function end(why: string): Promise<void> {
    const { delayMs, timeoutMs } = plan()
    log.info(`${why}: draining: not ready from now on, listening for another ${delayMs / 1000} s, then at most ${timeoutMs / 1000} s for what still runs`)
    await leave()
    const cut = await drainThreads(plan())
    if (cut > 0) log.warn(`${cut} requests were still running after ${timeoutMs / 1000} s and were cut`, { cut })
    log.info('drained')
    await finish()
    exit(0)
  }

  return {
    drain(why) {
      if (draining) return false
      draining = true
      end(why).catch((error: unknown) => {
        log.error(`draining failed: ${String(error)}`)
        exit(1)
      })
      return true
    },
    draining: () => draining,
  }
}

const codes = { SIGINT: 130, SIGTERM: 143 } as const

/** SIGTERM and SIGINT drain; a second one ends the process at once with 128 + the signal's number, as the shell would say it. */
export function obeySignals(life: Life, exit: (code: number) => void, now: () => number): void {
  let firstAt = Number.NEGATIVE_INFINITY
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (life.drain(signal)) firstAt = now()
      // Ctrl-C reaches the launcher and this process, and the launcher passes its own on: that is one.
      else if (signal !== 'SIGINT' || process.env.OUTRIGGER_LAUNCHED === undefined || now() - firstAt > 100) exit(codes[signal])
    })
  }
}
