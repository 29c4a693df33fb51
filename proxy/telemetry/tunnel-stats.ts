import { helpOf } from '../core/metrics-table.ts'
import type { Series, StatsWriter } from './stats.ts'

/** The open tunnels of a listener: a gauge for each protocol, and the list to notify when it drains. */
export interface TunnelStats<Tunnel> {
  readonly open: ReadonlySet<Tunnel>
  readonly series: readonly Series[]
  opened(tunnel: Tunnel, upgrade: string): void
  closed(tunnel: Tunnel, upgrade: string): void
}

/** Only protocols that the configuration allows occur, so there are few gauges. */
export function tunnelStats<Tunnel>(stats: StatsWriter, labels: Readonly<Record<string, string>>): TunnelStats<Tunnel> {
  const open = new Set<Tunnel>()
  const gauges = new Map<string, Series>()
  const series: Series[] = []
  function add(upgrade: string, amount: number): void {
    let gauge = gauges.get(upgrade)
    if (gauge === undefined) {
      gauge = stats.gauge('outrigger_tunnels_active', helpOf('outrigger_tunnels_active'), {
        ...labels,
        upgrade,
      })
      gauges.set(upgrade, gauge)
      series.push(gauge)
    }
    gauge.values[gauge.index]! += amount
  }
  return {
    open,
    series,
    opened(tunnel, upgrade) {
      open.add(tunnel)
      add(upgrade, 1)
    },
    closed(tunnel, upgrade) {
      open.delete(tunnel)
      add(upgrade, -1)
    },
  }
}
