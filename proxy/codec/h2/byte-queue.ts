const MIN_BLOCK = 1024
const MAX_BLOCK = 16 * 1024

/**
 * Bytes that wait, copied into memory of their own: neither in a buffer that is read into again, nor in a pool where
 * they would keep others' memory. Small pieces lie together, so that a thousand of one byte cost what one of a thousand
 * does.
 */
export class ByteQueue {
  length = 0
  /** Since when, as the ledger counts. */
  readonly since: number
  readonly #blocks: Buffer[] = []
  /** What of the first block has gone, and how much of the last one is used. */
  #from = 0
  #to = 0

  constructor(since: number) {
    this.since = since
  }

  append(bytes: Buffer): void {
    let at = 0
    const last = this.#blocks.at(-1)
    if (last !== undefined) {
      at = bytes.copy(last, this.#to)
      this.#to += at
    }
    const rest = bytes.length - at
    if (rest !== 0) {
      const block = Buffer.allocUnsafeSlow(Math.max(rest, Math.min(MAX_BLOCK, Math.max(MIN_BLOCK, this.length))))
      this.#blocks.push(block)
      this.#to = bytes.copy(block, 0, at)
    }
    this.length += bytes.length
  }

  /** The next bytes, as many as lie together. They stay as they are after `drop`. */
  first(): Buffer {
    const block = this.#blocks[0]!
    return block.subarray(this.#from, this.#blocks.length === 1 ? this.#to : block.length)
  }

  /** The next `count` bytes are not needed any more; no more than `first` has. */
  drop(count: number): void {
    const block = this.#blocks[0]!
    this.#from += count
    this.length -= count
    if (this.#from < (this.#blocks.length === 1 ? this.#to : block.length)) return
    this.#blocks.shift()
    this.#from = 0
  }
}
