import type { Clock } from '../core/clock.ts'
import type { DataThreads } from './workers.ts'

export interface IdleMemoryDeps {
  readonly threads: Pick<DataThreads, 'ask' | 'busyMs'>
  /** Of this thread. */
  readonly shrinkHeap: () => void
  readonly releasePages: () => void
  /** Bytes of memory that this process has now; null: the system does not say. */
  readonly resident: () => number | null
  readonly clock: Clock
}

/** After ready, when all that a start does has ended. */
const FIRST_MS = 2_000
const EVERY_MS = 60_000
/** Of the time of one thread. Timers alone take a thousandth. */
const MOST_BUSY = 0.01
const WORTH_BYTES = 4 * 1024 * 1024
/** What comes back at once because it is needed also by a proxy that does nothing. */
const SETTLE_MS = 2_000

/**
 * Gives back what a start, or a load that is over, has left in memory: when the data threads had next to nothing to do,
 * and where it is worth it. docs/decisions has the figures.
 */
export function keepIdleMemorySmall(deps: IdleMemoryDeps): void {
  const { threads, clock, resident } = deps
  let busyMs = threads.busyMs()
  let since = clock.now()
  /** After it was given back last. */
  let least = 0
  const measure = clock.timer(() => {
    least = resident() ?? Number.POSITIVE_INFINITY
  })
  const timer = clock.timer(() => void look())

  function wasIdle(): boolean {
    const before = { busyMs, since }
    busyMs = threads.busyMs()
    since = clock.now()
    return busyMs - before.busyMs < MOST_BUSY * (since - before.since)
  }

  async function look(): Promise<void> {
    timer.arm(EVERY_MS)
    if (!wasIdle() || (resident() ?? Number.POSITIVE_INFINITY) < least + WORTH_BYTES) return
    await threads.ask({ what: 'shrink' })
    deps.shrinkHeap()
    deps.releasePages()
    measure.arm(SETTLE_MS)
  }

  timer.arm(FIRST_MS)
}
