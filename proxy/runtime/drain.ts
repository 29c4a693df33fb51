import type { DrainSide } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import type { Listeners } from './listeners.ts'

interface DrainPlan {
  readonly side: DrainSide
  readonly delayMs: number
  readonly timeoutMs: number
}

/**
 * After `delayMs`, inbound first: what the application still does for its callers may need others, so outbound stays
 * open until inbound is done (istio/istio#51855), and where `inbound` alone is asked for until `all` is. What still
 * runs after `timeoutMs`, counted over both, is cut; how much that was is told to `drained`.
 */
export function drainer(
  listeners: Pick<Listeners, 'drain'>,
  clock: Clock,
  drained: (side: DrainSide, cut: number) => void,
): (plan: DrainPlan) => void {
  /** How many requests were cut; begun by the first plan whose delay is over. */
  let inbound: Promise<number> | null = null
  let waiting: (() => void) | null = null

  return ({ side, delayMs, timeoutMs }) => {
    const timer = clock.timer(begin)
    let begun = false

    async function begin(): Promise<void> {
      if (begun) return
      begun = true
      timer.cancel()
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
