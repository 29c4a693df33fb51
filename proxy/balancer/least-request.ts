import type { BalancerPolicy } from '../core/balancer.ts'
import { lightestOf } from './draw.ts'
import { observeFailures } from './learn.ts'
import { fewerRequests } from './load.ts'

/** Of a few endpoints drawn by weight, takes the one with the fewest requests under way for its weight. */
export const leastRequest: BalancerPolicy = {
  create: (endpoints, deps) => lightestOf(endpoints, deps, fewerRequests(deps, deps.spec.activeRequestBias)),
  hashes: false,
  observe: observeFailures,
  reweigh: null,
}
