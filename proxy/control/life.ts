import { isLoopback } from '../../mesh-config/address.ts'
import type { DrainSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { DrainSide } from '../core/channel.ts'
import type { Log } from '../core/log.ts'

/** From ready to the end of the process. */
export interface Life {
  /**
   * Finishes what runs, then exits with 0; where a supervisor decides, it is asked to. False: it does so already.
   * `atOnce`: the ports are wanted, so listening stops without the delay.
   */
  drain(why: string, atOnce?: boolean): boolean
  /**
   * Not ready, deregister, wait for the delay, drain inbound. Outbound serves on. Resolves when that is done, also where
   * it was asked for before. Null: this process drains all, or has handed over.
   */
  leave(why: string): Promise<void> | null
  /** As `drain`, and no supervisor is asked. */
  end(why: string, atOnce?: boolean): boolean
  /**
   * Another process serves on the same ports from now on: `letGo` of what only one can have, then as `end`, without a
   * delay. False: this process drains already.
   */
  handOver(why: string, letGo: () => Promise<void>): boolean
  draining(): boolean
  /** It drains inbound alone, or has done so. */
  leaving(): boolean
}

export interface LifeOptions {
  readonly plan: () => DrainSpec
  /** Tells the registry that we go, so that callers turn elsewhere while we still listen. Bounded in time. */
  readonly leave: () => Promise<void>
  /** Finishes what runs; how many requests were cut. */
  readonly drainThreads: (side: DrainSide, plan: DrainSpec, handsOver: boolean) => Promise<number>
  /** What must be written and closed before the process ends. */
  readonly finish: () => Promise<void>
  readonly exit: (code: number) => void
  /** False: no supervisor decides. */
  readonly askSupervisor?: (why: string) => boolean
  /** A drain begins that is no hand-over. */
  readonly onDrain?: (side: DrainSide, plan: DrainSpec) => void
  readonly log: Log
}

export function life(options: LifeOptions): Life {
  const { plan, leave, drainThreads, finish, exit, askSupervisor, onDrain, log } = options
  /** Callers are no longer wanted. */
  let leaving: Promise<void> | null = null
  let ending = false
  let asked = false
  /** Another process serves: a signal that is for both of them (systemd sends such) does not cut what runs here. */
  let isSpared = false

  async function leaveInbound(why: string): Promise<void> {
    const { delayMs, timeoutMs } = plan()
    log.info(
      `${why}: leaving: not ready from now on, listening for another ${delayMs / 1000} s, then at most ${timeoutMs / 1000} s for inbound requests; outbound serves on`,
    )
    onDrain?.('inbound', plan())
    await leave()
    if (ending) return
    sayCut(await drainThreads('inbound', plan(), false), timeoutMs)
    if (!ending) log.info('inbound is drained')
  }

  async function endAll(why: string, atOnce: boolean): Promise<void> {
    const planned = () => (atOnce || leaving !== null ? { ...plan(), delayMs: 0 } : plan())
    const { delayMs, timeoutMs } = planned()
    log.info(
      leaving === null
        ? `${why}: draining: not ready from now on, listening for another ${delayMs / 1000} s, then at most ${timeoutMs / 1000} s for what still runs`
        : `${why}: draining: at most ${timeoutMs / 1000} s for what still runs`,
    )
    onDrain?.('all', planned())
    await leave()
    await drained(planned(), false)
  }

  async function drained(planned: DrainSpec, handsOver: boolean): Promise<void> {
    sayCut(await drainThreads('all', planned, handsOver), planned.timeoutMs)
    log.info('drained')
    await finish()
    exit(0)
  }

  function sayCut(cut: number, timeoutMs: number): void {
    if (cut > 0) log.warn(`${cut} requests were still running after ${timeoutMs / 1000} s and were cut`, { cut })
  }

  function failed(error: unknown): void {
    log.error(`draining failed: ${String(error)}`)
    exit(1)
  }

  function end(why: string, atOnce = false): boolean {
    if (ending) {
      const wasSpared = isSpared
      isSpared = false
      return wasSpared
    }
    ending = true
    endAll(why, atOnce).catch(failed)
    return true
  }

  return {
    drain(why, atOnce = false) {
      if (ending || askSupervisor === undefined) return end(why, atOnce)
      if (asked) return false
      asked = askSupervisor(why)
      return asked || end(why, atOnce)
    },
    leave(why) {
      if (ending) return leaving
      leaving ??= leaveInbound(why).catch((error: unknown) => log.error(`leaving failed: ${String(error)}`))
      return leaving
    },
    end,
    handOver(why, letGo) {
      if (ending || leaving !== null) return false
      ending = true
      isSpared = true
      const planned = { ...plan(), delayMs: 0 }
      log.info(`${why}: at most ${planned.timeoutMs / 1000} s for what still runs here`)
      letGo()
        .then(() => drained(planned, true))
        .catch(failed)
      return true
    },
    draining: () => ending || leaving !== null,
    leaving: () => leaving !== null && !ending,
  }
}

/**
 * The delay is for callers that find this address somewhere: those of the application, and those of a gateway. Where
 * nothing but the application of this machine calls, there are none.
 */
export function drainPlan({ drain, listeners }: Pick<Snapshot, 'drain' | 'listeners'>): DrainSpec {
  const isFound = listeners.some(({ direction, listen }) => direction === 'inbound' || !isLoopback(listen.address))
  return isFound ? drain : { ...drain, delayMs: 0 }
}
