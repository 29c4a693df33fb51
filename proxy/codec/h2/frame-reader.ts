import { NO_BYTES } from '../bytes.ts'
import { DATA, FRAME_HEADER, FRAME_SIZE_ERROR, PADDED, PROTOCOL_ERROR, uint31 } from './frame.ts'

export interface FrameSink {
  /** A whole frame that is not DATA; its payload is `b[from..to)`. */
  frame(type: number, flags: number, id: number, b: Buffer, from: number, to: number): void
  /** A DATA frame begins; `length` with its padding. */
  dataBegun(flags: number, id: number, length: number): void
  /** The next piece of its data, without padding. `last`: all of it is there now. Once at least. */
  dataPiece(b: Buffer, from: number, to: number, last: boolean): void
  /** One that breaks a rule of its own; nothing more is read. `code`: of the connection's error. */
  brokenFrame(code: number, detail: string): void
}

const AT_FRAME = 0
const AT_PAD_LENGTH = 1
const IN_DATA = 2
const IN_PADDING = 3

const FIRST_HELD = 64

const TOO_LONG = 'a frame longer than SETTINGS_MAX_FRAME_SIZE (RFC 9113 section 4.2)'
const ALL_PADDING = 'padding as long as its frame (RFC 9113 section 6.1)'

/**
 * Cuts what is read into frames. Data is passed on as it comes, never gathered; another frame is looked at where it
 * lies, and copied (once) only when its bytes come in several reads. So a connection without a broken-off frame holds
 * nothing.
 */
export class FrameReader {
  readonly #sink: FrameSink
  readonly #maxFrame: number
  #state = AT_FRAME
  /** Bytes of data, then of padding, still to come. */
  #left = 0
  #padding = 0
  /** The beginning of a frame whose rest has not come. */
  #held: Buffer = NO_BYTES
  #heldLength = 0
  #stopped = false

  constructor(sink: FrameSink, maxFrame: number) {
    this.#sink = sink
    this.#maxFrame = maxFrame
  }

  /** Nothing more is wanted: what is left is dropped. */
  stop(): void {
    this.#stopped = true
    this.#held = NO_BYTES
  }

  read(b: Buffer, from: number, length: number): void {
    let i = from
    while (!this.#stopped) {
      if (this.#state !== AT_FRAME) {
        i = this.#readData(b, i, length)
        if (this.#state !== AT_FRAME) return
        continue
      }
      if (this.#heldLength !== 0) {
        i = this.#readHeld(b, i, length)
        if (this.#heldLength !== 0) return
        continue
      }
      const payload = i + FRAME_HEADER
      if (payload > length) break
      const size = (b[i]! << 16) | (b[i + 1]! << 8) | b[i + 2]!
      const type = b[i + 3]!
      const id = uint31(b, i + 5)
      if (size > this.#maxFrame) return this.#sink.brokenFrame(FRAME_SIZE_ERROR, TOO_LONG)
      if (type === DATA) {
        this.#beginData(b[i + 4]!, id, size)
        i = payload
        continue
      }
      if (payload + size > length) break
      this.#sink.frame(type, b[i + 4]!, id, b, payload, payload + size)
      i = payload + size
    }
    if (i < length && !this.#stopped) this.#hold(b, i, length)
  }

  #beginData(flags: number, id: number, size: number): void {
    this.#padding = 0
    this.#left = size
    this.#sink.dataBegun(flags, id, size)
    if ((flags & PADDED) === 0) this.#state = IN_DATA
    else if (size === 0) this.#sink.brokenFrame(PROTOCOL_ERROR, ALL_PADDING)
    else this.#state = AT_PAD_LENGTH
  }

  #readData(b: Buffer, from: number, length: number): number {
    let i = from
    if (this.#state === AT_PAD_LENGTH) {
      if (i >= length) return i
      this.#padding = b[i++]!
      this.#left -= 1 + this.#padding
      if (this.#left < 0) {
        this.#sink.brokenFrame(PROTOCOL_ERROR, ALL_PADDING)
        return length
      }
      this.#state = IN_DATA
    }
    if (this.#state === IN_DATA) {
      const end = Math.min(length, i + this.#left)
      if (end === i && this.#left !== 0) return i
      this.#left -= end - i
      const last = this.#left === 0
      if (last) {
        this.#state = this.#padding === 0 ? AT_FRAME : IN_PADDING
        this.#left = this.#padding
      }
      this.#sink.dataPiece(b, i, end, last)
      i = end
    }
    if (this.#state === IN_PADDING) {
      const end = Math.min(length, i + this.#left)
      this.#left -= end - i
      if (this.#left === 0) this.#state = AT_FRAME
      i = end
    }
    return i
  }

  /**
   * Keeps what is there of a frame. The room doubles, so that a frame that trickles in costs no more than what came of
   * it.
   */
  #hold(b: Buffer, from: number, to: number): void {
    const needed = this.#heldLength + to - from
    if (this.#held.length < needed) {
      const room = Buffer.allocUnsafeSlow(Math.max(FIRST_HELD, 2 * needed))
      this.#held.copy(room, 0, 0, this.#heldLength)
      this.#held = room
    }
    b.copy(this.#held, this.#heldLength, from, to)
    this.#heldLength = needed
  }

  /** Adds to a frame that is held, up to its end. */
  #readHeld(b: Buffer, from: number, length: number): number {
    let i = from
    if (this.#heldLength < FRAME_HEADER) {
      const end = Math.min(length, i + FRAME_HEADER - this.#heldLength)
      this.#hold(b, i, end)
      if (this.#heldLength < FRAME_HEADER) return end
      i = end
    }
    const held = this.#held
    const size = (held[0]! << 16) | (held[1]! << 8) | held[2]!
    const type = held[3]!
    const id = uint31(held, 5)
    if (size > this.#maxFrame) {
      this.#heldLength = 0
      this.#sink.brokenFrame(FRAME_SIZE_ERROR, TOO_LONG)
      return length
    }
    if (type === DATA) {
      this.#letGo()
      this.#beginData(held[4]!, id, size)
      return i
    }
    const end = Math.min(length, i + FRAME_HEADER + size - this.#heldLength)
    this.#hold(b, i, end)
    if (this.#heldLength < FRAME_HEADER + size) return end
    const whole = this.#held
    this.#letGo()
    this.#sink.frame(type, whole[4]!, id, whole, FRAME_HEADER, FRAME_HEADER + size)
    return end
  }

  #letGo(): void {
    this.#heldLength = 0
    this.#held = NO_BYTES
  }
}
