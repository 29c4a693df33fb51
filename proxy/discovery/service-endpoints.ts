import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { EndpointSource, ServiceStatus } from '../core/source.ts'
import { keepSame, mergeEndpoints } from './endpoint-lists.ts'
import { type Feed, type FeedDeps, feed } from './feed.ts'
import { randomSubset, type Subsets } from './subset.ts'

/** The sources and settings of a service, as in a snapshot. */
export interface DiscoveredService {
  readonly name: string
  readonly fixed: readonly EndpointSpec[]
  /** Of one address in several sources the last source counts, and any of them before the fixed list. */
  readonly sources: readonly ServiceSource[]
  /** 0: all. */
  readonly subsetSize: number
  readonly subsets: Subsets
}

export interface ServiceSource {
  /** The same key means the same source: the running one stays, and this one is not started. */
  readonly key: string
  readonly source: EndpointSource
}

export interface ServiceEndpoints {
  /** Does not call `changed`: read `endpoints` afterwards. */
  configure(service: DiscoveredService): void
  endpoints(): readonly EndpointSpec[]
  /** Every source has answered or failed. */
  isSettled(): boolean
  /** Sources that have done neither are waited for no longer. */
  settle(): void
  status(): ServiceStatus
  stop(): void
}

/**
 * Merges the endpoints of one service from all its sources. `changed`: they changed; `settled`: `isSettled` may have
 * become true.
 */
export function serviceEndpoints(
  first: DiscoveredService,
  seed: number,
  changed: () => void,
  settled: () => void,
  deps: FeedDeps,
): ServiceEndpoints {
  let service = first
  let feeds = new Map<string, Feed>()
  /** Of sources that are replaced: their endpoints count until a new one has some, or all have answered. */
  let leaving: readonly Feed[] = []
  let known = 0
  let endpoints: readonly EndpointSpec[] = []
  let isConfiguring = false

  function configure(wanted: DiscoveredService): void {
    isConfiguring = true
    service = wanted
    const before = feeds
    feeds = new Map()
    for (const { key, source } of wanted.sources)
      feeds.set(key, feeds.get(key) ?? before.get(key) ?? feed(wanted.name, source, update, deps))
    leaving = [...leaving, ...[...before].filter(([key]) => !feeds.has(key)).map(([, old]) => old)]
    isConfiguring = false
    leave()
    merge()
  }

  function leave(): void {
    if (leaving.length === 0) return
    const now = [...feeds.values()]
    const isBridged = service.fixed.length > 0 || now.some(each => each.endpoints().length > 0)
    if (isBridged || now.every(each => each.status().state !== 'waiting')) letGo()
  }

  function letGo(): void {
    for (const old of leaving) old.stop()
    leaving = []
  }

  function merge(): boolean {
    const all = [
      ...mergeEndpoints([service.fixed, ...[...leaving, ...feeds.values()].map(each => each.endpoints())]).values(),
    ]
    const now = keepSame(endpoints, randomSubset(all, service.subsetSize, seed, service.subsets))
    known = all.length
    const isChanged = now !== endpoints
    endpoints = now
    return isChanged
  }

  function update(): void {
    if (isConfiguring) return
    leave()
    if (merge()) changed()
    settled()
  }

  configure(first)
  return {
    configure,
    endpoints: () => endpoints,
    isSettled: () => [...feeds.values()].every(each => each.isSettled()),
    settle() {
      for (const each of feeds.values()) each.settle()
    },
    status: () => ({
      name: service.name,
      endpoints: endpoints.length,
      known,
      fixed: service.fixed.length,
      sources: [...feeds.values()].map(each => each.status()),
    }),
    stop() {
      for (const each of feeds.values()) each.stop()
      letGo()
    },
  }
}
