import type { Clock } from '../../proxy/core/clock.ts'
import { timerWheel } from '../../proxy/system/timer-wheel.ts'
import type { EventLoop } from './event-loop.ts'
import { testTurns } from './turns.ts'

const EPOCH = Date.UTC(2026, 0, 1)

/** The real timer wheel over virtual time. */
export function manualClock(loop: EventLoop): Clock {
  return {
    now: () => loop.now,
    wallTime: () => EPOCH + loop.now,
    timer: timerWheel(
      () => loop.now,
      (callback, delayMs) => loop.after(delayMs, callback),
      testTurns,
    ),
  }
}
