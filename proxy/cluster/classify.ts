import type { Classification } from '../core/cluster.ts'
import type { Failure } from '../core/failure.ts'

/** Did the endpoint do its work? The one answer for statistics, outlier detection and budgets. `status`: of the response head, 0 when none came. */
export function classify(failure: Failure | null, status: number): Classification {
  if (failure !== null) return failure.side === 'upstream' ? 'failure' : 'ignorable'
  return status === 502 || status === 503 || status === 504 ? 'failure' : 'success'
}
