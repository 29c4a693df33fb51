import type { DrainSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Log } from '../core/log.ts'

/** From ready to the end of the process. */
export interface Life {
  /**
   * Finishes what runs, then exits with 0. False: it does so already. `atOnce`: the ports are wanted, so listening
   * stops without the delay.
   */
  drain(why: string, atOnce?: boolean): boolean
  /**
   * Another process serves on the same ports from now on: `letGo` of what only one can have, then as `drain`, without
   * a delay. False: this process drains already.
   */
  handOver(why: string, letGo: () => Promise<void>): boolean
  draining(): boolean
}

export interface LifeOptions {
  readonly plan: () => DrainSpec
  /** Tells the registry that we go, so that callers turn elsewhere while we still listen. Bounded in time. */
  readonly leave: () => Promise<void>
  /** Finishes what runs; how many requests were cut. */
  readonly drainThreads: (plan: DrainSpec, handsOver: boolean) => Promise<number>
  /** What must be written and closed before the process ends. */
  readonly finish: () => Promise<void>
  readonly exit: (code: number) => void
  /** A drain begins that is no hand-over. */
  readonly leaving?: () => void
  readonly log: Log
}

export function life({ plan, leave, drainThreads, finish, exit, leaving, log }: LifeOptions): Life {
  let draining = false
  /** Another process serves: a signal that is for both of them (systemd sends such) does not cut what runs here. */
  let isSpared = false

  async function end(why: string, atOnce: boolean): Promise<void> {
    const planned = () => (atOnce ? { ...plan(), delayMs: 0 } : plan())
    const { delayMs, timeoutMs } = planned()
    log.info(
      `${why}: draining: not ready from now on, listening for another ${delayMs / 1000} s, then at most ${timeoutMs / 1000} s for what still runs`,
    )
    await leave()
    await drained(planned(), false)
  }

  async function drained(planned: DrainSpec, handsOver: boolean): Promise<void> {
    const cut = await drainThreads(planned, handsOver)
    if (cut > 0)
      log.warn(`${cut} requests were still running after ${planned.timeoutMs / 1000} s and were cut`, { cut })
    log.info('drained')
    await finish()
    exit(0)
  }

  function failed(error: unknown): void {
    log.error(`draining failed: ${String(error)}`)
    exit(1)
  }

  return {
    drain(why, atOnce = false) {
      if (draining) {
        const wasSpared = isSpared
        isSpared = false
        return wasSpared
      }
      draining = true
      leaving?.()
      end(why, atOnce).catch(failed)
      return true
    },
    handOver(why, letGo) {
      if (draining) return false
      draining = true
      isSpared = true
      const planned = { ...plan(), delayMs: 0 }
      log.info(`${why}: at most ${planned.timeoutMs / 1000} s for what still runs here`)
      letGo()
        .then(() => drained(planned, true))
        .catch(failed)
      return true
    },
    draining: () => draining,
  }
}

/** The delay is for callers that find this address somewhere; where nothing inbound listens, there are none. */
export function drainPlan({ drain, listeners }: Snapshot): DrainSpec {
  return listeners.some(({ direction }) => direction === 'inbound') ? drain : { ...drain, delayMs: 0 }
}
