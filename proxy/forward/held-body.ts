import type { Headers } from '../core/message.ts'
import type { Wire } from '../core/wire.ts'

/** Pieces kept to be sent again: each costs more than its bytes. */
const MAX_CHUNKS = 1024

/**
 * The part of a request body that came before there was a stream to send it on, or that is kept so it can be sent
 * again. A copy: the buffers it came in are read into again.
 */
export class HeldBody {
  readonly #wire: Pick<Wire, 'account'>
  readonly #chunks: Buffer[] = []
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
    this.#chunks.push(Buffer.from(chunk))
    this.bytes += chunk.length
    this.#wire.account.add(chunk.length)
  }

  #letGo(): void {
    // Nearly always there is nothing: V8 spends more on an empty array's length than on looking.
    if (this.#chunks.length === 0) return
    this.#chunks.length = 0
    this.#wire.account.add(-this.bytes)
    this.bytes = 0
  }

  /** Keeps a copy of what is being sent, while all of it stays within the limit. */
  remember(chunk: Buffer, limit: number): void {
    if (this.dropped || chunk.length === 0) return
    if (this.bytes + chunk.length > limit || this.#chunks.length === MAX_CHUNKS) this.drop()
    else this.add(chunk)
  }

  drop(): void {
    this.#letGo()
    this.dropped = true
  }

  /** Takes what is here out and hands it on, as if it came now. */
  moveTo(sink: { data(chunk: Buffer, end: boolean): boolean; trailers(trailers: Headers): void }): void {
    const { ended, trailers } = this
    const chunks = this.#chunks.slice()
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
    const last = this.#chunks.length - 1
    let writable = true
    this.#chunks.forEach((chunk, i) => {
      writable = sink.data(chunk, this.ended && this.trailers === null && i === last)
    })
    if (this.trailers !== null) sink.trailers(this.trailers)
    else if (this.ended && last < 0) writable = sink.data(NOTHING, true)
    return writable
  }
}

const NOTHING = Buffer.alloc(0)
