import type { DrainSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Log } from '../core/log.ts'

/** From ready to the end of the process. */
export interface Life {
  /**
   * Finishes what runs, then exits with 0. False: it does so already. `atOnce`: the ports are wanted, so listening
   * stops without the delay.
   */
  drain(why: string, atOnce?: boolean): boolean
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

  async function end(why: string, atOnce: boolean): Promise<void> {
    const planned = () => (atOnce ? { ...plan(), delayMs: 0 } : plan())
    const { delayMs, timeoutMs } = planned()
    log.info(
      `${why}: draining: not ready from now on, listening for another ${delayMs / 1000} s, then at most ${timeoutMs / 1000} s for what still runs`,
    )
    await leave()
    const cut = await drainThreads(planned())
    if (cut > 0) log.warn(`${cut} requests were still running after ${timeoutMs / 1000} s and were cut`, { cut })
    log.info('drained')
    await finish()
    exit(0)
  }

  return {
    drain(why, atOnce = false) {
      if (draining) return false
      draining = true
      end(why, atOnce).catch((error: unknown) => {
        log.error(`draining failed: ${String(error)}`)
        exit(1)
      })
      return true
    },
    draining: () => draining,
  }
}

/** The delay is for callers that find this address somewhere; where nothing inbound listens, there are none. */
export function drainPlan({ drain, listeners }: Snapshot): DrainSpec {
  return listeners.some(({ direction }) => direction === 'inbound') ? drain : { ...drain, delayMs: 0 }
}
