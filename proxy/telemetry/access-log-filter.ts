import type { AccessLogCondition, AccessLogSpec } from '../../mesh-config/snapshot.ts'
import type { Exchange } from '../core/exchange.ts'
import { hash32 } from '../core/hash.ts'
import { traceIdOf } from '../core/trace.ts'
import { hasFailed } from './failed.ts'

/** Whether a finished exchange is logged: asked before anything of its line is made. */
export type LogFilter = (exchange: Exchange) => boolean

/** Null: every exchange is logged. */
export function logFilter({ mode, only }: AccessLogSpec): LogFilter | null {
  if (mode === 'off') return () => false
  if (mode === 'errors') return hasFailed
  if (only.length === 0) return null
  const conditions = only.map(compiled)
  return exchange => {
    for (let i = 0; i < conditions.length; i++) if (conditions[i]!(exchange)) return true
    return false
  }
}

/** The cheapest checks first; the share, which reads an id, last. */
function compiled({ errors, slowerThanMs, statuses, samplePercent }: AccessLogCondition): LogFilter {
  const limit = (samplePercent / 100) * 2 ** 32
  return exchange => {
    if (exchange.completedAt - exchange.startedAt < slowerThanMs) return false
    if (statuses.length > 0 && !isAmong(exchange.status, statuses)) return false
    const isError = hasFailed(exchange)
    if (errors && !isError) return false
    return samplePercent >= 100 || isError || hash32(idOf(exchange)) < limit
  }
}

function isAmong(status: number, ranges: AccessLogCondition['statuses']): boolean {
  for (let i = 0; i < ranges.length; i++) if (status >= ranges[i]![0] && status <= ranges[i]![1]) return true
  return false
}

/** The same on every hop, so that what each logs belongs together. */
function idOf(exchange: Exchange): string {
  return traceIdOf(exchange) || exchange.requestId
}
