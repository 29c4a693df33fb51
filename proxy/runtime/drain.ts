import type { Clock } from '../core/clock.ts'
import type { Listeners } from './listeners.ts'

export interface DrainOrder {
  readonly delayMs: number
  readonly timeoutMs: number
  readonly handsOver?: boolean
}

/**
 * After `delayMs`, inbound first: what the application still does for its callers may need others, so outbound stays
 * open until inbound is done (istio/istio#51855). What still runs after `timeoutMs`, counted over both, is cut; how
 * much that was is told to `drained`. Where another process has taken the ports over (`handsOver`), the application has
 * that one, and both sides are drained at once.
 */
export function drain(
  listeners: Listeners,
  clock: Clock,
  { delayMs, timeoutMs, handsOver = false }: DrainOrder,
  drained: (cut: number) => void,
): void {
  const timer = clock.timer(async () => {
    if (handsOver) return drained(await listeners.handOver(timeoutMs))
    const deadline = clock.now() + timeoutMs
    const cutInbound = await listeners.drain('inbound', timeoutMs)
    const cutOutbound = await listeners.drain('outbound', Math.max(0, deadline - clock.now()))
    drained(cutInbound + cutOutbound)
  })
  timer.arm(delayMs)
}
