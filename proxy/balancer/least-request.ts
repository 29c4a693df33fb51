import type { LoadBalancerFactory, PickContext } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { aliasTable } from './alias.ts'
import { avoiding } from './avoid.ts'

/**
 * Least request by the power of two choices (Mitzenmacher 2001): two different endpoints are drawn by weight, and the one with fewer requests for its weight is taken;
 * on a tie the first drawn, so that an idle service is shared out by weight too. Two different ones, so that of two endpoints the busier is never taken.
 */
export const leastRequest: LoadBalancerFactory = (endpoints, random) => {
  const n = endpoints.length
  if (n === 0) return { pick: () => null }
  const even = endpoints.every(endpoint => endpoint.spec.weight === endpoints[0]!.spec.weight)
  const draw = even ? null : aliasTable(endpoints.map(endpoint => endpoint.spec.weight))

  function second(first: number): number {
    if (draw !== null) {
      for (let tries = 0; tries < 3; tries++) {
        const index = draw.draw(random)
        if (index !== first) return index
      }
    }
    // Among the n - 1 others, each as likely.
    const index = Math.floor(random() * (n - 1))
    return index < first ? index : index + 1
  }

  return {
    pick(context) {
      const first = draw === null ? Math.floor(random() * n) : draw.draw(random)
      if (n === 1) return endpoints[0]!
      const other = second(first)
      const a = endpoints[first]!
      const b = endpoints[other]!
      if (context.tried.length !== 0) return untried(endpoints, first, other, context)
      return lighter(a, b, context)
    },
  }
}

function lighter(a: Endpoint, b: Endpoint, context: PickContext): Endpoint {
  const first = a.active * b.spec.weight <= b.active * a.spec.weight
  const chosen = first ? a : b
  const left = first ? b : a
  const { record } = context
  record.other = left
  record.load = chosen.active
  record.otherLoad = left.active
  return chosen
}

function untried(endpoints: readonly Endpoint[], first: number, second: number, context: PickContext): Endpoint {
  const a = avoiding(endpoints, first, context.tried)
  const b = avoiding(endpoints, second, context.tried)
  return a === b ? a : lighter(a, b, context)
}
