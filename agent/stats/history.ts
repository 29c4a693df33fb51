import { addPacked, type EdgeName, type EdgeSums, edgeKey, edgeNameOf, packed, packedCounts } from './edge-sums.ts'
import type { EdgeCounts, EndpointCounts, Summary } from './summary.ts'

/**
 * An hour of what the proxies of this host counted, in bounded memory: each second of the last minute, and before that
 * spans of ten seconds. Every proxy has a budget of its own; where all of them together have too much, the one with
 * most gives up its oldest span. So a proxy with hundreds of routes shortens its own history and no other's.
 */
export interface History {
  add(proxy: string, service: string, summary: Summary): void
  /** The proxies that said something within the last minute. */
  proxies(): readonly ProxyHistory[]
  /** Forgets those that were silent for an hour. Call now and then. */
  sweep(): void
  /** Numbers of four bytes that are kept: what the bounds are on. */
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
  /** Adds what came within the last `ms` milliseconds, and returns how many of them there are numbers of. */
  sumUp(sums: EdgeSums, ms: number, wanted?: (name: EdgeName) => boolean): number
  /** Of the last minute. */
  endpointCounts(ms: number): Iterable<EndpointCounts>
}

interface Span {
  readonly from: number
  readonly lengthMs: number
  readonly data: Uint32Array
  /** Those that had requests; of seconds only. */
  readonly endpoints: readonly EndpointCounts[]
}

const FINE_MS = 60_000
const COARSE_MS = 10_000
const HOUR_MS = 3_600_000
/** An endpoint that a proxy has not named for so long has gone; proxies name all of them every 30 s. */
const ENDPOINT_MS = 100_000
/** Of one proxy: more than a mesh has that such a proxy calls. */
const MAX_ENDPOINTS = 10_000
/** In numbers of four bytes: 2 MB for a proxy, 32 MB for all. An edge has about forty of them in a span. */
const MAX_OF_PROXY = 500_000
const MAX_OF_ALL = 8_000_000
/** What a span takes beside its numbers. */
const SPAN_COST = 60
const ENDPOINT_COST = 40
/** Proxies of one host; far more than run there. */
const MAX_PROXIES = 5_000
/** Edges that a proxy has names for; one that has more over time begins anew. */
const MAX_NAMES = 4_000

class OfProxy implements ProxyHistory {
  readonly proxy: string
  readonly service: string
  lastAt = 0
  rssBytes = 0
  cpu = 0
  size = 0
  readonly endpoints = new Map<string, EndpointCounts & { readonly at: number }>()
  readonly #names: EdgeName[] = []
  readonly #ids = new Map<string, number>()
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
    this.#hear(endpoints, now)
    if (this.#names.length > MAX_NAMES) this.#forget()
    if (lengthMs > 0) this.#push(now - lengthMs, lengthMs, edges, endpoints)
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

  sumUp(sums: EdgeSums, ms: number, wanted: (name: EdgeName) => boolean = () => true): number {
    const names = this.#names.map(name => (wanted(name) ? name : null))
    let covered = 0
    for (const { lengthMs, data } of this.#within(ms)) {
      covered += lengthMs
      addPacked(sums, data, id => names[id]!)
    }
    return covered
  }

  *endpointCounts(ms: number): Iterable<EndpointCounts> {
    for (const { endpoints } of this.#within(ms)) yield* endpoints
  }

  *#within(ms: number): Iterable<Span> {
    const since = this.lastAt - ms
    for (const list of [this.#fine, this.#coarse])
      for (let i = list.length - 1; i >= 0; i--) {
        // A span that began a moment before is the one that `ms` ends in.
        if (list[i]!.from < since - list[i]!.lengthMs / 2) return
        yield list[i]!
      }
  }

  /** The one that was named last stands last: the first ones go. */
  #hear(endpoints: readonly EndpointCounts[], now: number): void {
    for (const each of endpoints) {
      const key = `${each.service} ${each.endpoint}`
      this.endpoints.delete(key)
      this.endpoints.set(key, { ...each, at: now })
    }
    for (const [key, { at }] of this.endpoints) {
      if (now - at <= ENDPOINT_MS && this.endpoints.size <= MAX_ENDPOINTS) return
      this.endpoints.delete(key)
    }
  }

  #push(from: number, lengthMs: number, edges: readonly EdgeCounts[], endpoints: readonly EndpointCounts[]): void {
    const busy = endpoints.filter(({ requests }) => requests > 0)
    const data = packedCounts(edges, edge => this.#idOf(edge))
    const span = { from, lengthMs, data, endpoints: busy }
    this.#fine.push(span)
    this.size += sizeOf(span)
  }

  #idOf(edge: EdgeCounts): number {
    const key = edgeKey(edge)
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.#names.push(edgeNameOf(edge)) - 1
    this.#ids.set(key, id)
    return id
  }

  #forget(): void {
    this.#names.length = 0
    this.#ids.clear()
    this.#fine = []
    this.#coarse = []
    this.size = 0
  }

  /** The oldest seconds become the ten seconds that they belong to. */
  #coarsen(): void {
    const slot = (span: Span) => Math.floor(span.from / COARSE_MS)
    const first = slot(this.#fine[0]!)
    const end = this.#fine.findIndex(span => slot(span) !== first)
    const group = this.#fine.splice(0, end === -1 ? this.#fine.length : end)
    const sums: EdgeSums = new Map()
    for (const { data } of group) addPacked(sums, data, id => this.#names[id]!)
    const lengthMs = group.reduce((sum, span) => sum + span.lengthMs, 0)
    const data = packed(sums.values(), ({ key }) => this.#ids.get(key)!)
    const span = { from: first * COARSE_MS, lengthMs, data, endpoints: [] }
    this.#coarse.push(span)
    for (const each of group) this.size -= sizeOf(each)
    this.size += sizeOf(span)
  }
}

function sizeOf({ data, endpoints }: Span): number {
  return SPAN_COST + data.length + endpoints.length * ENDPOINT_COST
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
