import type { Cells } from '../core/cells.ts'
import type { Clock, Timer } from '../core/clock.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { ServiceCell } from './service-cell.ts'
import { look } from './states.ts'

export interface StepsDeps {
  readonly clock: Clock
  readonly cells: Cells
  readonly cell: ServiceCell
  readonly endpoints: () => readonly Endpoint[]
  /** Pickers must be built anew. */
  readonly changed: () => void
  /** The other data threads are to look. */
  readonly tell: () => void
  /** An ejection may be over. */
  readonly tend: () => void
}

/** Another data thread was changing an endpoint: this one tries again after so long, with so much. */
const AGAIN_MS = 10
const MOST_WAITING = 16

/**
 * Changes of the endpoints of a service: one data thread at a time makes them, the others take them over, and the
 * pickers of each follow.
 */
export class Steps {
  readonly #service: string
  readonly #deps: StepsDeps
  readonly #timer: Timer
  /** Endpoints changed, and pickers are not built anew yet. */
  #isStale = false
  /** What could not be done because another data thread was changing endpoints. */
  #waiting: (() => void)[] = []

  constructor(service: string, deps: StepsDeps) {
    this.#service = service
    this.#deps = deps
    this.#timer = deps.clock.timer(() => this.#timeIsUp())
  }

  /** Takes over what other data threads have changed. */
  look(): void {
    const { clock, cells, cell, endpoints } = this.#deps
    const now = clock.now()
    cell.see()
    let changed = false
    for (const endpoint of endpoints()) if (look(endpoint, this.#service, cells, now)) changed = true
    if (!changed) return
    this.#isStale = true
    this.schedule()
  }

  /**
   * Runs while no other data thread changes an endpoint of the service, with what those have changed. False: it did not
   * run; it does a little later, unless it is for now or never.
   */
  alone(work: () => void, isForNow = false): boolean {
    const { cell } = this.#deps
    if (!cell.hold()) {
      if (!isForNow && this.#waiting.length < MOST_WAITING) this.#waiting.push(work)
      this.#timer.arm(AGAIN_MS)
      return false
    }
    try {
      this.look()
      work()
    } finally {
      cell.letGo()
    }
    return true
  }

  /** This thread has changed endpoints. */
  changed(): void {
    this.#isStale = true
    this.#deps.cell.changed()
    this.schedule()
    this.#deps.tell()
  }

  /** Pickers are built anew where endpoints have changed. */
  refresh(): void {
    if (this.takeStale()) this.#deps.changed()
  }

  /** Whether pickers are to be built anew, which the caller does. */
  takeStale(): boolean {
    const isStale = this.#isStale
    this.#isStale = false
    return isStale
  }

  /** For the end of the next ejection. */
  schedule(): void {
    let next = Number.POSITIVE_INFINITY
    for (const { state, ejectedUntil } of this.#deps.endpoints())
      if (state === 'ejected') next = Math.min(next, ejectedUntil)
    if (next !== Number.POSITIVE_INFINITY) this.#timer.arm(Math.max(0, next - this.#deps.clock.now()))
  }

  stop(): void {
    this.#timer.cancel()
  }

  #timeIsUp(): void {
    const works = this.#waiting
    this.#waiting = []
    for (const work of works) this.alone(work)
    this.#deps.tend()
    this.refresh()
  }
}
