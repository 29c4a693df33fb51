import type { BalancerDeps } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { failingNow } from './learn.ts'
import { bitsOf, sumOf, weightsOf } from './numbers.ts'

/** How many endpoints are read anew for each pick. */
const LOOKS = 8

/**
 * Bounded load (Mirrokni, Thorup, Zadimoghaddam 2018): no endpoint has more than `factor` percent of its share of all
 * requests under way.
 */
export interface Bound {
  /** Before each pick. */
  look(): void
  /** True: one more request would exceed the bound. */
  isFull(index: number): boolean
}

/**
 * Adding up all requests for each pick would be O(n). Instead a sum is kept, and each pick reads a few endpoints anew,
 * in turn. Up to eight endpoints the sum is exact. With more, the mean is off by at most the requests that come and go
 * in n / 8 picks: an eighth of a request an endpoint.
 */
export function bound(endpoints: readonly Endpoint[], deps: BalancerDeps): Bound {
  const n = endpoints.length
  const weights = weightsOf(endpoints)
  const whole = sumOf(weights)
  const shares = weights.map(weight => ((weight / whole) * deps.spec.hashBalanceFactor) / 100)
  const seen = bitsOf(endpoints, ({ active }) => active)
  let total = sumOf(seen)
  let next = 0

  function lookAt(index: number): number {
    const { active } = endpoints[index]!
    total += active - seen[index]!
    seen[index] = active
    return active
  }

  return {
    look() {
      for (let i = 0; i < LOOKS && i < n; i++) {
        lookAt(next)
        next = next + 1 === n ? 0 : next + 1
      }
    },
    isFull(index) {
      const active = lookAt(index)
      const { load } = endpoints[index]!
      // Failures count as load: an endpoint that fails fast would otherwise never be full, and get what exceeds the
      // others' bounds.
      const busy = load.failing === 0 ? active : active + failingNow(load, deps.clock.now(), deps)
      return busy + 1 > Math.max(1, Math.ceil((total + 1) * shares[index]!))
    },
  }
}
