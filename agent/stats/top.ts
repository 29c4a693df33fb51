import { addCounts, countsOf, type EdgeSum, type EdgeSums, edgeNameOf } from './edge-sums.ts'
import type { History } from './history.ts'
import type { EdgeCounts } from './summary.ts'

/** `TopReply` of control.proto, as @grpc/proto-loader takes and gives it. */
export interface TopReply {
  readonly atMs: number
  readonly edges: readonly WireEdge[]
  readonly endpoints: readonly TopEndpoint[]
  readonly proxies: number
  readonly spanMs: number
  readonly troubles: readonly string[]
}

export interface WireEdge {
  readonly inbound: boolean
  readonly source: string
  readonly destination: string
  readonly route: string
  readonly protocol: string
  readonly counts: EdgeCounts['counts']
  readonly buckets: readonly number[]
  readonly bucketCounts: readonly number[]
  readonly totalMs: number
  readonly retries: number
}

export interface TopEndpoint {
  readonly service: string
  readonly endpoint: string
  readonly requests: number
  readonly failures: number
  readonly active: number
  readonly proxies: number
  readonly ejected: number
  /** What discovery says of it where that is not `passing`; empty: nothing else. */
  readonly health: string
  /** How many of the proxies heard so. */
  readonly unhealthy: number
  readonly reason: string
}

/** What an answer may have; the busiest stay. */
const MAX_EDGES = 2_000
const MAX_ENDPOINTS = 5_000

/** What a proxy says of an endpoint that discovery says nothing against. */
const OUTLIER_STATES: ReadonlySet<string> = new Set(['', 'admitting', 'ejected', 'probing'])

/** Over the proxies of this agent, for the last seconds. */
export function localTop(history: History, spanMs: number, now: number): TopReply {
  const proxies = history.proxies()
  const edges: EdgeSums = new Map()
  const endpoints = new Map<string, TopEndpoint>()
  /** After a start there is less than was asked for. */
  let coveredMs = 0
  for (const proxy of proxies) {
    const isSilent = now - proxy.lastAt > spanMs
    const counted = new Map<string, { requests: number; failures: number }>()
    if (!isSilent) {
      coveredMs = Math.max(coveredMs, proxy.sumUp(edges, spanMs))
      for (const { service, endpoint, requests, failures } of proxy.endpointCounts(spanMs)) {
        const key = `${service} ${endpoint}`
        const known = counted.get(key) ?? { requests: 0, failures: 0 }
        counted.set(key, { requests: known.requests + requests, failures: known.failures + failures })
      }
    }
    for (const [key, { service, endpoint, state, reason, active }] of proxy.endpoints) {
      const { requests, failures } = counted.get(key) ?? { requests: 0, failures: 0 }
      const ejected = Number(state === 'ejected')
      const health = OUTLIER_STATES.has(state) ? '' : state
      const unhealthy = Number(health !== '')
      const own = { service, endpoint, requests, failures, active, proxies: 1, ejected, health, unhealthy, reason }
      addEndpoint(endpoints, own)
    }
  }
  return bounded(edges, endpoints, {
    atMs: now,
    proxies: proxies.length,
    spanMs: Math.round(Math.min(spanMs, Math.max(1_000, coveredMs))),
    troubles: [],
  })
}

/** Those of several agents as one. */
export function mergeTops(replies: readonly TopReply[], troubles: readonly string[]): TopReply {
  const endpoints = new Map<string, TopEndpoint>()
  for (const reply of replies) for (const each of reply.endpoints) addEndpoint(endpoints, each)
  const edges: EdgeSums = new Map()
  for (const reply of replies)
    for (const edge of reply.edges)
      addCounts(edges, edgeNameOf(edge), { ...edge, requests: requestsOf(edge), failed: 0 })
  return bounded(edges, endpoints, {
    atMs: Math.max(...replies.map(({ atMs }) => atMs)),
    proxies: replies.reduce((sum, { proxies }) => sum + proxies, 0),
    spanMs: Math.max(...replies.map(({ spanMs }) => spanMs)),
    troubles: [...troubles, ...replies.flatMap(reply => reply.troubles)],
  })
}

function addEndpoint(to: Map<string, TopEndpoint>, each: TopEndpoint): void {
  const key = `${each.service} ${each.endpoint}`
  const known = to.get(key)
  to.set(
    key,
    known === undefined
      ? each
      : {
          ...known,
          requests: known.requests + each.requests,
          failures: known.failures + each.failures,
          active: known.active + each.active,
          proxies: known.proxies + each.proxies,
          ejected: known.ejected + each.ejected,
          health: known.health || each.health,
          unhealthy: known.unhealthy + each.unhealthy,
          reason: known.reason || each.reason,
        },
  )
}

function bounded(
  edges: EdgeSums,
  endpoints: ReadonlyMap<string, TopEndpoint>,
  rest: Omit<TopReply, 'edges' | 'endpoints'>,
): TopReply {
  return {
    ...rest,
    edges: busiest([...edges.values()], MAX_EDGES).map(wireEdge),
    endpoints: busiest([...endpoints.values()], MAX_ENDPOINTS),
  }
}

function busiest<T extends { readonly requests: number }>(all: T[], most: number): T[] {
  return all.length <= most ? all : all.sort((a, b) => b.requests - a.requests).slice(0, most)
}

function requestsOf({ counts }: WireEdge): number {
  return counts.reduce((sum, { count }) => sum + count, 0)
}

function wireEdge(sum: EdgeSum): WireEdge {
  const { inbound, source, destination, route, protocol } = sum.name
  const buckets = [...sum.buckets.keys()].filter(bucket => sum.buckets[bucket]! > 0)
  const bucketCounts = buckets.map(bucket => sum.buckets[bucket]!)
  const { retries, totalMs } = sum
  return {
    inbound,
    source,
    destination,
    route,
    protocol,
    counts: countsOf(sum),
    buckets,
    bucketCounts,
    totalMs,
    retries,
  }
}
