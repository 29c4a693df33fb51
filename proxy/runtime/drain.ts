import type { DrainSide } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import type { Listeners } from './listeners.ts'

export interface DrainOrder {
  readonly side: DrainSide
  readonly delayMs: number
  readonly timeoutMs: number
  readonly handsOver?: boolean
}

/**
 * After `delayMs`, inbound first: what the application still does for its callers may need others, so outbound stays
 * open until inbound is done (istio/istio#51855), and where `inbound` alone is asked for until `all` is. What still
 * runs after `timeoutMs`, counted over both, is cut; how much that was is told to `drained`. Where another process has
 * taken the ports over (`handsOver`), the application has that one, and both sides are drained at once.
 */
export function drainer(
  listeners: Pick<Listeners, 'drain' | 'handOver'>,
  clock: Clock,
  drained: (side: DrainSide, cut: number) => void,
): (order: DrainOrder) => void {
  /** How many requests were cut; begun by the first order whose delay is over. */
  let inbound: Promise<number> | null = null
  let waiting: (() => void) | null = null

  return ({ side, delayMs, timeoutMs, handsOver = false }) => {
    const timer = clock.timer(begin)
    let begun = false

    async function begin(): Promise<void> {
      if (begun) return
      begun = true
      timer.cancel()
      if (handsOver) return drained(side, await listeners.handOver(timeoutMs))
      const deadline = clock.now() + timeoutMs
      const isFirst = inbound === null
      inbound ??= listeners.drain('inbound', timeoutMs)
      const cutInbound = await inbound
      const cut = isFirst ? cutInbound : 0
      if (side === 'inbound') return drained(side, cut)
      drained(side, cut + (await listeners.drain('outbound', Math.max(0, deadline - clock.now()))))
    }

    timer.arm(delayMs)
    if (side === 'inbound') waiting = () => void begin()
    // The application is gone, or the time is up: nothing is left to wait for.
    else waiting?.()
  }
}
