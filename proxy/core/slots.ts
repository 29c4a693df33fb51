/**
 * The layout of statistics in shared memory, known to both threads. A page is 8,192 float64 slots (64 KiB); a counter
 * or gauge takes one slot, a histogram
 * `HISTOGRAM_SLOTS`. One thread writes a page, the other only reads, so no atomics are needed: a 64-bit aligned store
 * is whole on every platform Node runs on.
 *
 * A histogram is log-linear: 8 buckets for each power of two of microseconds, from 64 us to 134 s, so a value is known
 * to 12.5 %.
 */
export const PAGE_SLOTS = 8192
const FIRST_OCTAVE = 6
const LAST_OCTAVE = 26
export const HISTOGRAM_BUCKETS = (LAST_OCTAVE - FIRST_OCTAVE + 1) * 8 + 2
/** The buckets, then the sum in milliseconds. */
export const HISTOGRAM_SLOTS = HISTOGRAM_BUCKETS + 1

/** The bucket of a duration; 0 takes what is below 64 us, the last one what is over 134 s. */
export function bucketOf(milliseconds: number): number {
  const us = (milliseconds * 1000) | 0
  if (us < 1 << FIRST_OCTAVE) return us < 0 ? HISTOGRAM_BUCKETS - 1 : 0
  const octave = 31 - Math.clz32(us)
  if (octave > LAST_OCTAVE) return HISTOGRAM_BUCKETS - 1
  return ((octave - FIRST_OCTAVE) << 3) + ((us >>> (octave - 3)) & 7) + 1
}

/** The upper bound of a bucket in milliseconds; Infinity for the last. */
export function bucketBound(bucket: number): number {
  if (bucket === 0) return (1 << FIRST_OCTAVE) / 1000
  if (bucket >= HISTOGRAM_BUCKETS - 1) return Number.POSITIVE_INFINITY
  const octave = ((bucket - 1) >> 3) + FIRST_OCTAVE
  return (2 ** (octave - 3) * (9 + ((bucket - 1) & 7))) / 1000
}

/** The value below which the share `quantile` of the counts lies, in milliseconds; 0: nothing was recorded. */
export function quantile(values: Float64Array | Int32Array, index: number, share: number): number {
  let total = 0
  for (let i = 0; i < HISTOGRAM_BUCKETS; i++) total += values[index + i]!
  if (total === 0) return 0
  let left = total * share
  for (let i = 0; i < HISTOGRAM_BUCKETS; i++) {
    left -= values[index + i]!
    if (left <= 0) return Math.min(bucketBound(i), 2 ** LAST_OCTAVE / 500)
  }
  return 2 ** LAST_OCTAVE / 500
}

/** How many bounds are exposed: the powers of two from 128 us to 134 s. */
export const OCTAVES = LAST_OCTAVE - FIRST_OCTAVE + 1

/** The first exposed bound that a duration in seconds is below, from 0; `OCTAVES`: none. */
export function octaveOf(seconds: number): number {
  const us = seconds * 1e6
  if (!(us >= 1 << FIRST_OCTAVE)) return 0
  if (us >= 2 ** (LAST_OCTAVE + 1)) return OCTAVES
  return 31 - Math.clz32(us | 0) - FIRST_OCTAVE
}
