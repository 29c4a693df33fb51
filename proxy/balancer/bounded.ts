import type { BalancerDeps } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { failingNow } from './learn.ts'
import { bitsOf, sumOf, weightsOf } from './numbers.ts'

/** So many endpoints are looked at anew for each pick. */
const LOOKS = 8

/**
 * Bounded load (Mirrokni, Thorup, Zadimoghaddam 2018): no endpoint has more than `factor` percent of its share of all
 * requests under way.
 */
export interface Bound {
  /** Before each pick. */
  look(): void
  /** One request more would be too much. */
  isFull(index: number): boolean
}

/**
 * To add up all requests for each pick would be O(n). Instead a sum is kept, and for each pick a few endpoints are
 * looked at anew, in turn: up to eight it is exact, and of more the mean is never off by more than the requests that
 * come and go in n / 8 picks, an eighth of a request an endpoint.
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
      // Whoever fails fast is never full, and would get all that is too much for the others.
      const busy = load.failing === 0 ? active : active + failingNow(load, deps.clock.now(), deps)
      return busy + 1 > Math.max(1, Math.ceil((total + 1) * shares[index]!))
    },
  }
}
