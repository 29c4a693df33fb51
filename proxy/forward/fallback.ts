import type { Cluster } from '../core/cluster.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Failure } from '../core/failure.ts'
import type { Fallback } from '../core/route.ts'
import { isToldInGrpc } from './local-reply.ts'

/**
 * What takes the place of a refusal, noted in the record: another cluster, or a reply. Null: nothing does. Requests
 * and explanations ask here.
 */
export function fallbackOf(exchange: Exchange, failure: Failure): { cluster: Cluster } | Fallback['reply'] {
  const fallback = exchange.route!.fallback ?? null
  if (fallback === null || !fallback.on.has(failure.failure)) return null
  const { reply, name } = fallback
  if (reply === null) {
    const cluster = fallback.cluster()
    // It was there already, or is not there.
    if (cluster === null || cluster === exchange.cluster) return null
    exchange.decision.note('fallback', `${failure.reason}: it goes to ${name}`)
    return { cluster }
  }
  if (exchange.protocol === 'tcp' || isToldInGrpc(exchange, failure)) return null
  exchange.decision.note('fallback', `${failure.reason}: answered with ${reply.status}`)
  return reply
}
