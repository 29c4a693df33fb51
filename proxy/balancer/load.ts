import type { BalancerDeps } from '../core/balancer.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { fading, failingNow } from './learn.ts'

/**
 * Whether to take the challenger instead of the best so far; notes both in the record. It is a comparison and not two
 * numbers, because a fractional number that a function returns without being inlined becomes an object.
 */
export type Lighter = (challenger: Endpoint, best: Endpoint, record: AttemptRecord) => boolean

/**
 * Compares requests under way for the weight. The challenger wins if it would be no busier than the other even with
 * this request; else the first drawn stays, so an idle service is shared by weight. Comparing the shares alone would
 * send, after the first request at a heavy endpoint, the second to the lightest. With equal weights it is the plain
 * comparison. Failures count as requests for a while.
 *
 * `bias` above 1 counts requests for more than the weight: (active + 1)^bias / weight. Below 1 only that part of the
 * comparisons is made.
 */
export function fewerRequests(deps: BalancerDeps, bias: number): Lighter {
  const { clock, random } = deps
  return (challenger, best, record) => {
    let a = challenger.active
    let b = best.active
    if (challenger.load.failing !== 0 || best.load.failing !== 0) {
      const now = clock.now()
      a += failingNow(challenger.load, now, deps)
      b += failingNow(best.load, now, deps)
    }
    const wins =
      bias === 1
        ? (a + 1) * best.weight <= b * challenger.weight
        : bias > 1
          ? (a + 1) ** bias * best.weight <= b ** bias * challenger.weight
          : (a + 1) * best.weight <= b * challenger.weight && random() < bias
    if (wins) note(record, best, Math.round(a), Math.round(b))
    else note(record, challenger, Math.round(b), Math.round(a))
    return wins
  }
}

/**
 * Compares the expected time: peak EWMA of the latency x (requests under way for the weight + 1), as in Finagle and
 * linkerd2-proxy. The draw and the count of requests respect weights already; dividing the whole by the weight as well
 * would count them twice, and a light endpoint would get nothing from an idle service. For the same reason a lighter
 * endpoint that is cheaper is taken only with a certain probability, so that measurements which differ by chance leave
 * the shares as they are (Metropolis 1953); with equal weights it is always taken.
 */
export function cheaper(deps: BalancerDeps, meanWeight: number): Lighter {
  const { clock, random, spec } = deps
  const { decayMs, defaultRttMs } = spec

  function costOf({ load, active, weight }: Endpoint, now: number): number {
    // With requests under way the endpoint is not idle but may hang: what was measured stays.
    const latency =
      load.latencyMs === 0
        ? defaultRttMs
        : active > 0
          ? load.latencyMs
          : load.latencyMs * fading(now - load.latencyAt, decayMs)
    return latency * ((active * meanWeight) / weight + 1)
  }

  return (challenger, best, record) => {
    const now = clock.now()
    const a = costOf(challenger, now)
    // An endpoint without measurements counts as equal to the other until it has its first request: it is tried, not
    // flooded, and not passed over beside fast ones.
    const b = isNew(best) ? Math.min(a, costOf(best, now)) : costOf(best, now)
    const wins = a < b && (challenger.weight >= best.weight || random() * best.weight * a < challenger.weight * b)
    if (wins) note(record, best, a, b)
    else note(record, challenger, b, a)
    return wins
  }
}

function isNew({ load, active }: Endpoint): boolean {
  return load.latencyMs === 0 && active === 0
}

function note(record: AttemptRecord, other: Endpoint, load: number, otherLoad: number): void {
  record.other = other
  record.load = load
  record.otherLoad = otherLoad
}
