import type { Headers } from '../../core/message.ts'
import { ByteQueue } from './byte-queue.ts'
import type { Http2Connection } from './connection.ts'

/**
 * What came of a stream whose receiver has stopped: bytes, at most the window of the stream, and how its message ended.
 */
export class HeldInput {
  trailers: Headers | null = null
  end = false
  /** Of the ledger: when the first of the bytes was held. */
  since = 0
  #bytes: ByteQueue | null = null
  readonly #connection: Http2Connection

  constructor(connection: Http2Connection) {
    this.#connection = connection
  }

  get length(): number {
    return this.#bytes === null ? 0 : this.#bytes.length
  }

  /** The end of the message is here and waits for the receiver. */
  get hasEnd(): boolean {
    return this.end || this.trailers !== null
  }

  add(bytes: Buffer): void {
    if (bytes.length === 0) return
    const { flow, wire } = this.#connection
    if (this.#bytes === null) {
      this.#bytes = new ByteQueue()
      this.since = wire.ledger.next()
    }
    this.#bytes.append(bytes)
    flow.held()
    wire.account.add(bytes.length)
  }

  /** The next bytes, as many as lie together. */
  take(): Buffer {
    const bytes = this.#bytes!
    const chunk = bytes.first()
    bytes.drop(chunk.length)
    if (bytes.length === 0) this.#bytes = null
    this.#connection.wire.account.add(-chunk.length)
    return chunk
  }

  clear(): void {
    this.end = false
    this.trailers = null
    const { length } = this
    this.#bytes = null
    if (length !== 0) this.#connection.wire.account.add(-length)
  }
}
