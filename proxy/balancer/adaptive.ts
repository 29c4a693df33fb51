import type { BalancerDeps, BalancerPolicy, Observe } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { lightestOf } from './draw.ts'
import { countAttempt, countedMs, hasFailed, keepFailure } from './learn.ts'
import { fewerRequests } from './load.ts'
import { numbersOf, sumOf } from './numbers.ts'
import { capacities, learnReport, learnTrailers } from './reported.ts'
import { addToMean, evidence, expectedLatencies, learnShares } from './reweigh.ts'

const observe: Observe = ({ load }, outcome, tookMs, head, deps) => {
  if (outcome === 'ignorable') return
  const now = deps.clock.now()
  const failed = hasFailed(outcome, head)
  countAttempt(load, failed, now, deps.spec.decayMs)
  addToMean(load, countedMs(load, tookMs, failed, head, deps), now)
  if (failed) keepFailure(load, head, now, deps)
  if (head !== null) learnReport(load, head.headers, now)
}

/**
 * Draws endpoints by W(i) = C(i) P(i) / sum of C(j) P(j), and takes the drawn one with the fewest requests under way
 * for its W. C is the capacity: configured, or reported by the endpoint. P is the performance that this sidecar sees.
 */
export const adaptive: BalancerPolicy = {
  create: (endpoints, deps) => lightestOf(endpoints, deps, fewerRequests(deps, 1)),
  hashes: false,
  observe,
  observeTrailers: ({ load }, trailers, deps) => learnTrailers(load, trailers, deps.clock.now()),
  reweigh(endpoints, deps) {
    const capacity = capacities(endpoints, deps.clock.now())
    const merits = performances(endpoints, capacity, deps)
    return learnShares(
      endpoints,
      capacity.map((c, i) => c * merits[i]!),
    )
  },
}

/**
 * P = (success rate / expected latency)^2 / excess of requests under way. The square keeps slow endpoints out of the
 * 99th percentile: at ten times the latency an endpoint must get less than one request in a hundred. The excess is the
 * number of requests above the share of its capacity: it shows an endpoint that hangs, which gives no answer to
 * measure.
 */
export function performances(endpoints: readonly Endpoint[], capacity: Float64Array, deps: BalancerDeps): Float64Array {
  const now = deps.clock.now()
  const latencies = expectedLatencies(endpoints, now, deps)
  const whole = sumOf(capacity)
  const active = sumOf(numbersOf(endpoints, endpoint => endpoint.active))
  return latencies.map((latency, i) => {
    const endpoint = endpoints[i]!
    const seen = evidence(endpoint.load, now, deps.spec.decayMs)
    const success = 1 - (endpoint.load.failureRate * seen) / (seen + 1)
    const excess = Math.max(1, (endpoint.active + 1) / ((active * capacity[i]!) / whole + 1))
    return (success / latency) ** 2 / excess
  })
}
