import type { ServiceCluster } from '../cluster/cluster.ts'
import { type BalanceView, describeBalance } from '../cluster/describe.ts'
import { usesOf } from '../cluster/limits.ts'
import type { EndpointsAnswer, EndpointView } from '../core/channel.ts'
import { SHADOW_UNTIL } from '../core/ejection.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { quantile } from '../core/slots.ts'
import { isShadowed } from '../health/outlier.ts'

/** The endpoints of each service, and how each does, as this data thread sees it. */
export function endpointsView(clusters: readonly ServiceCluster[], now: number): EndpointsAnswer {
  return {
    services: clusters.map(cluster => ({
      name: cluster.name,
      policy: cluster.spec.balancer.type,
      active: cluster.admission.active,
      limits: usesOf(cluster.spec.limits, cluster.admission.counts),
      notes: [...balanceNotes(describeBalance(cluster.whole.balance)), ...cluster.admission.describe(now)],
      endpoints: cluster.endpoints.map(endpoint => {
        const { spec, stats, pool } = endpoint
        const { latency } = stats
        return {
          address: endpoint.name,
          weight: spec.weight,
          effectiveWeight: endpoint.weight,
          priority: spec.priority,
          zone: spec.zone,
          metadata: spec.metadata,
          health: spec.health,
          healthReason: spec.healthReason,
          warming: endpoint.warmingSince >= 0,
          state: endpoint.state,
          reason: endpoint.state === 'admitting' ? '' : endpoint.ejectionReason,
          ejectedForMs: endpoint.state === 'ejected' ? Math.max(0, Math.round(endpoint.ejectedUntil - now)) : 0,
          ...ejectionView(endpoint, now),
          active: endpoint.active,
          protocol: pool.protocol,
          connections: pool.connections,
          idle: pool.idle,
          pending: pool.pending,
          ...(pool.room.limits === null ? {} : { limits: usesOf(pool.room.limits.spec, pool.room.limits.counts) }),
          requests: stats.requests.values[stats.requests.index]!,
          failures: stats.failures.values[stats.failures.index]!,
          p50Ms: quantile(latency.values, latency.index, 0.5),
          p99Ms: quantile(latency.values, latency.index, 0.99),
        }
      }),
    })),
  }
}

/** What there is to say of it beyond its state; nothing of most endpoints. */
function ejectionView(endpoint: Endpoint, now: number): Partial<EndpointView> {
  const { byHand, evidence, shared } = endpoint
  const isShadow = isShadowed(endpoint, now)
  const failures = evidence?.failures(now) ?? []
  return {
    ...(byHand === 'no' ? {} : { byHand }),
    ...(isShadow ? { shadowForMs: (shared[SHADOW_UNTIL]! - now) | 0, reason: evidence?.reason ?? '' } : {}),
    ...(failures.length === 0 ? {} : { evidence: failures }),
  }
}

/** What balancing does beyond its policy, in words; nothing where it does nothing. */
function balanceNotes({ panic, priorities, localPercent }: BalanceView): string[] {
  const notes: string[] = []
  const ignored = new Set(priorities.flatMap(level => (level.panic === '' ? [] : level.panic.split(' and '))))
  if (panic) {
    const [healthy, all] = priorities.reduce(
      ([healthy, all], level) => [healthy + level.healthy, all + level.endpoints],
      [0, 0],
    )
    notes.push(
      `PANIC: only ${healthy} of ${all} endpoints are healthy, so ${[...ignored].map(what => (what === 'health' ? 'health' : 'ejections')).join(' and ')} is not looked at`,
    )
  }
  if (priorities.length > 1)
    notes.push(
      priorities
        .map(
          ({ priority, healthy, endpoints, load }) =>
            `priority ${priority}: ${healthy} of ${endpoints} healthy, gets ${Math.round(load)}%`,
        )
        .join('; '),
    )
  if (localPercent !== null) notes.push(`${Math.round(localPercent)}% of the requests stay in our zone`)
  return notes
}
