/** Bytes of a frame's head at most: two, a length of eight, a mask of four (RFC 6455 section 5.2). */
const MAX_HEAD = 14
const CLOSE_OPCODE = 8

/**
 * Follows the frames of one direction of a WebSocket by their lengths alone: where one ends, and whether a Close has
 * gone by. It looks at heads only and copies nothing but a head that is cut in two.
 */
export class WebSocketFrames {
  /** A Close frame began: nothing of this side's may follow it. */
  closing = false
  /** These are no frames, or not of this direction: where one ends is not known any more. */
  isLost = false
  /** Frames of a client are masked, those of a server are not (section 5.1). */
  readonly #isMasked: boolean
  #payload = 0
  #head: Buffer | null = null
  #headLength = 0

  constructor(isMasked: boolean) {
    this.#isMasked = isMasked
  }

  get atBoundary(): boolean {
    return this.#payload === 0 && this.#headLength === 0 && !this.isLost
  }

  /** All of a chunk, when no boundary is waited for. */
  skip(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.isLost) at = this.#step(chunk, at)
  }

  /**
   * To the end of the frame that is under way; the number of bytes it takes. All of them where that is further, or not
   * known.
   */
  toBoundary(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length && !this.isLost && !this.atBoundary) at = this.#step(chunk, at)
    return this.isLost ? chunk.length : at
  }

  /** Over the rest of a payload, or one byte of a head. */
  #step(chunk: Buffer, at: number): number {
    if (this.#payload > 0) {
      const length = Math.min(this.#payload, chunk.length - at)
      this.#payload -= length
      return at + length
    }
    // A head that lies whole in the chunk is read where it is.
    if (this.#headLength === 0) {
      const length = this.#readHead(chunk, at, chunk.length)
      if (length !== 0 || this.isLost) return at + length
    }
    this.#head ??= Buffer.alloc(MAX_HEAD)
    this.#head[this.#headLength++] = chunk[at]!
    if (this.#readHead(this.#head, 0, this.#headLength) !== 0) this.#headLength = 0
    return at + 1
  }

  /** The length of the head at `at`; 0: it is not whole. */
  #readHead(b: Buffer, at: number, end: number): number {
    if (end - at < 2) return 0
    const first = b[at]!
    const second = b[at + 1]!
    if (second >= 0x80 !== this.#isMasked) this.isLost = true
    const short = second & 0x7f
    const length = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (this.#isMasked ? 4 : 0)
    if (this.isLost || end - at < length) return 0
    this.#payload =
      short < 126
        ? short
        : short === 126
          ? b.readUInt16BE(at + 2)
          : b.readUInt32BE(at + 2) * 2 ** 32 + b.readUInt32BE(at + 6)
    if (this.#payload > Number.MAX_SAFE_INTEGER) this.isLost = true
    if ((first & 0x0f) === CLOSE_OPCODE) this.closing = true
    return length
  }
}

/**
 * A Close frame that says 1001, going away (RFC 6455 section 7.4.1). `mask`: four random bytes, of what a client sends;
 * null of what a server does.
 */
export function closeFrame(mask: Buffer | null): Buffer {
  if (mask === null) return Buffer.from([0x88, 2, 0x03, 0xe9])
  return Buffer.from([0x88, 0x82, ...mask, 0x03 ^ mask[0]!, 0xe9 ^ mask[1]!])
}
