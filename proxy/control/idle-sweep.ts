import type { Clock } from '../core/clock.ts'
import type { OnDemand } from './on-demand.ts'
import { usesOf } from './uses.ts'
import type { DataThreads } from './workers.ts'

/** Services found on demand are looked at so often within the time they may be idle. */
const SWEEPS = 5

/** Lets go of services found on demand that had no request for `idleMs()` (0: keeps them). Returns what stops it. */
export function sweepIdle(
  found: OnDemand,
  threads: Pick<DataThreads, 'ask'>,
  idleMs: () => number,
  clock: Clock,
): () => void {
  const timer = clock.timer(async () => {
    const limit = idleMs()
    if (limit > 0 && found.names().length > 0) found.sweep(await usesOf(threads), limit)
    timer.arm(Math.max(1_000, (limit || 60_000) / SWEEPS))
  })
  timer.arm(1_000)
  return () => timer.cancel()
}
