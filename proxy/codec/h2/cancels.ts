import type { Clock } from '../../core/clock.ts'
import { Budget } from './guards.ts'
import type { Rate } from './options.ts'

/** The endpoint may judge by the share, too: Envoy ends a connection of which half the requests were given up early. */
const OF_THREE = 3

/**
 * The RST_STREAM frames we sent on a connection to an endpoint, beside what its flood guard may allow. The guard ends
 * the connection for all callers that share it, so a connection is worn before: it gets no more streams where another
 * one can be made.
 */
export class Cancels {
  readonly #budget: Budget
  readonly #burst: number
  #sent = 0
  isWorn = false

  constructor(rate: Rate, clock: Clock) {
    this.#budget = new Budget(rate, clock)
    this.#burst = rate.burst
  }

  /** One more, of `opened` streams. */
  sent(opened: number): void {
    this.#sent++
    if (!this.#budget.take() || (this.#sent > this.#burst && this.#sent * OF_THREE > opened)) this.isWorn = true
  }
}
