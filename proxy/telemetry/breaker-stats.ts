import type { BreakerState } from '../core/breaker-state.ts'
import { helpOf } from '../core/metrics-table.ts'
import { add, set } from '../core/telemetry.ts'
import { type Series, type StatsWriter, VOID } from './stats.ts'

const STATES: readonly BreakerState[] = ['closed', 'half-open', 'open']

/** What one data thread counts of the breaker of a service. */
export class BreakerStats {
  readonly #stats: StatsWriter
  readonly #service: string
  readonly #transitions = new Map<BreakerState, Series>()
  #state: Series | null = null
  #isOver = false

  constructor(stats: StatsWriter, service: string) {
    this.#stats = stats
    this.#service = service
  }

  changed(to: BreakerState): void {
    if (this.#isOver) return
    let series = this.#transitions.get(to)
    if (series === undefined) {
      const name = 'outrigger_breaker_transitions_total'
      series = this.#stats.counter(name, helpOf(name), { service: this.#service, to })
      this.#transitions.set(to, series)
    }
    add(series, 1)
  }

  /** Called in one data thread, for all of them. */
  show(state: BreakerState): void {
    const name = 'outrigger_breaker_state'
    this.#state ??= this.#stats.gauge(name, helpOf(name), { service: this.#service })
    set(this.#state, STATES.indexOf(state))
  }

  /** There is no breaker any more. */
  hide(): void {
    if (this.#state !== null && this.#state.values !== VOID) this.#stats.retire([this.#state])
    this.#state = null
  }

  retire(): void {
    this.#isOver = true
    this.hide()
    this.#stats.retire([...this.#transitions.values()])
    this.#transitions.clear()
  }
}
