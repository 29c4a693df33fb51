import type { Headers } from '../core/message.ts'
import type { Wire } from '../core/wire.ts'

/** Pieces kept to be sent again: each costs more than its bytes. */
const MAX_CHUNKS = 1024
/** Room for more pieces is given back. */
const KEPT_CHUNKS = 16
const NOTHING = Buffer.alloc(0)

/**
 * The part of a request body that came before there was a stream to send it on, or that is kept so it can be sent
 * again. A copy: the buffers it came in are read into again.
 */
export class HeldBody {
  readonly #wire: Pick<Wire, 'account'>
  /** As far as `#count`: an array that is emptied grows anew. */
  #chunks: Buffer[] = []
  #count = 0
  bytes = 0
  /** The whole body is here. */
  ended = false
  trailers: Headers | null = null
  /** It grew over the limit and was let go: the request cannot be replayed. */
  dropped = false

  /** `wire`: of the caller, to whose account the held bytes go. */
  constructor(wire: Pick<Wire, 'account'>) {
    this.#wire = wire
  }

  clear(): void {
    this.#letGo()
    this.ended = false
    this.trailers = null
    this.dropped = false
  }

  add(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks[this.#count++] = Buffer.from(chunk)
    this.bytes += chunk.length
    this.#wire.account.add(chunk.length)
  }

  #letGo(): void {
    if (this.#count === 0) return
    if (this.#count > KEPT_CHUNKS) this.#chunks = []
    else for (let i = 0; i < this.#count; i++) this.#chunks[i] = NOTHING
    this.#count = 0
    this.#wire.account.add(-this.bytes)
    this.bytes = 0
  }

  /** Keeps a copy of what is being sent, while all of it stays within the limit. */
  remember(chunk: Buffer, limit: number): void {
    if (this.dropped || chunk.length === 0) return
    if (this.bytes + chunk.length > limit || this.#count === MAX_CHUNKS) this.drop()
    else this.add(chunk)
  }

  drop(): void {
    this.#letGo()
    this.dropped = true
  }

  /** Takes what is here out and hands it on, as if it came now. */
  moveTo(sink: { data(chunk: Buffer, end: boolean): boolean; trailers(trailers: Headers): void }): void {
    const { ended, trailers } = this
    const chunks = this.#chunks.slice(0, this.#count)
    const last = chunks.length - 1
    this.#letGo()
    this.ended = false
    this.trailers = null
    chunks.forEach((chunk, i) => {
      sink.data(chunk, ended && trailers === null && i === last)
    })
    if (trailers !== null) sink.trailers(trailers)
    else if (ended && last < 0) sink.data(NOTHING, true)
  }

  /** False: the sink is above its high watermark. */
  sendTo(sink: { data(chunk: Buffer, end: boolean): boolean; trailers(trailers: Headers): void }): boolean {
    const last = this.#count - 1
    let writable = true
    for (let i = 0; i <= last; i++)
      writable = sink.data(this.#chunks[i]!, this.ended && this.trailers === null && i === last)
    if (this.trailers !== null) sink.trailers(this.trailers)
    else if (this.ended && last < 0) writable = sink.data(NOTHING, true)
    return writable
  }
}
