import { type History, mergeEdges } from './history.ts'
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
}

/** What an answer may have; the busiest stay. */
const MAX_EDGES = 2_000
const MAX_ENDPOINTS = 5_000

/** Over the proxies of this agent, for the last seconds. */
export function localTop(history: History, spanMs: number, now: number): TopReply {
  const proxies = history.proxies()
  const edges: EdgeCounts[] = []
  const endpoints = new Map<string, TopEndpoint>()
  /** After a start there is less than was asked for. */
  let coveredMs = 0
  for (const proxy of proxies) {
    let ownMs = 0
    const isSilent = now - proxy.lastAt > spanMs
    const counted = new Map<string, { requests: number; failures: number }>()
    for (const span of isSilent ? [] : proxy.spans(spanMs)) {
      ownMs += span.lengthMs
      edges.push(...span.edges)
      for (const { service, endpoint, requests, failures } of span.endpoints) {
        const key = `${service} ${endpoint}`
        const known = counted.get(key) ?? { requests: 0, failures: 0 }
        counted.set(key, { requests: known.requests + requests, failures: known.failures + failures })
      }
    }
    coveredMs = Math.max(coveredMs, ownMs)
    for (const [key, { service, endpoint, state, active }] of proxy.endpoints) {
      const { requests, failures } = counted.get(key) ?? { requests: 0, failures: 0 }
      const ejected = Number(state === 'ejected')
      addEndpoint(endpoints, { service, endpoint, requests, failures, active, proxies: 1, ejected })
    }
  }
  return bounded(mergeEdges(edges).map(wireEdge), endpoints, {
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
  const edges = mergeEdges(replies.flatMap(reply => reply.edges.map(countsOf))).map(wireEdge)
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
        },
  )
}

function bounded(
  edges: WireEdge[],
  endpoints: ReadonlyMap<string, TopEndpoint>,
  rest: Omit<TopReply, 'edges' | 'endpoints'>,
): TopReply {
  const count = (edge: WireEdge) => edge.counts.reduce((sum, each) => sum + each.count, 0)
  const busiest = edges.length <= MAX_EDGES ? edges : edges.sort((a, b) => count(b) - count(a)).slice(0, MAX_EDGES)
  const all = [...endpoints.values()]
  const shown = all.length <= MAX_ENDPOINTS ? all : all.sort((a, b) => b.requests - a.requests).slice(0, MAX_ENDPOINTS)
  return { ...rest, edges: busiest, endpoints: shown }
}

function wireEdge({ requests: _requests, failed: _failed, buckets, bucketCounts, ...edge }: EdgeCounts): WireEdge {
  return { ...edge, buckets: [...buckets], bucketCounts: [...bucketCounts] }
}

function countsOf(edge: WireEdge): EdgeCounts {
  return {
    ...edge,
    requests: 0,
    failed: 0,
    buckets: Uint8Array.from(edge.buckets),
    bucketCounts: Uint32Array.from(edge.bucketCounts),
  }
}
