import type { LoadBalancer, PickContext } from '../core/balancer.ts'
import type { Clock } from '../core/clock.ts'
import { isProbed, takeProbe } from '../core/ejection.ts'
import type { Endpoint } from '../core/endpoint.ts'

export interface ProbeDeps {
  readonly clock: Clock
  /** Which data thread this is. */
  readonly thread: number
  /** From the name of an endpoint to its sticky id. Null: the service has no sticky sessions. */
  readonly stickyIdOf: ((name: string) => string) | null
}

/**
 * Sends one request to each probing endpoint, of all that all data threads have; all others go on to `next`. The request
 * of a session that has another endpoint is not used for that: it would lose its session.
 */
export function probePicker(
  probing: readonly Endpoint[],
  next: LoadBalancer,
  { clock, thread, stickyIdOf }: ProbeDeps,
): LoadBalancer {
  if (probing.length === 0) return next
  if (stickyIdOf !== null) for (const endpoint of probing) endpoint.stickyId ||= stickyIdOf(endpoint.name)

  function isProbe(endpoint: Endpoint, { tried, sticky, record, isPreview }: PickContext): boolean {
    if (endpoint.state !== 'probing' || tried.includes(endpoint)) return false
    if (sticky !== '' && sticky !== endpoint.stickyId) return false
    const now = clock.now()
    if (isPreview === true) return !isProbed(endpoint.shared, now)
    record.probe = takeProbe(endpoint.shared, thread, now)
    return record.probe !== 0
  }

  return {
    pick(context) {
      for (const endpoint of probing) {
        if (!isProbe(endpoint, context)) continue
        context.record.isProbe = true
        return endpoint
      }
      return next.pick(context)
    },
  }
}
