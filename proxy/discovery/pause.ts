import type { Clock, Random } from '../core/clock.ts'

/** Resolves after this time, or as soon as the signal aborts. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || delayMs <= 0) return Promise.resolve()
  return new Promise(resolve => {
    const done = () => {
      timer.cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.timer(done)
    timer.arm(delayMs)
    signal.addEventListener('abort', done)
  })
}

/** One broken connection is no outage: the first retry is almost immediate. */
const FIRST_MS = [50, 250] as const
const BASE_MS = 1_000

/**
 * The wait after this many failures in a row: it grows to `capMs`, with jitter, so that sidecars do not all come back
 * at the same moment.
 */
export function backOffMs(failures: number, capMs: number, random: Random): number {
  if (failures <= 1) return FIRST_MS[0] + random() * (FIRST_MS[1] - FIRST_MS[0])
  const span = Math.min(capMs, BASE_MS * 2 ** Math.min(failures - 2, 20))
  return span * (0.5 + 0.5 * random())
}
