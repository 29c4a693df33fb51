import type { Cell, Cells } from '../core/cells.ts'

/** How many changes of endpoints there were. */
const CHANGES = 0
/** The data thread that is changing one, from 1. */
const HOLDER = 1
export const COMPARED_AT = 2
const WORDS = 8

/** Looks at the word before it gives up: another thread changes endpoints within microseconds. */
const LOOKS = 10_000

/** What the data threads of a service agree by: one of them changes states at a time, and each sees that it was done. */
export class ServiceCell {
  readonly #cell: Cell
  readonly #thread: number
  #seen: number

  constructor(service: string, cells: Cells) {
    this.#cell = cells.open(`outliers of ${service}`, WORDS)
    this.#thread = cells.thread
    // The thread that was here before this one has ended in the midst of a change.
    Atomics.compareExchange(this.words, HOLDER, this.#thread + 1, 0)
    this.#seen = Atomics.load(this.words, CHANGES)
  }

  get words(): Int32Array {
    return this.#cell.words
  }

  /** Another data thread has changed an endpoint since `see`. */
  get isNews(): boolean {
    return Atomics.load(this.words, CHANGES) !== this.#seen
  }

  see(): void {
    this.#seen = Atomics.load(this.words, CHANGES)
  }

  /** False: another thread has it for too long, because it has ended, or was stopped. */
  hold(): boolean {
    for (let i = 0; i < LOOKS; i++)
      if (Atomics.compareExchange(this.words, HOLDER, 0, this.#thread + 1) === 0) return true
    return false
  }

  /** The others are to look. */
  changed(): void {
    Atomics.add(this.words, CHANGES, 1)
    this.see()
  }

  letGo(): void {
    Atomics.store(this.words, HOLDER, 0)
  }

  close(): void {
    this.#cell.close()
  }
}
