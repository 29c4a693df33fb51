/** DNS messages over TCP: each with its length before it (RFC 1035 section 4.2.2). */
export class MessageStream {
  readonly #longest: number
  #bytes: Buffer = Buffer.alloc(0)
  /** A message is longer than allowed: nothing more can be read. */
  isBroken = false

  constructor(longest: number) {
    this.#longest = longest
  }

  push(chunk: Buffer, length: number): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk.subarray(0, length)])
  }

  /** Bytes that are no whole message yet. */
  get waiting(): number {
    return this.#bytes.length
  }

  /** Null: none is whole yet. */
  next(): Buffer | null {
    if (this.isBroken || this.#bytes.length < 2) return null
    const length = this.#bytes.readUInt16BE()
    if (length > this.#longest) {
      this.isBroken = true
      return null
    }
    if (this.#bytes.length < 2 + length) return null
    const message = this.#bytes.subarray(2, 2 + length)
    this.#bytes = this.#bytes.subarray(2 + length)
    return message
  }
}

export function framed(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(2 + message.length)
  bytes.writeUInt16BE(message.length)
  message.copy(bytes, 2)
  return bytes
}
