import { type Cell, type Cells, ownCells } from './cells.ts'

/** What `limits` counts: the words of a thread in the cell of a service, or of an endpoint. */
export const limited = { connections: 0, pending: 1, requests: 2, retries: 3 } as const
export type Limited = keyof typeof limited
export type LimitedWord = (typeof limited)[Limited]
const WORDS = 4

/**
 * What is under way of a service, or at an endpoint, in all data threads. Each thread writes words of its own, and what
 * counts is the sum: a thread that ended leaves nothing behind, because its successor begins at 0.
 */
export class SharedCounts {
  /** Other data threads count here too. */
  readonly isShared: boolean
  #cell: Cell
  #words: Int32Array
  /** Where the words of this thread begin. */
  #first: number

  constructor(name: string, { thread, threads, open }: Cells = ownCells) {
    this.isShared = threads > 1
    this.#cell = open(name, threads * WORDS)
    this.#words = this.#cell.words
    this.#first = thread * WORDS
    for (let word = 0; word < WORDS; word++) Atomics.store(this.#words, this.#first + word, 0)
  }

  /** Of this thread. */
  own(what: LimitedWord): number {
    return this.#words[this.#first + what]!
  }

  /** Of all threads. */
  total(what: LimitedWord): number {
    const words = this.#words
    let sum = 0
    for (let at: number = what; at < words.length; at += WORDS) sum += Atomics.load(words, at)
    return sum
  }

  /**
   * One more, if that is within the limit. It is counted before all are added up, so that of two threads which take the
   * last place at the same time one sees the other: then neither may get it, but never both.
   */
  take(what: LimitedWord, limit: number): boolean {
    if (this.total(what) >= limit) return false
    this.add(what)
    if (!this.isShared || this.total(what) <= limit) return true
    this.give(what)
    return false
  }

  /** One more, whatever the limit. */
  add(what: LimitedWord): void {
    Atomics.add(this.#words, this.#first + what, 1)
  }

  give(what: LimitedWord): void {
    Atomics.sub(this.#words, this.#first + what, 1)
  }

  /** What runs in this thread already as counting begins. */
  begin(what: LimitedWord, running: number): void {
    Atomics.store(this.#words, this.#first + what, running)
  }

  /** Another thread waits for a connection and has none: this one does not keep all of them. */
  get isOtherStarving(): boolean {
    if (!this.isShared) return false
    const words = this.#words
    for (let at = 0; at < words.length; at += WORDS)
      if (at !== this.#first && words[at + limited.connections]! <= 0 && words[at + limited.pending]! > 0) return true
    return false
  }

  /** How many wait for a connection in other threads. */
  get waitingElsewhere(): number {
    return this.isShared ? this.total(limited.pending) - this.own(limited.pending) : 0
  }

  /** Its service or endpoint is gone. What still runs there is counted by this thread alone. */
  close(): void {
    const mine = this.#words.slice(this.#first, this.#first + WORDS)
    for (let word = 0; word < WORDS; word++) Atomics.store(this.#words, this.#first + word, 0)
    this.#words = mine
    this.#first = 0
    this.#cell.close()
    this.#cell = { words: mine, close() {} }
  }
}
