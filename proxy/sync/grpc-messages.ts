/** Messages as gRPC has them in a body: a byte that is 1 when they are compressed, four of their length, and their own. */
const PREFIX = 5

export function grpcMessage(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafeSlow(PREFIX + message.length)
  framed[0] = 0
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, PREFIX)
  return framed
}

export interface MessageSinks {
  /** Valid inside the call only. */
  message(bytes: Buffer): void
  /** It is longer than may be, and passed over. `beginning`: its first bytes, valid inside the call only. */
  tooLong(bytes: number, beginning: Buffer): void
}

/** How much of a message that is too long is kept, to find out what it is. */
const BEGINNING = 4 * 1024

/** Finds the messages in the pieces of a body. Holds one at most, no longer than `limit`. */
export class GrpcMessages {
  readonly #limit: number
  readonly #sinks: MessageSinks
  readonly #prefix = Buffer.alloc(PREFIX)
  #prefixed = 0
  /** Of the message that has not come whole. */
  #length = 0
  #pieces: Buffer[] = []
  #has = 0

  constructor(limit: number, sinks: MessageSinks) {
    this.#limit = limit
    this.#sinks = sinks
  }

  /** Why nothing more of this body can be read; empty: it can. */
  read(chunk: Buffer): string {
    let at = 0
    while (at < chunk.length) {
      if (this.#prefixed < PREFIX) {
        this.#prefix[this.#prefixed++] = chunk[at++]!
        if (this.#prefixed < PREFIX) continue
        if (this.#prefix[0] !== 0) return 'a compressed message, and no compression was agreed on'
        this.#length = this.#prefix.readUInt32BE(1)
        if (this.#length > 0) continue
      }
      const take = Math.min(this.#length - this.#has, chunk.length - at)
      this.#keep(chunk.subarray(at, at + take))
      at += take
      if (this.#has === this.#length) this.#whole()
    }
    return ''
  }

  #keep(piece: Buffer): void {
    const isWhole = this.#has === 0 && piece.length === this.#length
    const most = this.#length > this.#limit ? BEGINNING : this.#limit
    // One that lies in one piece needs no copy.
    if (isWhole) this.#pieces.push(piece)
    else if (this.#has < most) this.#pieces.push(Buffer.from(piece.subarray(0, most - this.#has)))
    this.#has += piece.length
  }

  #whole(): void {
    const [first] = this.#pieces
    const bytes = this.#pieces.length === 1 ? first! : Buffer.concat(this.#pieces)
    const length = this.#length
    this.#pieces = []
    this.#prefixed = 0
    this.#has = 0
    this.#length = 0
    if (length > this.#limit) this.#sinks.tooLong(length, bytes.subarray(0, BEGINNING))
    else this.#sinks.message(bytes)
  }

  /** Bytes of the message that has not come whole. */
  get held(): number {
    return this.#has
  }
}
