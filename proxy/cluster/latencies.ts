import type { Latencies } from '../core/cluster.ts'

const HALF_MS = 30_000
/** A bucket is a twelfth of a doubling, so a percentile is right to 6 %: from 1/16 ms to over two hours. */
const PER_DOUBLING = 12
const BELOW_1_MS = 4
const BUCKETS = 27 * PER_DOUBLING
/** A percentile is computed anew after that. */
const FRESH_MS = 1000

/** How long the answers of a service took in the last half to whole minute: two halves that take turns. */
export function latencies(): Latencies {
  let now = new Uint32Array(BUCKETS)
  let before = new Uint32Array(BUCKETS)
  let count = 0
  let countBefore = 0
  let half = 0
  let known = -1
  let knownPercent = 0
  let knownAt = 0

  function turnTo(current: number): void {
    const emptied = before
    before = now
    countBefore = count
    if (current !== half + 1) {
      before.fill(0)
      countBefore = 0
    }
    now = emptied.fill(0)
    count = 0
    half = current
  }

  function advance(at: number): void {
    const current = Math.floor(at / HALF_MS)
    if (current !== half) turnTo(current)
  }

  return {
    record(milliseconds, at) {
      advance(at)
      const doublings = Math.log2(Math.max(milliseconds, 2 ** -BELOW_1_MS)) + BELOW_1_MS
      now[Math.min(Math.floor(doublings * PER_DOUBLING), BUCKETS - 1)]!++
      count++
    },
    percentile(percent, least, at) {
      advance(at)
      if (count + countBefore < least) return -1
      if (percent === knownPercent && at - knownAt < FRESH_MS) return known
      const wanted = ((count + countBefore) * percent) / 100
      let bucket = 0
      for (let sum = now[0]! + before[0]!; sum < wanted; sum += now[bucket]! + before[bucket]!) bucket++
      known = 2 ** ((bucket + 1) / PER_DOUBLING - BELOW_1_MS)
      knownPercent = percent
      knownAt = at
      return known
    },
  }
}
