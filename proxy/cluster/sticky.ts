import type { LoadBalancer } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'

/**
 * Keeps a session at its endpoint while the endpoint is in rotation and this request has not failed there. `idOf`
 * takes its name.
 */
export function stickyPicker(
  rotation: readonly Endpoint[],
  next: LoadBalancer,
  idOf: (name: string) => string,
): LoadBalancer {
  const byId = new Map<string, Endpoint>()
  for (const endpoint of rotation) {
    if (endpoint.stickyId === '') endpoint.stickyId = idOf(endpoint.name)
    byId.set(endpoint.stickyId, endpoint)
  }
  return {
    pick(context) {
      if (context.sticky !== '') {
        const endpoint = byId.get(context.sticky)
        if (endpoint !== undefined && !context.tried.includes(endpoint)) {
          context.record.sticky = true
          return endpoint
        }
      }
      return next.pick(context)
    },
  }
}
