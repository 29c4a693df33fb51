import type { RetryBudget } from '../core/cluster.ts'

const WINDOW_MS = 10_000
const BUCKETS = 10

/**
 * Retries may be `percent` of the requests of the last ten seconds, and `minPerSecond` besides, so that a quiet service
 * can retry at all (Finagle's RetryBudget). It has ten buckets of a second each and stores nothing per request.
 */
export function retryBudget(percent: number, minPerSecond: number): RetryBudget {
  const requests = new Float64Array(BUCKETS)
  const retries = new Float64Array(BUCKETS)
  let second = 0

  function advance(now: number): number {
    const current = Math.floor(now / (WINDOW_MS / BUCKETS))
    if (current !== second) {
      const passed = Math.min(current - second, BUCKETS)
      for (let k = 1; k <= passed; k++) {
        requests[(second + k) % BUCKETS] = 0
        retries[(second + k) % BUCKETS] = 0
      }
      second = current
    }
    return current % BUCKETS
  }

  return {
    deposit(now) {
      requests[advance(now)]!++
    },
    tryWithdraw(now) {
      const bucket = advance(now)
      const allowed = (sum(requests) * percent) / 100 + (minPerSecond * WINDOW_MS) / 1000
      if (sum(retries) >= allowed) return false
      retries[bucket]!++
      return true
    },
  }
}

function sum(values: Float64Array): number {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i]!
  return total
}
