import type { LoadBalancerFactory } from '../core/balancer.ts'
import { aliasTable } from './alias.ts'
import { avoiding } from './avoid.ts'

/** Weighted random: each pick independent of the last. */
export const random: LoadBalancerFactory = (endpoints, chance) => {
  if (endpoints.length === 0) return { pick: () => null }
  const draw = aliasTable(endpoints.map(endpoint => endpoint.spec.weight))
  return {
    pick(context) {
      return avoiding(endpoints, draw.draw(chance), context.tried)
    },
  }
}
