import { formatDuration } from './duration.ts'
import { mostEjected } from './ejectable.ts'
import { change, removal, suggested, together } from './fix.ts'
import type { Path, Warn } from './located.ts'
import type { OutlierSpec, ServiceSpec } from './snapshot.ts'

/** Checks the numbers of outlier detection. `discovered`: how many endpoints there will be is not known. */
export function lintOutliers(service: ServiceSpec, discovered: boolean, path: Path, warn: Warn): void {
  const { outliers } = service
  lintTimes(outliers, path, warn)
  if (isOff(outliers)) return lintOff(outliers, path, warn)
  const count = discovered ? null : service.endpoints.length
  lintShare(service, count, path, warn)
  if (count !== null && count > 1) lintComparisons(service.name, outliers, count, path, warn)
}

function compares({ successRate, failurePercentage, latency }: OutlierSpec): boolean {
  return successRate !== undefined || failurePercentage !== undefined || latency !== undefined
}

function isOff(outliers: OutlierSpec): boolean {
  const { consecutiveGatewayFailures, consecutive5xx = 0, consecutiveLocalFailures = 0 } = outliers
  return consecutiveGatewayFailures + consecutive5xx + consecutiveLocalFailures === 0 && !compares(outliers)
}

function lintOff({ shadow }: OutlierSpec, path: Path, warn: Warn): void {
  if (shadow === true)
    warn(
      [...path, 'mode'],
      'nothing ejects an endpoint here, so mode: shadow shows nothing: leave it out',
      removal([...path, 'mode']),
    )
}

function lintTimes(outliers: OutlierSpec, path: Path, warn: Warn): void {
  const { baseEjectionMs, maxEjectionMs, jitterMs = 0, intervalMs } = outliers
  if (intervalMs !== undefined && !compares(outliers))
    warn(
      [...path, 'interval'],
      `interval ${formatDuration(intervalMs)} has no effect: failures in a row count at once, and only successRate, failurePercentage and latency go by the interval: write one of them, or leave interval out`,
      removal([...path, 'interval']),
    )
  if (isOff(outliers)) return
  const [base, max] = [formatDuration(baseEjectionMs), formatDuration(maxEjectionMs)]
  if (baseEjectionMs > maxEjectionMs)
    warn(
      [...path, 'baseEjection'],
      `baseEjection ${base} is longer than maxEjection ${max}, so every ejection lasts maxEjection: make baseEjection the shorter one`,
      change([...path, 'baseEjection'], max),
    )
  if (jitterMs > baseEjectionMs)
    warn(
      [...path, 'jitter'],
      `jitter ${formatDuration(jitterMs)} is longer than baseEjection ${base}, so a first ejection lasts anything up to ${formatDuration(baseEjectionMs + jitterMs)}: write jitter: ${formatDuration(Math.max(1, Math.round(baseEjectionMs / 10)))}`,
      suggested(change([...path, 'jitter'], formatDuration(Math.max(1, Math.round(baseEjectionMs / 10))))),
    )
}

/** `count`: null where it is not known. */
function lintShare({ name, outliers, endpoints }: ServiceSpec, count: number | null, path: Path, warn: Warn): void {
  const { maxEjectedPercent: percent } = outliers
  if (endpoints.length > 1 && mostEjected(endpoints.length, percent) === 0)
    return warn(
      [...path, 'maxEjectedPercent'],
      `0 % of the endpoints of ${name} may be ejected, so none ever is: write more, or consecutiveGatewayFailures: 0 to turn ejection off`,
      suggested(change([...path, 'maxEjectedPercent'], 50)),
    )
  if (count === null || count < 2) return
  const share = (count * percent) / 100
  if (share < 1)
    warn(
      [...path, 'maxEjectedPercent'],
      `${percent} % of ${count} endpoints are ${shown(share)}, less than one: one is ejected all the same, which is ${shown(100 / count)} %: write maxEjectedPercent: ${Math.ceil(100 / count)}, or 0 for none`,
      change([...path, 'maxEjectedPercent'], Math.ceil(100 / count)),
    )
}

function lintComparisons(name: string, outliers: OutlierSpec, count: number, path: Path, warn: Warn): void {
  const { successRate } = outliers
  // The furthest that one of n values can be from their mean.
  const furthest = Math.sqrt(count - 1)
  const reached = Math.floor(furthest * 9) / 10
  for (const key of ['successRate', 'failurePercentage', 'latency'] as const) {
    const { minEndpoints = 0 } = outliers[key] ?? {}
    if (minEndpoints <= count) continue
    warn(
      [...path, key],
      `${key} compares at least ${minEndpoints} endpoints, and ${name} has ${count}, so it ejects none: write minEndpoints: ${Math.max(2, count)}, or leave ${key} out`,
      suggested(
        together(
          change([...path, key, 'minEndpoints'], Math.max(2, count)),
          ...(key === 'successRate' && successRate!.factor >= furthest
            ? [change([...path, key, 'factor'], reached)]
            : []),
        ),
      ),
    )
  }
  if (successRate === undefined || successRate.minEndpoints > count) return
  if (successRate.factor >= furthest)
    warn(
      [...path, 'successRate', 'factor'],
      `of ${count} endpoints none can be more than ${shown(furthest)} standard deviations from the mean, so factor ${successRate.factor} ejects none: write factor: ${reached}, or failurePercentage`,
      suggested(change([...path, 'successRate', 'factor'], reached)),
    )
}

function shown(value: number): number {
  return Math.round(value * 100) / 100
}
