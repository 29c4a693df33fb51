import type { PickContext } from '../core/balancer.ts'
import type { Cluster } from '../core/cluster.ts'
import type { DecisionRecord } from '../core/decision.ts'
import type { Endpoint } from '../core/endpoint.ts'

/** The detail where a pick found no endpoint with room. */
export const ENDPOINTS_FULL = '`limits.perEndpoint` of every endpoint'

/** Notes an attempt and lets the balancer choose its endpoint; null: none may be used. Explanations pick here too. */
export function pickNext(
  cluster: Cluster,
  decision: DecisionRecord,
  context: PickContext,
  now: number,
): Endpoint | null {
  const record = decision.nextTry(now)
  record.policy = cluster.policy
  context.record = record
  return cluster.balancer.pick(context)
}
