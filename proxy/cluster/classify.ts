import type { Classification } from '../core/cluster.ts'
import { type Failure, failures } from '../core/failure.ts'

/** The gRPC statuses that correspond to 504 and 503. */
const DEADLINE_EXCEEDED = 4
const UNAVAILABLE = 14

/**
 * Whether the endpoint answered well: the one answer for statistics, outlier detection and budgets. `status`: of the
 * response head, 0 when none came. `grpcStatus`: of a gRPC call.
 */
export function classify(failure: Failure | null, status: number, grpcStatus = 0): Classification {
  // An endpoint that drains announces it: that is correct, and no failure (RFC 9113 section 6.8).
  if (failure === failures.goawayUnprocessed) return 'ignorable'
  if (failure !== null) return failure.side === 'upstream' ? 'failure' : 'ignorable'
  if (grpcStatus === DEADLINE_EXCEEDED || grpcStatus === UNAVAILABLE) return 'failure'
  return status === 502 || status === 503 || status === 504 ? 'failure' : 'success'
}
