import type { ServiceCluster } from '../cluster/cluster.ts'
import type { EndpointsAnswer } from '../core/channel.ts'
import { quantile } from '../telemetry/slots.ts'
import type { HistogramSeries } from '../telemetry/stats.ts'

/** Who is in each service, and how each endpoint does, as this data thread sees it. */
export function endpointsView(clusters: readonly ServiceCluster[], now: number): EndpointsAnswer {
  return {
    services: clusters.map(cluster => ({
      name: cluster.name,
      policy: cluster.spec.balancer.type,
      active: cluster.active,
      endpoints: cluster.endpoints.map(endpoint => {
        const { spec, stats, pool } = endpoint
        const latency = stats.latency as HistogramSeries
        return {
          address: endpoint.name,
          weight: spec.weight,
          zone: spec.zone,
          metadata: spec.metadata,
          health: spec.health,
          state: endpoint.state,
          reason: endpoint.state === 'admitting' ? '' : endpoint.ejectionReason,
          ejectedForMs: endpoint.state === 'ejected' ? Math.max(0, Math.round(endpoint.ejectedUntil - now)) : 0,
          active: endpoint.active,
          connections: pool.connections,
          idle: pool.idle,
          pending: pool.pending,
          requests: stats.requests.values[stats.requests.index]!,
          failures: stats.failures.values[stats.failures.index]!,
          p50Ms: quantile(latency.values, latency.index, 0.5),
          p99Ms: quantile(latency.values, latency.index, 0.99),
        }
      }),
    })),
  }
}
