import { helpOf, type MetricName } from '../core/metrics-table.ts'
import type { StatsWriter } from './stats.ts'

/** What a data thread refuses because it is overloaded. */
export function overloadStats(stats: StatsWriter, thread: number) {
  const counter = (name: MetricName) => stats.counter(name, helpOf(name), { thread: String(thread) })
  return {
    shed: counter('outrigger_overload_shed_requests_total'),
    refused: counter('outrigger_overload_refused_connections_total'),
  }
}
