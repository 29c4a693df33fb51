import type { BalancerPolicy, Observe } from '../core/balancer.ts'
import { countAttempt, countedMs, hasFailed } from './learn.ts'
import { addToMean, expectedLatencies, learnShares } from './reweigh.ts'
import { roundRobin } from './round-robin.ts'

const observe: Observe = ({ load }, outcome, tookMs, head, deps) => {
  if (outcome === 'ignorable') return
  const now = deps.clock.now()
  const failed = hasFailed(outcome, head)
  countAttempt(load, failed, now, deps.spec.decayMs)
  addToMean(load, countedMs(load, tookMs, failed, head, deps), now)
}

/**
 * Weighted by the inverse of the mean response time (Ribbon's WeightedResponseTimeRule), in turns instead of by random
 * draw. An endpoint half as fast gets half as many requests for its weight.
 */
export const responseTime: BalancerPolicy = {
  create: roundRobin.create,
  hashes: false,
  observe,
  reweigh(endpoints, deps) {
    const latencies = expectedLatencies(endpoints, deps.clock.now(), deps)
    return learnShares(
      endpoints,
      latencies.map((latency, i) => endpoints[i]!.spec.weight / latency),
    )
  },
}
