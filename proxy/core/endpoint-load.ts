/**
 * What balancers have measured of an endpoint, and what it reports of itself. Times are monotonic milliseconds. What
 * every pick reads comes first, so that it is one cache line.
 */
export class EndpointLoad {
  /**
   * Failures that still count as requests under way: fades away, from `failedAt` on (which a Retry-After puts in the
   * future).
   */
  failing = 0
  /** Time to the response head, milliseconds: a moving mean, with `peak_ewma` a moving peak; 0: none measured. */
  latencyMs = 0
  latencyAt = 0
  failedAt = 0
  /** The share of failures among the last attempts, 0 to 1: a moving mean. */
  failureRate = 0
  /** How many attempts that is made of: each counts one, and is forgotten with time. */
  attempts = 0
  attemptAt = 0
  /** ORCA load report: requests and errors a second, utilisation (0 to 1, more is overload); -1: not reported. */
  reportedQps = -1
  reportedErrors = -1
  reportedUtilization = -1
  reportedAt = 0
  /** Since when it has reported without a longer break; -1: it has not. */
  reportedSince = -1
  /** When its head was last searched for a report. */
  searchedAt = 0
  /** The same for its trailers. */
  trailersSearchedAt = 0

  /**
   * As if nothing had been measured: an ejection was the penalty, and what led to it says nothing of what comes back.
   */
  forget(): void {
    this.failing = 0
    this.latencyMs = 0
    this.failedAt = 0
    this.failureRate = 0
    this.attempts = 0
  }
}
