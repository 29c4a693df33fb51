const SECONDS = 10

/** Counts what happened in the last ten seconds, in buckets of a second. Until something has, it holds no memory. */
export class SecondWindow {
  #counts: Uint32Array | null = null
  #second = 0

  add(now: number, amount: number): void {
    this.#counts ??= new Uint32Array(SECONDS)
    this.#turnTo(Math.floor(now / 1000), this.#counts)
    this.#counts[this.#second % SECONDS]! += amount
  }

  sum(now: number): number {
    const counts = this.#counts
    if (counts === null) return 0
    this.#turnTo(Math.floor(now / 1000), counts)
    let total = 0
    for (let i = 0; i < SECONDS; i++) total += counts[i]!
    return total
  }

  #turnTo(second: number, counts: Uint32Array): void {
    const passed = Math.min(second - this.#second, SECONDS)
    for (let k = 1; k <= passed; k++) counts[(this.#second + k) % SECONDS] = 0
    if (passed > 0) this.#second = second
  }
}
