import type { Classification } from '../core/cluster.ts'
import type { Failure } from '../core/failure.ts'

/** What 504 and 503 are to HTTP. */
const DEADLINE_EXCEEDED = 4
const UNAVAILABLE = 14

/**
 * Did the endpoint do its work? The one answer for statistics, outlier detection and budgets. `status`: of the response
 * head, 0 when none came. `grpcStatus`: of a gRPC call.
 */
export function classify(failure: Failure | null, status: number, grpcStatus = 0): Classification {
  if (failure !== null) return failure.outcome
  if (grpcStatus === DEADLINE_EXCEEDED || grpcStatus === UNAVAILABLE) return 'failure'
  return status === 502 || status === 503 || status === 504 ? 'failure' : 'success'
}
