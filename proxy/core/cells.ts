/**
 * Numbers that are one for all data threads: limits, retry budgets, counts of failures in a row. What is an opinion
 * (latency, load for balancing) stays with each thread. Cells are opened and closed as snapshots are applied, and read
 * and written with Atomics by requests.
 */
export interface Cells {
  /** Which data thread this is, from 0. */
  readonly thread: number
  /** How many there are. */
  readonly threads: number
  /**
   * The cell of a name, with so many words: the same memory in every data thread that has it open, zeros for the first.
   * A thread opens a name once at a time. A thread that ends without closing its cells has them closed by the one that
   * takes its place, but what it had written stays: counts of what runs need a word for each thread (`thread`), which
   * its successor sets to 0.
   */
  open(name: string, words: number): Cell
}

export interface Cell {
  /** Of 32 bits. `Clock.now` is the same in all threads; as a word it is `now | 0`, and ages are `(now - then) | 0`. */
  readonly words: Int32Array
  /** The memory may be given to another name: nothing may be written any more. */
  close(): void
}

/** What the data threads share. It is taken from the system page by page, as it is used. */
export const CELL_MEMORY_BYTES = 64 * 1024 ** 2

/** Of a proxy with one data thread: nothing is shared. */
export const ownCells: Cells = {
  thread: 0,
  threads: 1,
  open: (_name, words) => ({ words: new Int32Array(words), close() {} }),
}
