import { helpOf, type MetricName } from '../core/metrics-table.ts'
import type { SeriesStore } from './series-store.ts'

/** What the name server has counted. */
export interface NamesCounted {
  readonly queries: ReadonlyMap<string, { readonly kind: string; readonly result: string; readonly count: number }>
  readonly forwardedUdp: number
  readonly forwardedTcp: number
  readonly timeouts: number
  readonly dropped: number
  readonly waiting: number
  readonly ended: number
  readonly connections: number
  readonly addresses: number
}

/** Keeps the series of the name server, where there is one. Call `sync` before a scrape. */
export function nameSeries(store: SeriesStore, read: () => NamesCounted | null): { sync(): void } {
  let now: NamesCounted | null = null
  let isShown = false
  const shown = new Set<string>()
  const own = (
    name: MetricName,
    type: 'counter' | 'gauge',
    value: (counted: NamesCounted) => number,
    labels: Readonly<Record<string, string>> = {},
  ) => store.own(name, helpOf(name), type, labels, () => value(now!))

  function showAll(): void {
    own('outrigger_dns_forwarded_total', 'counter', each => each.forwardedUdp, { protocol: 'udp' })
    own('outrigger_dns_forwarded_total', 'counter', each => each.forwardedTcp, { protocol: 'tcp' })
    own('outrigger_dns_timeouts_total', 'counter', each => each.timeouts)
    own('outrigger_dns_dropped_total', 'counter', each => each.dropped, { reason: 'malformed' })
    own('outrigger_dns_dropped_total', 'counter', each => each.ended, { reason: 'full' })
    own('outrigger_dns_waiting', 'gauge', each => each.waiting)
    own('outrigger_dns_connections', 'gauge', each => each.connections)
    own('outrigger_dns_virtual_addresses', 'gauge', each => each.addresses)
  }

  return {
    sync() {
      now = read()
      if (now === null) return
      if (!isShown) showAll()
      isShown = true
      for (const [key, { kind, result }] of now.queries) {
        if (shown.has(key)) continue
        shown.add(key)
        own('outrigger_dns_queries_total', 'counter', each => each.queries.get(key)!.count, { kind, result })
      }
    },
  }
}
