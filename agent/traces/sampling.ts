/** Which spans are kept: a share of the traces, the same everywhere; and of one service no more than its rate. */
export interface Keep {
  /** `trace`: the first 48 of the last 56 bits of the trace id. `failed`: its status is an error. */
  of(service: string): (trace: number, failed: boolean) => boolean
  /** From now on. */
  set(limits: KeepLimits): void
  /** Why spans were not kept, so far. */
  readonly dropped: { sampled: number; rate: number }
  /** Services that are over their rate at this moment. */
  limited(): readonly string[]
}

export interface KeepLimits {
  /** From 0 to 1, of the traces; failed spans are kept whatever it says. */
  readonly share: number
  /** Spans a second of one service; 0: no limit. */
  readonly perSecond: number
}

export interface KeepOptions extends KeepLimits {
  /** Milliseconds, of a clock that only goes forward. */
  readonly now: () => number
}

const TRACES = 2 ** 48
/** Names come from applications: those beyond share one bucket. */
const MAX_SERVICES = 1_000
const OTHERS = 'all other services'
const WINDOW_MS = 1_000
/** A service that has sent nothing for so long is forgotten. */
const IDLE_MS = 60_000
/** Seconds of its rate that a service may send at once: applications send their spans in batches. */
const BURST_SECONDS = 2

interface Bucket {
  tokens: number
  at: number
  /** Spans that came in this window, and when it began. */
  came: number
  began: number
  /** Traces below are left out: so a service over its rate loses whole traces, not parts of all. */
  threshold: number
}

export function keeper({ share, perSecond: first, now }: KeepOptions): Keep {
  let threshold = thresholdOf(share)
  let perSecond = first
  const buckets = new Map<string, Bucket>()
  const dropped = { sampled: 0, rate: 0 }

  function bucketOf(service: string): Bucket {
    const found = buckets.get(service)
    if (found !== undefined) return found
    if (buckets.size >= MAX_SERVICES) {
      for (const [name, { at }] of buckets) if (now() - at > IDLE_MS) buckets.delete(name)
      if (buckets.size >= MAX_SERVICES && service !== OTHERS) return bucketOf(OTHERS)
    }
    const bucket = { tokens: perSecond * BURST_SECONDS, at: now(), came: 0, began: now(), threshold: 0 }
    buckets.set(service, bucket)
    return bucket
  }

  function refill(bucket: Bucket): void {
    const time = now()
    bucket.tokens = Math.min(perSecond * BURST_SECONDS, bucket.tokens + ((time - bucket.at) / 1000) * perSecond)
    bucket.at = time
    const length = time - bucket.began
    if (length < WINDOW_MS) return
    const offered = (bucket.came * 1000) / length
    // As many traces as fit, of what came lately.
    bucket.threshold = offered > perSecond ? Math.round((1 - perSecond / offered) * TRACES) : 0
    bucket.came = 0
    bucket.began = time
  }

  return {
    dropped,
    set(limits) {
      threshold = thresholdOf(limits.share)
      if (limits.perSecond === perSecond) return
      perSecond = limits.perSecond
      // What was measured is of the other rate.
      buckets.clear()
    },
    of(service) {
      const bucket = perSecond === 0 ? null : bucketOf(service)
      if (bucket !== null) refill(bucket)
      return (trace, failed) => {
        // OpenTelemetry's rule: kept where the random bits are not below the threshold.
        if (!failed && trace < threshold) {
          dropped.sampled++
          return false
        }
        if (bucket === null) return true
        bucket.came++
        if ((!failed && trace < bucket.threshold) || bucket.tokens < 1) {
          dropped.rate++
          return false
        }
        bucket.tokens--
        return true
      }
    },
    limited: () =>
      [...buckets].flatMap(([name, { threshold, at }]) => (threshold > 0 && now() - at < IDLE_MS ? [name] : [])),
  }
}

function thresholdOf(share: number): number {
  return Math.round((1 - share) * TRACES)
}
