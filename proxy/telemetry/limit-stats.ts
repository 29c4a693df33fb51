import { helpOf } from '../core/metrics-table.ts'
import { set } from '../core/telemetry.ts'
import type { Series, StatsWriter } from './stats.ts'

/** What is left of the limits of a service: gauges that one data thread sets now and then, for all of them. */
export class LimitStats {
  readonly #stats: StatsWriter
  readonly #service: string
  readonly #left = new Map<string, Series>()

  constructor(stats: StatsWriter, service: string) {
    this.#stats = stats
    this.#service = service
  }

  show(limit: string, left: number): void {
    let series = this.#left.get(limit)
    if (series === undefined) {
      const name = 'outrigger_limit_remaining'
      series = this.#stats.gauge(name, helpOf(name), { service: this.#service, limit })
      this.#left.set(limit, series)
    }
    set(series, left)
  }

  hide(limit: string): void {
    const series = this.#left.get(limit)
    if (series === undefined) return
    this.#left.delete(limit)
    this.#stats.retire([series])
  }

  retire(): void {
    this.#stats.retire([...this.#left.values()])
    this.#left.clear()
  }
}
