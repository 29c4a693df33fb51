import type { Classification } from '../core/cluster.ts'

/** The gRPC statuses that correspond to 504 and 503. */
const DEADLINE_EXCEEDED = 4
const UNAVAILABLE = 14

/**
 * Did the endpoint that gave this answer do its work? The one answer for statistics, outlier detection and budgets;
 * what a failure says stands in its row (`Failure.outcome`). `grpcStatus`: of a gRPC call.
 */
export function classify(status: number, grpcStatus = 0): Classification {
  if (grpcStatus === DEADLINE_EXCEEDED || grpcStatus === UNAVAILABLE) return 'failure'
  return status === 502 || status === 503 || status === 504 ? 'failure' : 'success'
}
