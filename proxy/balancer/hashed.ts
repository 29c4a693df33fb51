import { type BalancerDeps, type LoadBalancer, NO_HASH, type Observe, type PickContext } from '../core/balancer.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { mix32 } from '../core/hash.ts'
import { type AliasTable, aliasTable } from './alias.ts'
import { avoiding } from './avoid.ts'
import { bound } from './bounded.ts'
import { observeFailures } from './learn.ts'

/** The index to which a hash leads. The 32 bits may be signed or not: signed ones fit V8's small integers. */
export type Lookup = (hash: number) => number

/**
 * After the first index, this many are tried by hash (a bound of 125 % needs five on average, at worst), and then as
 * many in order, so that few endpoints are all tried.
 */
const STEPS = 32

/**
 * A picker that goes by hash. It passes over an endpoint that was tried, or is full, for the one to which the next hash
 * of a series leads. Each key has its own series, so the requests above one endpoint's bound are spread over all (arXiv
 * 1908.08762), not heaped on a neighbour. A request without a key gets an endpoint by weight.
 */
export function hashed(endpoints: readonly Endpoint[], deps: BalancerDeps, lookup: Lookup): LoadBalancer {
  const n = endpoints.length
  if (n === 0) return { pick: () => null }
  // Made at the first request without a key: most services have none.
  let table: AliasTable | null = null
  const bounded = deps.spec.hashBalanceFactor === 0 ? null : bound(endpoints, deps)

  function walk(hash: number, { tried, record }: PickContext): Endpoint {
    bounded?.look()
    const own = lookup(hash)
    let fallback = -1
    for (let step = 0; step < STEPS + Math.min(STEPS, n); step++) {
      const index = step === 0 ? own : step < STEPS ? lookup(mix32(hash, step) | 0) : (own + step) % n
      const endpoint = endpoints[index]!
      if (tried.length !== 0 && tried.includes(endpoint)) continue
      if (bounded === null || !bounded.isFull(index)) {
        if (index !== own && !tried.includes(endpoints[own]!)) notePassedOver(record, endpoints[own]!, endpoint)
        return endpoint
      }
      if (fallback < 0 || endpoint.active * endpoints[fallback]!.weight < endpoints[fallback]!.active * endpoint.weight)
        fallback = index
    }
    return fallback < 0 ? avoiding(endpoints, own, tried) : endpoints[fallback]!
  }

  return {
    pick(context) {
      const { hash, tried } = context
      if (hash === NO_HASH) {
        table ??= aliasTable(endpoints)
        return avoiding(endpoints, table.draw(deps.random), tried)
      }
      return bounded === null && tried.length === 0 ? endpoints[lookup(hash)]! : walk(hash, context)
    },
  }
}

/** Only bounded load needs to know how busy an endpoint is. */
export const observeBound: Observe = (endpoint, outcome, tookMs, head, deps) => {
  if (deps.spec.hashBalanceFactor !== 0) observeFailures(endpoint, outcome, tookMs, head, deps)
}

function notePassedOver(record: AttemptRecord, own: Endpoint, taken: Endpoint): void {
  record.other = own
  record.load = taken.active
  record.otherLoad = own.active
}
