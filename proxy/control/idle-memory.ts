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
/** Then twice as long each time: V8 compiles what a start made hot when a few seconds of timers have been added to it. */
const SECOND_MS = 5_000
const MOST_MS = 60_000
/** So many of the first looks give pages back whatever has come back: the compiler may have run at any time. */
const OF_START = 3
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
  const { threads, clock } = deps
  const resident = () => deps.resident() ?? 0
  let busyMs = threads.busyMs()
  let since = clock.now()
  let waitMs = SECOND_MS
  let looks = 0
  /** Nothing has happened since the heaps were made small. */
  let isSmall = false
  /** After memory was given back last. */
  let least = Number.NEGATIVE_INFINITY
  const measure = clock.timer(() => {
    least = resident()
  })
  const timer = clock.timer(() => void look())

  function wasIdle(): boolean {
    const before = { busyMs, since }
    busyMs = threads.busyMs()
    since = clock.now()
    return busyMs - before.busyMs < MOST_BUSY * (since - before.since)
  }

  async function look(): Promise<void> {
    timer.arm(waitMs)
    waitMs = Math.min(waitMs * 2, MOST_MS)
    looks++
    if (!wasIdle()) {
      isSmall = false
      return
    }
    if (looks > OF_START && resident() < least + WORTH_BYTES) return
    if (!isSmall) {
      await threads.ask({ what: 'shrink' })
      deps.shrinkHeap()
      isSmall = true
    }
    deps.releasePages()
    measure.arm(SETTLE_MS)
  }

  timer.arm(FIRST_MS)
}
