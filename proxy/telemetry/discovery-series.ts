import { helpOf, type MetricName } from '../core/metrics-table.ts'
import type { ServiceStatus, SourceStatus } from '../core/source.ts'
import type { SeriesStore } from './series-store.ts'

const families: readonly {
  readonly name: MetricName
  readonly read: (status: SourceStatus) => number
}[] = [
  {
    name: 'outrigger_discovery_age_seconds',
    read: ({ ageMs }) => (ageMs === null ? Number.POSITIVE_INFINITY : ageMs / 1000),
  },
  {
    name: 'outrigger_discovery_stale',
    read: ({ state }) => Number(state !== 'fresh'),
  },
  {
    name: 'outrigger_discovery_endpoints',
    read: ({ endpoints }) => endpoints,
  },
  {
    name: 'outrigger_discovery_suspects',
    read: ({ suspects }) => suspects,
  },
]

/** Keeps the series of each source of each service. Call `sync` before a scrape. */
export function discoverySeries(store: SeriesStore, status: () => readonly ServiceStatus[]): { sync(): void } {
  let current = new Map<string, SourceStatus>()
  const shown = new Map<string, Readonly<Record<string, string>>>()
  return {
    sync() {
      current = new Map()
      for (const { name: service, sources } of status()) {
        for (const source of sources) {
          const labels = { service, source: source.name }
          const key = JSON.stringify(labels)
          current.set(key, source)
          if (shown.has(key)) continue
          shown.set(key, labels)
          for (const { name, read } of families)
            store.own(name, helpOf(name), 'gauge', labels, () => read(current.get(key)!))
        }
      }
      for (const [key, labels] of shown) {
        if (current.has(key)) continue
        shown.delete(key)
        for (const { name } of families) store.disown(name, labels)
      }
    },
  }
}
