import type { Clock, Timer } from '../core/clock.ts'
import type { Later, Verdict } from '../core/filter.ts'

/** One verdict that takes time: ends by the verdict, by the end of its time, or by `cancel`. */
export class Wait {
  readonly #later: Later
  readonly #abort = new AbortController()
  readonly #timer: Timer
  readonly #then: (verdict: Verdict) => void
  #isOver = false

  constructor(later: Later, clock: Clock, then: (verdict: Verdict) => void) {
    this.#later = later
    this.#then = then
    this.#timer = clock.timer(() => this.#timedOut())
    if (later.timeoutMs > 0) this.#timer.arm(later.timeoutMs)
    later.verdict(this.#abort.signal).then(
      verdict => this.#end(verdict),
      // Work that was given up may say so by a rejection; any other one is a bug.
      (error: unknown) => {
        if (!this.#isOver) throw error
      },
    )
  }

  /** The wait is over. */
  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#timer.cancel()
    this.#abort.abort()
  }

  #timedOut(): void {
    if (this.#isOver) return
    this.cancel()
    this.#then(this.#later.late)
  }

  #end(verdict: Verdict): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#timer.cancel()
    this.#then(verdict)
  }
}
