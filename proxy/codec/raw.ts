import type { Codec, UpstreamConnection, UpstreamOptions, UpstreamOwner } from '../core/codec.ts'
import { type Failure, failures } from '../core/failure.ts'
import { HeaderList } from '../core/header-list.ts'
import type { Receiver, ResponseHead, UpstreamStream } from '../core/message.ts'
import type { TurnTask } from '../core/turn.ts'
import { nextRead, type Wire, type WireHandler } from '../core/wire.ts'

const NOTHING = Buffer.alloc(0)

/**
 * The far end of a CONNECT: a TCP connection, and nothing is spoken on it but what the caller speaks. That it is there
 * is the answer. It carries one stream and closes with it.
 */
export class RawUpstream implements UpstreamConnection, UpstreamStream, WireHandler, TurnTask {
  receiver: Receiver<ResponseHead> | null = null
  readonly reused = false
  readonly carried = false
  readonly limit = 1
  readonly worn = false
  readonly hopThreads = 0
  readonly #wire: Wire
  readonly #owner: UpstreamOwner
  #isOpen = false
  #isAnswered = false
  #sent = false
  #received = false
  #closed = false
  #paused = false

  constructor(wire: Wire, owner: UpstreamOwner, options: UpstreamOptions) {
    this.#wire = wire
    this.#owner = owner
    wire.handler = this
    wire.bufferBytes = options.bufferBytes
  }

  get capacity(): number {
    return this.#isOpen || this.#closed ? 0 : 1
  }

  get active(): number {
    return this.#isOpen && !this.#closed ? 1 : 0
  }

  open(): UpstreamStream {
    this.#isOpen = true
    return this
  }

  /** Nothing of it goes out. */
  head(): void {
    this.#wire.turns.atEnd(this)
  }

  turnEnded(): void {
    if (this.#closed || this.#isAnswered) return
    this.#isAnswered = true
    this.receiver?.head({ status: 200, headers: new HeaderList() }, false)
  }

  data(chunk: Buffer, end: boolean): boolean {
    if (this.#closed || this.#sent) return true
    const writable = chunk.length === 0 || this.#wire.write(chunk)
    if (end) {
      this.#sent = true
      this.#wire.end()
      this.#finish()
    }
    return writable
  }

  trailers(): void {
    this.data(NOTHING, true)
  }

  reset(): void {
    this.receiver = null
    this.#wire.reset()
    this.destroy()
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#wire.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#wire.resume()
  }

  destroy(): void {
    if (this.#closed) return
    this.#closed = true
    this.#wire.destroy()
    this.#owner.closed(this, !this.#isOpen)
  }

  bytes(chunk: Buffer, length: number): void {
    if (this.#closed) return
    this.#wire.expect(nextRead(length, chunk.length))
    if (this.receiver !== null && !this.receiver.data(chunk.subarray(0, length), false)) this.pause()
  }

  drained(): void {
    this.receiver?.writable()
  }

  ended(): void {
    if (this.#closed || this.#received) return
    if (!this.#isAnswered) return this.#lost(failures.resetBeforeResponse, 'the connection was closed')
    this.#received = true
    this.receiver?.data(NOTHING, true)
    this.#finish()
  }

  closed(error: Error | null): void {
    if (this.#closed) return
    if (this.#sent && this.#received) return this.destroy()
    this.#lost(
      this.#isAnswered ? failures.resetAfterResponse : failures.resetBeforeResponse,
      error === null ? 'the connection was closed' : error.message,
    )
  }

  #lost(failure: Failure, detail: string): void {
    const { receiver } = this
    this.receiver = null
    this.destroy()
    receiver?.reset(failure, detail)
  }

  overflow(detail: string): void {
    this.#lost(failures.outOfRoom, detail)
  }

  /** Both directions have ended: it closes by itself when what it still has to send has left. */
  #finish(): void {
    if (!this.#sent || !this.#received) return
    this.receiver = null
    if (this.#wire.unsent === 0) this.destroy()
  }
}

/** For endpoints only: what comes from a caller is asked for in HTTP. */
export const raw: Pick<Codec, 'protocol' | 'connect'> = {
  protocol: 'http/1.1',
  connect: (wire, owner, options) => new RawUpstream(wire, owner, options),
}
