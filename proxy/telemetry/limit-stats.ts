import { helpOf } from '../core/metrics-table.ts'
import { set } from '../core/telemetry.ts'
import type { Series, StatsWriter } from './stats.ts'

/** What is left of the limits of a service: gauges that one data thread sets now and then, for all of them. */
export class LimitStats {
  readonly #stats: StatsWriter
  readonly #service: string
  readonly #left = new Map<string, Series>()
  #concurrency: Series | null = null

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

  /** What adaptive concurrency has found out; null: the service has none. */
  concurrency(limit: number | null): void {
    if (limit === null) {
      if (this.#concurrency !== null) this.#stats.retire([this.#concurrency])
      this.#concurrency = null
    } else {
      const name = 'outrigger_concurrency_limit'
      this.#concurrency ??= this.#stats.gauge(name, helpOf(name), { service: this.#service })
      set(this.#concurrency, limit)
    }
  }

  retire(): void {
    this.concurrency(null)
    this.#stats.retire([...this.#left.values()])
    this.#left.clear()
  }
}
