import { performance } from 'node:perf_hooks'
import type { Clock } from '../core/clock.ts'
import { timerWheel } from './timer-wheel.ts'

const now = () => performance.now()

/** The system's time. Timers are coarse (10 ms) and cost no system timer each. */
export const systemClock: Clock = {
  now,
  wallTime: Date.now,
  timer: timerWheel(now, (callback, delayMs) => {
    const handle = setTimeout(callback, delayMs)
    return () => clearTimeout(handle)
  }),
}

export const systemRandom = Math.random
