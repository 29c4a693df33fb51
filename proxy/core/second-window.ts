const SECONDS = 10

/** Counts what happened in the last ten seconds, in buckets of a second. */
export class SecondWindow {
  readonly #counts = new Uint32Array(SECONDS)
  #second = 0

  add(now: number, amount: number): void {
    this.#turnTo(Math.floor(now / 1000))
    this.#counts[this.#second % SECONDS]! += amount
  }

  sum(now: number): number {
    this.#turnTo(Math.floor(now / 1000))
    let total = 0
    for (let i = 0; i < SECONDS; i++) total += this.#counts[i]!
    return total
  }

  #turnTo(second: number): void {
    const passed = Math.min(second - this.#second, SECONDS)
    for (let k = 1; k <= passed; k++) this.#counts[(this.#second + k) % SECONDS] = 0
    if (passed > 0) this.#second = second
  }
}
