import type {
  FailurePercentageSpec,
  LatencyOutlierSpec,
  OutlierSpec,
  SuccessRateSpec,
} from '../../mesh-config/snapshot.ts'
import type { Detector } from '../core/telemetry.ts'

/** What an endpoint did in an interval, on all data threads. */
export interface Measured<E> {
  readonly endpoint: E
  readonly requests: number
  readonly failures: number
  /** The 95th percentile of its answers, milliseconds; 0: not measured. */
  readonly p95Ms: number
}

export interface Finding<E> {
  readonly endpoint: E
  readonly by: Detector
  readonly reason: string
}

/** The endpoints that are to be ejected, the worst first; each once. */
export function findOutliers<E>(measured: readonly Measured<E>[], spec: OutlierSpec): Finding<E>[] {
  const { successRate, failurePercentage, latency } = spec
  const found = [
    ...(successRate === undefined ? [] : byRate(measured, successRate)),
    ...(failurePercentage === undefined ? [] : byPercentage(measured, failurePercentage)),
    ...(latency === undefined ? [] : byLatency(measured, latency)),
  ]
  return found.filter(({ endpoint }, i) => found.findIndex(each => each.endpoint === endpoint) === i)
}

type Enough = Pick<SuccessRateSpec, 'minEndpoints' | 'minRequests'>

/** Empty: there are too few to compare. */
function enough<E>(measured: readonly Measured<E>[], { minEndpoints, minRequests }: Enough): readonly Measured<E>[] {
  const some = measured.filter(({ requests }) => requests >= minRequests)
  return some.length < minEndpoints ? [] : some
}

/** Envoy's: below the mean of the success rates by `factor` standard deviations of them. */
function byRate<E>(measured: readonly Measured<E>[], spec: SuccessRateSpec): Finding<E>[] {
  const some = enough(measured, spec)
  const rates = some.map(rateOf)
  const mean = meanOf(rates)
  const deviation = Math.sqrt(meanOf(rates.map(rate => (rate - mean) ** 2)))
  const bound = mean - spec.factor * deviation
  return worstFirst(
    some.filter(each => rateOf(each) < bound && 100 - rateOf(each) >= spec.minFailurePercent),
    rateOf,
  ).map(each => ({
    endpoint: each.endpoint,
    by: 'success_rate',
    reason: `success rate ${shown(rateOf(each))} % of ${each.requests} requests is below ${shown(bound)} % (mean ${shown(mean)} % - ${spec.factor} x ${shown(deviation)})`,
  }))
}

function byPercentage<E>(measured: readonly Measured<E>[], spec: FailurePercentageSpec): Finding<E>[] {
  const isFailing = (each: Measured<E>) => 100 - rateOf(each) >= spec.percent
  return worstFirst(enough(measured, spec).filter(isFailing), rateOf).map(each => ({
    endpoint: each.endpoint,
    by: 'failure_percentage',
    reason: `${shown(100 - rateOf(each))} % of ${each.requests} requests failed, ${spec.percent} % or more ejects`,
  }))
}

function byLatency<E>(measured: readonly Measured<E>[], spec: LatencyOutlierSpec): Finding<E>[] {
  const some = enough(measured, spec)
  const slow: Finding<E>[] = []
  for (const each of worstFirst(some, ({ p95Ms }) => -p95Ms)) {
    const median = medianOf(some.filter(other => other !== each).map(({ p95Ms }) => p95Ms))
    if (each.p95Ms <= spec.factor * median || each.p95Ms - median < spec.minExcessMs) continue
    slow.push({
      endpoint: each.endpoint,
      by: 'latency',
      reason: `p95 ${shown(each.p95Ms)} ms of ${each.requests} requests is over ${spec.factor} x ${shown(median)} ms, the median of the others`,
    })
  }
  return slow
}

/** Percent. Requests that a caller took back may make more failures than requests. */
function rateOf({ requests, failures }: { readonly requests: number; readonly failures: number }): number {
  return Math.max(0, (100 * (requests - failures)) / requests)
}

function worstFirst<E>(some: readonly Measured<E>[], key: (each: Measured<E>) => number): readonly Measured<E>[] {
  return some.toSorted((a, b) => key(a) - key(b))
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function shown(value: number): number {
  return Math.round(value * 10) / 10
}
