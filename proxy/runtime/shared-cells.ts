import { type Cell, type Cells, ownCells } from '../core/cells.ts'

/** The first words of the memory. All but the lock are read and written by its holder only. */
const LOCK = 0
/** The first word that was never used; 0: no thread has been here yet. */
const UNUSED = 1
const ENTRIES = 2
/** The first free block of each size, linked by its first word; 0: none. */
const FREE = 16
const SIZES = 24
/** Hash tables of names: two words of hash and the block, by turns. */
const DIRECTORY = 64
const ENTRY_WORDS = 3
const CAPACITY = 1 << 16
/** Above that the way to a name gets long: further cells are the thread's own. */
const MOST_ENTRIES = (CAPACITY * 3) / 4
const DIRECTORY_END = DIRECTORY + CAPACITY * ENTRY_WORDS
/** A block begins with a bit for each thread that has it open, and the logarithm of its size. */
const USERS = 8
const SIZE = 8
const BLOCK_HEAD = 16
/** 64 bytes: no two cells share a line of the processor's cache. */
const SMALLEST = 5

const RETRY_LOCK_MS = 10
/** It is held for microseconds: its holder has ended. */
const STEAL_LOCK_MS = 1000

/**
 * Cells in memory that the data threads share (`CELL_MEMORY_BYTES` in a proxy): a directory of names, and blocks whose
 * sizes are powers of two. A lock guards both; it is never taken for a request. When it is full, further cells are the
 * thread's own: their limits and budgets then hold for each thread.
 */
export function sharedCells(memory: SharedArrayBuffer, thread: number, threads: number): Cells {
  const words = new Int32Array(memory)
  const bit = 1 << (thread & 31)
  const userWord = thread >> 5

  function locked<Result>(work: () => Result): Result {
    let waitedMs = 0
    let holder = Atomics.compareExchange(words, LOCK, 0, thread + 1)
    while (holder !== 0) {
      if (Atomics.wait(words, LOCK, holder, RETRY_LOCK_MS) === 'timed-out') waitedMs += RETRY_LOCK_MS
      holder =
        waitedMs < STEAL_LOCK_MS
          ? Atomics.compareExchange(words, LOCK, 0, thread + 1)
          : Atomics.compareExchange(words, LOCK, holder, thread + 1) === holder
            ? 0
            : holder
    }
    try {
      return work()
    } finally {
      Atomics.store(words, LOCK, 0)
      Atomics.notify(words, LOCK, 1)
    }
  }

  /** Where the name is in the directory, or would be. */
  function find(high: number, low: number): number {
    let index = low & (CAPACITY - 1)
    for (;;) {
      const at = DIRECTORY + index * ENTRY_WORDS
      if (words[at + 2] === 0 || (words[at] === high && words[at + 1] === low)) return at
      index = (index + 1) & (CAPACITY - 1)
    }
  }

  /** Entries behind it move up, so that none is cut off from where its search begins (Knuth, algorithm 6.4 R). */
  function forget(at: number): void {
    words[ENTRIES]!--
    let hole = (at - DIRECTORY) / ENTRY_WORDS
    let index = hole
    for (;;) {
      index = (index + 1) & (CAPACITY - 1)
      const from = DIRECTORY + index * ENTRY_WORDS
      if (words[from + 2] === 0) break
      const home = words[from + 1]! & (CAPACITY - 1)
      const isReached = hole <= index ? home > hole && home <= index : home > hole || home <= index
      if (isReached) continue
      words.copyWithin(DIRECTORY + hole * ENTRY_WORDS, from, from + ENTRY_WORDS)
      hole = index
    }
    words.fill(0, DIRECTORY + hole * ENTRY_WORDS, DIRECTORY + (hole + 1) * ENTRY_WORDS)
  }

  /** A block of zeros for so many words; 0: there is no room. */
  function allocate(count: number): number {
    const size = Math.max(SMALLEST, 32 - Math.clz32(count + BLOCK_HEAD - 1))
    if (size >= SIZES) return 0
    let block = words[FREE + size]!
    if (block !== 0) words[FREE + size] = words[block]!
    else {
      block = words[UNUSED]!
      if (block + (1 << size) > words.length) return 0
      words[UNUSED]! += 1 << size
    }
    words.fill(0, block, block + (1 << size))
    words[block + SIZE] = size
    return block
  }

  function take(high: number, low: number, count: number): number {
    const at = find(high, low)
    let block = words[at + 2]!
    if (block === 0) {
      if (words[ENTRIES]! >= MOST_ENTRIES) return 0
      block = allocate(count)
      if (block === 0) return 0
      words[ENTRIES]!++
      words[at] = high
      words[at + 1] = low
      words[at + 2] = block
    }
    words[block + userWord]! |= bit
    return block
  }

  function leave(at: number): void {
    const block = words[at + 2]!
    words[block + userWord]! &= ~bit
    for (let i = 0; i < USERS; i++) if (words[block + i] !== 0) return
    forget(at)
    const size = words[block + SIZE]!
    words[block] = words[FREE + size]!
    words[FREE + size] = block
  }

  /** A thread of this number that has ended had cells open. */
  function inherit(): void {
    if (words[UNUSED] === 0) {
      words[UNUSED] = DIRECTORY_END
      return
    }
    // Leaving one may move others, to places that were looked at already.
    for (let found = true; found; ) {
      found = false
      for (let at = DIRECTORY; at < DIRECTORY_END; at += ENTRY_WORDS) {
        const block = words[at + 2]!
        if (block === 0 || (words[block + userWord]! & bit) === 0) continue
        leave(at)
        found = true
      }
    }
  }

  locked(inherit)

  return {
    thread,
    threads,
    open(name, count): Cell {
      const high = hash(name, 0x9747b28c)
      const low = hash(name, 0x2f0b4c47)
      const block = locked(() => take(high, low, count))
      if (block === 0) return ownCells.open(name, count)
      return {
        words: new Int32Array(memory, (block + BLOCK_HEAD) * 4, count),
        close: () => locked(() => leave(find(high, low))),
      }
    },
  }
}

/** MurmurHash3 of 32 bits, over UTF-16 units. */
function hash(text: string, seed: number): number {
  let h = seed
  for (let i = 0; i < text.length; i++) {
    let k = Math.imul(text.charCodeAt(i), 0xcc9e2d51)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, 0x1b873593)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  h ^= text.length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
