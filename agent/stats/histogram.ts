/**
 * Latencies as the proxies count them (proxy/core/slots.ts, which a test compares with this): 8 buckets for each power
 * of two of microseconds, from 64 us to 134 s. Here a histogram has only the buckets that are not empty.
 */
export const BUCKETS = 170
const FIRST_OCTAVE = 6
const LAST_OCTAVE = 26

export type SparseHistogram = Map<number, number>

/** The upper bound of a bucket in milliseconds; of the last one the longest time that is told apart. */
export function boundOf(bucket: number): number {
  if (bucket <= 0) return (1 << FIRST_OCTAVE) / 1000
  if (bucket >= BUCKETS - 1) return 2 ** LAST_OCTAVE / 500
  const octave = ((bucket - 1) >> 3) + FIRST_OCTAVE
  return (2 ** (octave - 3) * (9 + ((bucket - 1) & 7))) / 1000
}

export function addBuckets(to: SparseHistogram, buckets: ArrayLike<number>, counts: ArrayLike<number>): void {
  for (let i = 0; i < buckets.length; i++) to.set(buckets[i]!, (to.get(buckets[i]!) ?? 0) + counts[i]!)
}

/** The time that the share `quantile` of the requests stayed below, in milliseconds; null: there were none. */
export function quantileOf(histogram: SparseHistogram, quantile: number): number | null {
  let total = 0
  for (const count of histogram.values()) total += count
  if (total === 0) return null
  let left = total * quantile
  const buckets = [...histogram.keys()].sort((a, b) => a - b)
  for (const bucket of buckets) {
    left -= histogram.get(bucket)!
    if (left <= 0) return boundOf(bucket)
  }
  return boundOf(buckets.at(-1)!)
}
