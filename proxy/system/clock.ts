import { performance } from 'node:perf_hooks'
import type { Clock } from '../core/clock.ts'
import { timerWheel } from './timer-wheel.ts'
import { systemTurns } from './turns.ts'

/** Each thread counts `performance.now` from its own start; what they share needs one time. */
const threadStartedAt = Number(process.hrtime.bigint()) / 1e6 - performance.now()
const look = () => threadStartedAt + performance.now()
const now = () => systemTurns.now(look)
/** Of the same moment as `now`: the two are subtracted from each other. */
const wallTime = () => Math.floor(Date.now() - systemTurns.elapsed(look))

/** The system's time. Timers are coarse (10 ms) and cost no system timer each. */
export const systemClock: Clock = {
  now,
  wallTime,
  timer: timerWheel(
    now,
    (callback, delayMs) => {
      const handle = setTimeout(callback, delayMs)
      return () => clearTimeout(handle)
    },
    systemTurns,
  ),
}

export const systemRandom = Math.random
