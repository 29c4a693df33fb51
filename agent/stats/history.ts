import { addBuckets } from './histogram.ts'
import type { EdgeCounts, EndpointCounts, Summary } from './summary.ts'

/**
 * An hour of what the proxies of this host counted, in bounded memory: each second of the last minute, and before that
 * spans of ten seconds. Every proxy has a budget of its own; where all of them together have too much, the one with
 * most gives up its oldest span. So a proxy with thousands of routes shortens its own history and no other's.
 */
export interface History {
  add(proxy: string, service: string, summary: Summary): void
  /** The proxies that said something within the last minute. */
  proxies(): readonly ProxyHistory[]
  /** Forgets those that were silent for an hour. Call now and then. */
  sweep(): void
  /** Counts of edges and of endpoints that are kept: what the bounds are on. */
  size(): number
}

export interface ProxyHistory {
  readonly proxy: string
  readonly service: string
  /** Wall time in milliseconds of its last summary. */
  readonly lastAt: number
  readonly rssBytes: number
  /** Of one core, in the last second. */
  readonly cpu: number
  /** As it last said of each. */
  readonly endpoints: ReadonlyMap<string, EndpointCounts & { readonly at: number }>
  /** What began within the last `ms` milliseconds, the newest first. */
  spans(ms: number): Iterable<Span>
}

export interface Span {
  readonly from: number
  readonly lengthMs: number
  readonly edges: readonly EdgeCounts[]
  /** Those that had requests. */
  readonly endpoints: readonly EndpointCounts[]
}

const FINE_MS = 60_000
const COARSE_MS = 10_000
const HOUR_MS = 3_600_000
/** An endpoint that a proxy has not named for so long has gone; proxies name all of them every 30 s. */
const ENDPOINT_MS = 100_000
/** About 200 bytes each: 4 MB for a proxy, 60 MB for all. */
const MAX_OF_PROXY = 20_000
const MAX_OF_ALL = 300_000
/** Proxies of one host; far more than run there. */
const MAX_PROXIES = 5_000

class OfProxy implements ProxyHistory {
  readonly proxy: string
  readonly service: string
  lastAt = 0
  rssBytes = 0
  cpu = 0
  size = 0
  readonly endpoints = new Map<string, EndpointCounts & { readonly at: number }>()
  /** Oldest first; all coarse ones are before all fine ones. */
  #coarse: Span[] = []
  #fine: Span[] = []

  constructor(proxy: string, service: string) {
    this.proxy = proxy
    this.service = service
  }

  add(now: number, { lengthMs, edges, endpoints, rssBytes, cpuMs }: Summary): void {
    this.lastAt = now
    this.rssBytes = rssBytes
    if (lengthMs > 0) this.cpu = cpuMs / lengthMs
    for (const each of endpoints) this.endpoints.set(`${each.service} ${each.endpoint}`, { ...each, at: now })
    for (const [key, { at }] of this.endpoints) if (now - at > ENDPOINT_MS) this.endpoints.delete(key)
    const busy = endpoints.filter(({ requests }) => requests > 0)
    if (lengthMs > 0) this.#push({ from: now - lengthMs, lengthMs, edges, endpoints: busy })
    // Ten at once: each of them is added up once.
    while (this.#fine.length > 0 && now - this.#fine[0]!.from > FINE_MS + COARSE_MS) this.#coarsen()
    while (this.#coarse.length > 0 && now - this.#coarse[0]!.from > HOUR_MS) this.dropOldest()
    while (this.size > MAX_OF_PROXY) this.dropOldest()
  }

  dropOldest(): void {
    const oldest = this.#coarse.shift() ?? this.#fine.shift()
    if (oldest === undefined) this.size = 0
    else this.size -= sizeOf(oldest)
  }

  *spans(ms: number): Iterable<Span> {
    const since = this.lastAt - ms
    for (const list of [this.#fine, this.#coarse])
      for (let i = list.length - 1; i >= 0; i--) {
        // A span that began a moment before is the one that `ms` ends in.
        if (list[i]!.from < since - list[i]!.lengthMs / 2) return
        yield list[i]!
      }
  }

  #push(span: Span): void {
    this.#fine.push(span)
    this.size += sizeOf(span)
  }

  /** The oldest seconds become the ten seconds that they belong to. */
  #coarsen(): void {
    const slot = (span: Span) => Math.floor(span.from / COARSE_MS)
    const first = slot(this.#fine[0]!)
    const end = this.#fine.findIndex(span => slot(span) !== first)
    const group = this.#fine.splice(0, end === -1 ? this.#fine.length : end)
    const span = {
      from: first * COARSE_MS,
      lengthMs: group.reduce((sum, { lengthMs }) => sum + lengthMs, 0),
      edges: mergeEdges(group.flatMap(({ edges }) => edges)),
      endpoints: mergeEndpoints(group.flatMap(({ endpoints }) => endpoints)),
    }
    this.#coarse.push(span)
    for (const each of group) this.size -= sizeOf(each)
    this.size += sizeOf(span)
  }
}

/** One more, so that quiet seconds count too. */
function sizeOf({ edges, endpoints }: Span): number {
  return 1 + edges.length + endpoints.length
}

/** `now`: wall time in milliseconds. */
export function history(now: () => number): History {
  const all = new Map<string, OfProxy>()
  let size = 0

  function make(proxy: string, service: string): OfProxy {
    if (all.size >= MAX_PROXIES) {
      const oldest = [...all.values()].reduce((a, b) => (a.lastAt <= b.lastAt ? a : b))
      all.delete(oldest.proxy)
      size -= oldest.size
    }
    const made = new OfProxy(proxy, service)
    all.set(proxy, made)
    return made
  }

  return {
    add(proxy, service, summary) {
      let own = all.get(proxy)
      if (own === undefined || own.service !== service) {
        if (own !== undefined) size -= own.size
        own = make(proxy, service)
      }
      size -= own.size
      own.add(now(), summary)
      size += own.size
      while (size > MAX_OF_ALL) {
        const largest = [...all.values()].reduce((a, b) => (a.size >= b.size ? a : b))
        const before = largest.size
        // A tenth at a time: the largest is not looked for with each summary.
        while (largest.size > before * 0.9) largest.dropOldest()
        size -= before - largest.size
      }
    },
    proxies: () => [...all.values()].filter(({ lastAt }) => now() - lastAt < FINE_MS),
    sweep() {
      for (const [name, own] of all) {
        if (now() - own.lastAt < HOUR_MS) continue
        all.delete(name)
        size -= own.size
      }
    },
    size: () => size,
  }
}

export function edgeKey({ inbound, source, destination, route, protocol }: EdgeCounts): string {
  return `${inbound} ${source} ${destination} ${protocol} ${route}`
}

/** Those of one key as one. */
export function mergeEdges(edges: readonly EdgeCounts[]): EdgeCounts[] {
  const groups = new Map<string, EdgeCounts[]>()
  for (const edge of edges) {
    const key = edgeKey(edge)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [edge])
    else group.push(edge)
  }
  return [...groups.values()].map(group => (group.length === 1 ? group[0]! : sumOfEdges(group)))
}

function sumOfEdges(group: readonly EdgeCounts[]): EdgeCounts {
  const histogram = new Map<number, number>()
  const counts = new Map<string, { status: number; flag: string; count: number; grpc: number }>()
  let requests = 0
  let failed = 0
  let retries = 0
  let totalMs = 0
  for (const edge of group) {
    requests += edge.requests
    failed += edge.failed
    retries += edge.retries
    totalMs += edge.totalMs
    addBuckets(histogram, edge.buckets, edge.bucketCounts)
    for (const each of edge.counts) {
      const key = `${each.status} ${each.flag} ${each.grpc}`
      const known = counts.get(key)
      if (known === undefined) counts.set(key, { ...each })
      else known.count += each.count
    }
  }
  const buckets = Uint8Array.from([...histogram.keys()].sort((a, b) => a - b))
  return {
    ...group[0]!,
    counts: [...counts.values()],
    requests,
    failed,
    retries,
    totalMs,
    buckets,
    bucketCounts: Uint32Array.from(buckets, bucket => histogram.get(bucket)!),
  }
}

export function mergeEndpoints(endpoints: readonly EndpointCounts[]): EndpointCounts[] {
  const merged = new Map<string, EndpointCounts>()
  for (const each of endpoints) {
    const key = `${each.service} ${each.endpoint}`
    const known = merged.get(key)
    const requests = (known?.requests ?? 0) + each.requests
    const failures = (known?.failures ?? 0) + each.failures
    merged.set(key, { ...each, requests, failures })
  }
  return [...merged.values()]
}
