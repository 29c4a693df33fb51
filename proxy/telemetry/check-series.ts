import type { CheckedService } from '../core/health-checks.ts'
import { helpOf, type MetricName, metrics } from '../core/metrics-table.ts'
import type { SeriesStore } from './series-store.ts'

const results = ['healthy', 'unhealthy', 'failed', 'local'] as const
const states = ['healthy', 'unhealthy', 'unchecked'] as const

interface Read {
  readonly name: MetricName
  readonly labels: Readonly<Record<string, string>>
  readonly read: (service: CheckedService) => number
}

/** Keeps the series of each service that is checked. Call `sync` before a scrape. */
export function checkSeries(store: SeriesStore, status: () => readonly CheckedService[]): { sync(): void } {
  let current = new Map<string, CheckedService>()
  const shown = new Set<string>()
  return {
    sync() {
      current = new Map(status().map(service => [service.name, service]))
      for (const name of current.keys()) {
        if (shown.has(name)) continue
        shown.add(name)
        for (const { name: metric, labels, read } of seriesOf(name)) {
          const type = metrics[metric].type as 'counter' | 'gauge'
          store.own(metric, helpOf(metric), type, labels, () => read(current.get(name)!))
        }
      }
      for (const name of shown) {
        if (current.has(name)) continue
        shown.delete(name)
        for (const { name: metric, labels } of seriesOf(name)) store.disown(metric, labels)
      }
    },
  }
}

function seriesOf(service: string): readonly Read[] {
  return [
    ...results.map(
      (result): Read => ({
        name: 'outrigger_health_checks_total',
        labels: { service, result },
        read: ({ counts }) => counts[result],
      }),
    ),
    ...states.map(
      (state): Read => ({
        name: 'outrigger_health_checked_endpoints',
        labels: { service, state },
        read: checked => checked[state],
      }),
    ),
    { name: 'outrigger_health_checks_waiting', labels: { service }, read: ({ waiting }) => waiting },
  ]
}
