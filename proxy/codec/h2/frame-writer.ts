import type { Headers, RequestHead, ResponseHead } from '../../core/message.ts'
import type { Wire } from '../../core/wire.ts'
import { NO_BYTES } from '../bytes.ts'
import { encodeCarriedRequest, encodeCarriedResponse, encodeCarriedTrailers } from '../hop/encode.ts'
import { SOURCE } from '../hop/names.ts'
import { piece } from '../piece.ts'
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  MIN_MAX_FRAME,
  PING,
  putFrameHeader,
  putUint32,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './frame.ts'
import { encodeFields, encodeRequest, encodeResponse } from './head-writer.ts'
import { Encoder } from './hpack/encoder.ts'

/** Four full DATA frames and some small ones. */
const OUT_BYTES = 4 * (MIN_MAX_FRAME + FRAME_HEADER) + 1024
/** Room a head finds at least; a larger one is moved. */
const HEAD_ROOM = 2048
/**
 * DATA frames we send are no longer, whatever the peer takes: others of the connection want their turn. One large read.
 */
const MAX_SENT_FRAME = 256 * 1024
/**
 * From here on the bytes of a DATA frame are sent from where they lie: a copy costs more than a second piece of a
 * write.
 */
const BY_REFERENCE = 32 * 1024
/** Behind bytes that wait, less than this is copied to memory of its own size. */
const COPIED = 16 * 1024

/** Buffers that are free. A connection has one only while a turn gathers frames for it. */
const free: Buffer[] = []
const KEPT = 16

function takeBuffer(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(OUT_BYTES)
}

/**
 * Gathers the frames of all streams of a connection in one buffer; its owner sends them with `flush` when the turn
 * ends.
 */
export class FrameWriter {
  /** Above the wire's high mark: `drained` will follow. */
  full = false
  maxFrame = MIN_MAX_FRAME
  readonly #wire: Wire
  readonly #encoder: Encoder
  #buffer: Buffer | null = null
  #at = 0

  /** To an endpoint: what is asked for is an https resource there, however the caller came. */
  readonly #isSecure: boolean

  constructor(wire: Wire, headerTableBytes: number, isClient: boolean) {
    this.#wire = wire
    this.#isSecure = isClient && wire.peer.tls !== undefined
    this.#encoder = new Encoder(NO_BYTES, headerTableBytes)
  }

  peerSettings(maxFrameBytes: number, headerTableBytes: number): void {
    this.maxFrame = Math.min(maxFrameBytes, MAX_SENT_FRAME)
    this.#encoder.resize(headerTableBytes)
  }

  get isEmpty(): boolean {
    return this.#at === 0
  }

  #room(bytes: number): Buffer {
    if (this.#at + bytes > OUT_BYTES) this.flush()
    this.#buffer ??= takeBuffer()
    return this.#buffer
  }

  flush(): void {
    if (this.#buffer !== null) this.#send(this.#buffer, null)
  }

  /** What was gathered, and `behind` it bytes that lie elsewhere. */
  #send(buffer: Buffer, behind: Buffer | null): void {
    const length = this.#at
    this.#buffer = null
    this.#at = 0
    const waits = this.#wire.unsent !== 0 && length < COPIED
    const bytes = waits ? Buffer.from(buffer.subarray(0, length)) : piece(buffer, 0, length)
    if (!(behind === null ? this.#wire.write(bytes) : this.#wire.writeTwo(bytes, behind))) this.full = true
    // What did not leave at once is the wire's; the collector takes it in the end.
    if ((waits || this.#wire.unsent === 0) && free.length < KEPT) free.push(buffer)
  }

  /** What was gathered can no longer be sent. */
  drop(): void {
    if (this.#buffer !== null && free.length < KEPT) free.push(this.#buffer)
    this.#buffer = null
    this.#at = 0
  }

  drained(): void {
    this.full = false
  }

  raw(bytes: Buffer): void {
    const out = this.#room(bytes.length)
    this.#at += bytes.copy(out, this.#at)
  }

  /** `source`: the service of this sidecar, where the peer is one too; else empty. */
  request(id: number, head: RequestHead, end: boolean, source: string): void {
    this.#beginBlock()
    encodeRequest(this.#encoder, head, this.#isSecure ? 'https' : head.scheme)
    if (source !== '') this.#encoder.field(SOURCE, source, false)
    this.#endBlock(id, end)
  }

  /** To the next sidecar, which writes it as HTTP/1.1 again. */
  carriedRequest(id: number, head: RequestHead, end: boolean, source: string): void {
    this.#beginBlock()
    encodeCarriedRequest(this.#encoder, head)
    if (source !== '') this.#encoder.field(SOURCE, source, false)
    this.#endBlock(id, end)
  }

  /** `hasBody`: something follows. */
  carriedResponse(id: number, head: ResponseHead, end: boolean, hasBody: boolean): void {
    this.#beginBlock()
    encodeCarriedResponse(this.#encoder, head, hasBody)
    this.#endBlock(id, end)
  }

  response(id: number, head: ResponseHead, end: boolean): void {
    this.#beginBlock()
    encodeResponse(this.#encoder, head)
    this.#endBlock(id, end)
  }

  /** `carried`: from one sidecar to another, with their names as they were. */
  trailers(id: number, trailers: Headers, carried: boolean): void {
    this.#beginBlock()
    if (carried) encodeCarriedTrailers(this.#encoder, trailers)
    else encodeFields(this.#encoder, trailers)
    this.#endBlock(id, true)
  }

  #beginBlock(): void {
    this.#encoder.begin(this.#room(HEAD_ROOM), this.#at + FRAME_HEADER)
  }

  #endBlock(id: number, end: boolean): void {
    const encoder = this.#encoder
    const { out, at } = encoder
    const from = this.#at + FRAME_HEADER
    const length = at - from
    const flags = end ? END_STREAM : 0
    encoder.out = NO_BYTES
    if (out === this.#buffer && length <= this.maxFrame) {
      putFrameHeader(out, this.#at, length, HEADERS, flags | END_HEADERS, id)
      this.#at = at
    } else this.#longBlock(id, flags, Buffer.from(out.subarray(from, at)))
  }

  /**
   * A block that needs several frames, or more room than was there. Nothing may come between them (RFC 9113 section
   * 6.10).
   */
  #longBlock(id: number, flags: number, block: Buffer): void {
    for (let from = 0; from < block.length || from === 0; ) {
      const to = Math.min(block.length, from + MIN_MAX_FRAME)
      const out = this.#room(FRAME_HEADER + to - from)
      const last = to === block.length ? END_HEADERS : 0
      this.#at = putFrameHeader(
        out,
        this.#at,
        to - from,
        from === 0 ? HEADERS : CONTINUATION,
        from === 0 ? flags | last : last,
        id,
      )
      this.#at += block.copy(out, this.#at, from, to)
      from = to
      if (last !== 0) return
    }
  }

  /** All of `chunk[from..to)`, in as few frames as the peer allows. */
  data(id: number, chunk: Buffer, from: number, to: number, end: boolean): void {
    let at = from
    do {
      const length = Math.min(to - at, this.maxFrame)
      const isCopied = length < BY_REFERENCE
      const out = this.#room(FRAME_HEADER + (isCopied ? length : 0))
      const last = at + length === to
      this.#at = putFrameHeader(out, this.#at, length, DATA, last && end ? END_STREAM : 0, id)
      if (!isCopied) this.#send(out, chunk.subarray(at, at + length))
      else if (length !== 0) this.#at += chunk.copy(out, this.#at, at, at + length)
      at += length
    } while (at < to)
  }

  reset(id: number, code: number): void {
    const out = this.#room(FRAME_HEADER + 4)
    const at = putFrameHeader(out, this.#at, 4, RST_STREAM, 0, id)
    putUint32(out, at, code)
    this.#at = at + 4
  }

  windowUpdate(id: number, increment: number): void {
    const out = this.#room(FRAME_HEADER + 4)
    const at = putFrameHeader(out, this.#at, 4, WINDOW_UPDATE, 0, id)
    putUint32(out, at, increment)
    this.#at = at + 4
  }

  settingsAck(): void {
    this.#at = putFrameHeader(this.#room(FRAME_HEADER), this.#at, 0, SETTINGS, ACK, 0)
  }

  /** The eight bytes are `b[from..from + 8)`. */
  ping(b: Buffer, from: number, ack: boolean): void {
    const out = this.#room(FRAME_HEADER + 8)
    const at = putFrameHeader(out, this.#at, 8, PING, ack ? ACK : 0, 0)
    b.copy(out, at, from, from + 8)
    this.#at = at + 8
  }

  goaway(lastId: number, code: number, detail: string): void {
    const out = this.#room(FRAME_HEADER + 8 + detail.length)
    const at = putFrameHeader(out, this.#at, 8 + detail.length, GOAWAY, 0, 0)
    putUint32(out, at, lastId)
    putUint32(out, at + 4, code)
    this.#at = at + 8 + out.latin1Write(detail, at + 8, detail.length)
  }
}
