import type { LoadBalancer } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'

/** A session stays at its endpoint as long as that gets requests at all and this one has not failed there. `idOf`: by the name of an endpoint. */
export function stickyPicker(rotation: readonly Endpoint[], next: LoadBalancer, idOf: (name: string) => string): LoadBalancer {
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
