import { NO_BYTES } from '../bytes.ts'

/**
 * Bytes that trickle in, in one buffer that doubles when it is full: a head that comes a byte at a time is not copied
 * once a byte.
 */
export class Gathered {
  #room: Buffer = NO_BYTES

  /** `bytes` with `more` behind it, in memory of its own. What was returned before stays as it is. */
  append(bytes: Buffer, more: Buffer): Buffer {
    let start = bytes.byteOffset
    const length = bytes.length + more.length
    if (bytes.buffer !== this.#room.buffer || start + length > this.#room.length) {
      this.#room = Buffer.allocUnsafeSlow(Math.max(1024, 2 * length))
      bytes.copy(this.#room)
      start = 0
    }
    more.copy(this.#room, start + bytes.length)
    return this.#room.subarray(start, start + length)
  }

  /** Lets go of the memory. */
  clear(): void {
    this.#room = NO_BYTES
  }
}
