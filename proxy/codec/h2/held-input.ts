import type { Headers } from '../../core/message.ts'
import { ByteQueue } from './byte-queue.ts'
import type { Http2Connection } from './connection.ts'

/** What came of a stream whose receiver has stopped: bytes, at most the window of the stream, and how its message ended. */
export class HeldInput {
  trailers: Headers | null = null
  end = false
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
    this.#bytes ??= new ByteQueue()
    this.#bytes.append(bytes)
    this.#connection.flow.hold(bytes.length)
  }

  /** The next bytes, as many as lie together. */
  take(): Buffer {
    const bytes = this.#bytes!
    const chunk = bytes.first()
    bytes.drop(chunk.length)
    this.#connection.flow.held -= chunk.length
    if (bytes.length === 0) this.#bytes = null
    return chunk
  }

  clear(): void {
    this.end = false
    this.trailers = null
    this.#connection.flow.held -= this.length
    this.#bytes = null
  }
}
