import type { Headers, Receiver } from '../../core/message.ts'
import type { Wire } from '../../core/wire.ts'
import { NO_BYTES } from '../bytes.ts'
import { piece } from '../piece.ts'
import { ByteQueue } from './byte-queue.ts'
import { PROTOCOL_ERROR } from './frame.ts'
import type { Flowing } from './receive-flow.ts'
import { afterFrame, DATA_AND_END, ENDED, HEAD, HEAD_AND_END, HEAD_DUE, OVER } from './stream-state.ts'
import { SHUT } from './tunnel-state.ts'

/** What it needs of the connection. */
export interface InputHost {
  readonly wire: Wire
  /** Told that what came is not taken as fast as it comes. */
  readonly flow: { held(): void }
}

/** What it needs of its stream. */
export interface InputOwner {
  readonly receiver: Receiver<never> | null
  readonly connection: InputHost
  /** Of tunnel-state.ts: while it is shut nothing is handed on. */
  readonly tunnel: number
  /** The receiver wants to hear more. */
  readonly isHeard: boolean
  /** Something was taken: the peer may send more. */
  taken(): void
  /** What is held is to be handed on when the turn ends. */
  putOff(): void
  /** Something is late from now on. */
  watch(): void
  /** The peer broke a rule of this stream. */
  wrong(code: number, detail: string): void
  /** The end of the message was handed on. */
  handedOn(): void
}

const WRONG_LENGTH = 'Content-Length is not the length of the body (RFC 9113 section 8.1.1)'

/**
 * What comes on a stream: how far the peer's message is, and what of it is held because its receiver has stopped: bytes,
 * at most the window of the stream, and how the message ended.
 */
export class Input implements Flowing {
  /** Of stream-state.ts. */
  state = OVER
  /** Bytes the peer may still send. */
  window = 0
  /** See receive-flow.ts. */
  extra = 0
  /** Content-Length; -1: none. */
  expected = -1
  paused = false
  #received = 0
  // What is held.
  #bytes: ByteQueue | null = null
  #trailers: Headers | null = null
  #holdsEnd = false
  readonly #owner: InputOwner

  constructor(owner: InputOwner) {
    this.#owner = owner
  }

  open(window: number): void {
    this.state = HEAD_DUE
    this.window = window
    this.expected = -1
    this.paused = false
    this.#received = 0
  }

  /** The final head has come. */
  headCame(end: boolean): void {
    this.state = afterFrame(this.state, end ? HEAD_AND_END : HEAD)
  }

  /** A request for a tunnel has come. `end`: the caller has ended its direction with the head, and this is held. */
  shut(end: boolean): void {
    this.#holdsEnd = end
    this.expected = -1
  }

  /** A piece of DATA that lies in a read buffer. */
  receive(b: Buffer, from: number, to: number, end: boolean): void {
    const length = to - from
    this.#received += length
    if (this.expected >= 0 && (this.#received > this.expected || (end && this.#received !== this.expected)))
      return this.#owner.wrong(PROTOCOL_ERROR, WRONG_LENGTH)
    if (end) this.state = afterFrame(this.state, DATA_AND_END)
    // Nothing but padding.
    if (length === 0 && !end) return this.#mustHold ? undefined : this.#credit()
    if (!this.#mustHold) return this.#deliver(piece(b, from, to), end)
    this.#holdsEnd = end
    this.#hold(b.subarray(from, to))
  }

  get #mustHold(): boolean {
    return this.paused || this.#owner.tunnel === SHUT || this.#bytes !== null
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return
    const { flow, wire } = this.#owner.connection
    this.#bytes ??= new ByteQueue(wire.ledger.next())
    this.#bytes.append(bytes)
    flow.held()
    wire.account.add(bytes.length)
  }

  #deliver(chunk: Buffer, end: boolean): void {
    const owner = this.#owner
    // An answer that is whole ends the interest in the rest of the request.
    const writable = owner.receiver === null || !owner.isHeard || owner.receiver.data(chunk, end)
    if (this.state === OVER) return
    if (end) return owner.handedOn()
    if (!writable) this.paused = true
    else if (!this.paused) this.#credit()
  }

  /** Lets the peer send more; not what is left of a body that fits already. */
  #credit(): void {
    if (this.state === ENDED || (this.expected >= 0 && this.expected - this.#received <= this.window)) return
    this.#owner.taken()
  }

  /** `trailers` may be empty. */
  receiveTrailers(trailers: Headers): void {
    if (this.expected >= 0 && this.#received !== this.expected) return this.#owner.wrong(PROTOCOL_ERROR, WRONG_LENGTH)
    this.state = afterFrame(this.state, HEAD_AND_END)
    if (this.#mustHold) this.#trailers = trailers
    else this.#deliverTrailers(trailers)
  }

  #deliverTrailers(trailers: Headers): void {
    const owner = this.#owner
    if (owner.isHeard) owner.receiver?.trailers(trailers)
    if (this.state !== OVER) owner.handedOn()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (this.state === OVER) return
    this.#owner.watch()
    // Nothing is delivered inside this call.
    if (this.#bytes !== null || this.state === ENDED) this.#owner.putOff()
    else this.#credit()
  }

  /** When the turn ends in which it was resumed. */
  deliverHeld(): void {
    while (this.state !== OVER && !this.paused && this.#owner.tunnel !== SHUT && this.#bytes !== null) {
      const chunk = this.#take(this.#bytes)
      const end = this.#holdsEnd && this.#bytes === null
      if (end) this.#holdsEnd = false
      this.#deliver(chunk, end)
    }
    if (this.state === OVER || this.#mustHold) return
    const trailers = this.#trailers
    if (trailers !== null) {
      this.#trailers = null
      this.#deliverTrailers(trailers)
    } else if (this.#holdsEnd) {
      this.#holdsEnd = false
      this.#deliver(NO_BYTES, true)
    }
  }

  /** The next bytes, as many as lie together. */
  #take(bytes: ByteQueue): Buffer {
    const chunk = bytes.first()
    bytes.drop(chunk.length)
    if (bytes.length === 0) this.#bytes = null
    this.#owner.connection.wire.account.add(-chunk.length)
    return chunk
  }

  /** Bytes that are held. */
  get length(): number {
    return this.#bytes === null ? 0 : this.#bytes.length
  }

  /** Of the ledger: when the first of the bytes was held; 0: there are none. */
  get since(): number {
    return this.#bytes === null ? 0 : this.#bytes.since
  }

  /** The end of the message has come and waits for the receiver. */
  get holdsEnd(): boolean {
    return this.#holdsEnd || this.#trailers !== null
  }

  /** The receiver has the end of the message, or gets it just now. */
  get handedEnd(): boolean {
    return this.state === ENDED && this.#bytes === null && !this.holdsEnd
  }

  /** Lets go of what it holds. */
  clear(): void {
    const { length } = this
    this.#holdsEnd = false
    this.#trailers = null
    this.#bytes = null
    if (length !== 0) this.#owner.connection.wire.account.add(-length)
  }
}
