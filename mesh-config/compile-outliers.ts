import { durationMs } from './duration.ts'
import type { ServicePolicy } from './service.ts'
import type { LatencyOutlierSpec, OutlierSpec } from './snapshot.ts'

const USUAL_INTERVAL_MS = 10_000

/** What is off has no field. */
export function compileOutliers(policy: ServicePolicy['outliers']): OutlierSpec {
  const { mode, consecutive5xx, consecutiveLocalFailures: local, successRate, failurePercentage, latency } = policy
  const intervalMs = durationMs(policy.interval)
  const compares = successRate !== 'off' || failurePercentage !== 'off' || latency !== 'off'
  const jitterMs = durationMs(policy.jitter)
  return {
    consecutiveGatewayFailures: policy.consecutiveGatewayFailures,
    baseEjectionMs: durationMs(policy.baseEjection),
    maxEjectionMs: durationMs(policy.maxEjection),
    maxEjectedPercent: policy.maxEjectedPercent,
    ...(mode === 'shadow' ? { shadow: true } : {}),
    ...(consecutive5xx === 0 ? {} : { consecutive5xx }),
    ...(local === 'together' ? {} : { consecutiveLocalFailures: local }),
    ...(jitterMs === 0 ? {} : { jitterMs }),
    ...(compares || intervalMs !== USUAL_INTERVAL_MS ? { intervalMs } : {}),
    ...(successRate === 'off' ? {} : { successRate }),
    ...(failurePercentage === 'off' ? {} : { failurePercentage }),
    ...(latency === 'off' ? {} : { latency: compileLatency(latency) }),
  }
}

function compileLatency({
  minExcess,
  ...numbers
}: Exclude<ServicePolicy['outliers']['latency'], 'off'>): LatencyOutlierSpec {
  return { ...numbers, minExcessMs: durationMs(minExcess) }
}
