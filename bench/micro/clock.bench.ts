import { systemClock } from '../../proxy/system/clock.ts'

const timer = systemClock.timer(() => {})

export const now = () => systemClock.now()

/** What a request costs in timers: armed as it starts, cancelled as its answer comes. */
export function armAndCancel(): void {
  timer.arm(15_000)
  timer.cancel()
}
