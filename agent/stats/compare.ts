import { createHash } from 'node:crypto'
import type { Follower } from '../followers.ts'
import type { EdgeSums } from './edge-sums.ts'
import type { SparseHistogram } from './histogram.ts'
import type { History } from './history.ts'
import type { Compared, CompareReply, CompareRequest } from './other-agents.ts'

/** Shares are in 1/10,000. */
export const WHOLE = 10_000

/** A document for all services. */
const EVERY = '*'

/** Where a proxy stands in [0, 10,000): the same on every agent, and another one for each service. */
export function placeOf(service: string, proxy: string): number {
  return createHash('sha256').update(`${service}\n${proxy}`).digest().readUInt32BE(0) % WHOLE
}

/**
 * How the proxies of this agent with the candidate do, and the others: all requests to the service that they saw, as
 * its callers and beside it.
 */
export function compareLocal(history: History, followers: readonly Follower[], request: CompareRequest): CompareReply {
  const { service, share, spanMs } = request
  const groups = { candidate: emptyGroup(), others: emptyGroup() }
  for (const proxy of history.proxies()) {
    const group = placeOf(service, proxy.proxy) < share ? groups.candidate : groups.others
    group.proxies++
    const sums: EdgeSums = new Map()
    proxy.sumUp(sums, spanMs, ({ destination }) => service === EVERY || destination === service)
    for (const sum of sums.values()) {
      group.requests += sum.requests
      group.failed += sum.failed
      sum.buckets.forEach((count, bucket) => {
        if (count > 0) group.histogram.set(bucket, (group.histogram.get(bucket) ?? 0) + count)
      })
    }
  }
  for (const follower of followers) {
    if (placeOf(service, follower.proxy) >= share) continue
    for (const { service: of, reasons } of follower.policies)
      if ((service === EVERY || of === service) && reasons.length > 0)
        groups.candidate.refusals.push(`${follower.proxy}: ${reasons[0]}`)
  }
  return { candidate: onWire(groups.candidate), others: onWire(groups.others) }
}

interface Group {
  proxies: number
  requests: number
  failed: number
  readonly histogram: SparseHistogram
  readonly refusals: string[]
}

function emptyGroup(): Group {
  return { proxies: 0, requests: 0, failed: 0, histogram: new Map(), refusals: [] }
}

const MAX_REFUSALS = 20

function onWire({ histogram, refusals, ...group }: Group): Compared {
  const buckets = [...histogram.keys()]
  const bucketCounts = buckets.map(bucket => histogram.get(bucket)!)
  return { ...group, buckets, bucketCounts, refusals: refusals.slice(0, MAX_REFUSALS) }
}
