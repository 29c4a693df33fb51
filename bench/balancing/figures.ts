import type { RequestLog } from './engine/log.ts'
import type { Run } from './engine/simulate.ts'

/** The figures of a run. */
export interface Figures {
  readonly requests: number
  /** Of the requests that succeeded, milliseconds. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** Share of the requests that failed, 0 to 1. */
  readonly errors: number
  /**
   * The requests of the instance with the most for its capacity, relative to its proportional share: 1 is best.
   * Instances that do not work are left out.
   */
  readonly skew: number
  /** Share of the requests sent to the bad instances, 0 to 1. */
  readonly badShare: number
}

export function figuresOf({ log, instances }: Run): Figures {
  const times = succeeded(log, 0, Number.POSITIVE_INFINITY)
  return {
    requests: log.length,
    p50Ms: percentile(times, 0.5),
    p99Ms: percentile(times, 0.99),
    errors: (log.length - times.length) / log.length,
    skew: skewOf(instances),
    badShare: badShare(log, 0, Number.POSITIVE_INFINITY),
  }
}

/** Of the requests sent in [from, to) that succeeded: sorted times, milliseconds. */
export function succeeded({ sentAt, tookMs, status, length }: RequestLog, from: number, to: number): Float64Array {
  const times = new Float64Array(length)
  let count = 0
  for (let i = 0; i < length; i++)
    if (status[i] === 200 && sentAt[i]! >= from && sentAt[i]! < to) times[count++] = tookMs[i]!
  return times.subarray(0, count).sort()
}

/** Of the requests sent in [from, to): NaN of none. */
export function badShare({ sentAt, toBad, length }: RequestLog, from: number, to: number): number {
  let [all, bad] = [0, 0]
  for (let i = 0; i < length; i++) {
    if (sentAt[i]! < from || sentAt[i]! >= to) continue
    all++
    bad += toBad[i]!
  }
  return bad / all
}

/** The least value that this share of all does not exceed; NaN: no values. */
export function percentile(sorted: Float64Array, part: number): number {
  return sorted.length === 0 ? Number.NaN : sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]!
}

function skewOf(instances: Run['instances']): number {
  let [requests, capacity, most] = [0, 0, 0]
  for (const { requests: count, spec } of instances) {
    if (spec.failsAfterMs !== null) continue
    const own = spec.workers / spec.slowness
    requests += count
    capacity += own
    most = Math.max(most, count / own)
  }
  return most / (requests / capacity)
}
