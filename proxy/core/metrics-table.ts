import { metricsOfChecks } from './metrics-of-checks.ts'
import { metricsOfNames } from './metrics-of-names.ts'
import { metricsOfProxy } from './metrics-of-proxy.ts'
import { metricsOfTraffic } from './metrics-of-traffic.ts'

/**
 * Every metric of the proxy: the one source of its HELP line and of docs/metrics.md. A test compares a running proxy
 * with it.
 */
export const metrics = { ...metricsOfTraffic, ...metricsOfProxy, ...metricsOfNames, ...metricsOfChecks } as const

export type MetricName = keyof typeof metrics

/** The HELP line. */
export function helpOf(name: MetricName): string {
  return metrics[name].help
}
