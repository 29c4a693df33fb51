import type { Headers, RequestHead, ResponseHead } from '../../core/message.ts'
import type { Gatherer, TurnTask } from '../../core/turn.ts'
import type { Wire } from '../../core/wire.ts'
import { piece } from '../piece.ts'
import { CHUNKED_BODY, CLOSE_BODY, roomFor, TUNNEL_BODY, writeRequest, writeResponse } from './serialize.ts'

const NONE = 0
const LENGTH = 1
const CHUNKED = 2
const UNTIL_CLOSE = 3

/**
 * A body piece up to this size is copied behind what waits to be written, so that both leave in one write; a larger one
 * is written by reference.
 */
const COPIED = 32 * 1024
const LAST_CHUNK = Buffer.from('0\r\n\r\n')
const CRLF = Buffer.from('\r\n')

/**
 * Puts heads and framed bodies on a wire. What is small is gathered in the scratch buffer until the turn ends or the
 * message does: a head and its short body, or many small chunks, are one system call.
 */
export class Http1Writer implements Gatherer, TurnTask {
  readonly #wire: Wire
  #mode = NONE
  #left = 0
  /** Bytes gathered in the scratch buffer. */
  #gathered = 0
  #queued = false
  #writable = true

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** `body`: how what follows is framed, if anything does (`end`). */
  request(head: RequestHead, body: number, end: boolean): void {
    const buffer = this.#room(roomFor(head))
    this.#begun(buffer, writeRequest(head, body, buffer), body, end)
  }

  /**
   * `framing`: what the head says of the body, which may be more than there is (HEAD). `line`: fields of this
   * connection.
   */
  response(head: ResponseHead, framing: number, line: string, body: number, end: boolean): void {
    const buffer = this.#room(roomFor(head))
    this.#begun(buffer, writeResponse(head, framing, line, buffer), body, end)
  }

  #room(needed: number): Buffer {
    this.#wire.turns.gatherer?.flush()
    const scratch = this.#wire.scratch()
    return needed <= scratch.length ? scratch : Buffer.allocUnsafe(needed)
  }

  /** A head of `length` bytes lies in `buffer`. */
  #begun(buffer: Buffer, length: number, body: number, end: boolean): void {
    this.#mode =
      body >= 0
        ? LENGTH
        : body === CHUNKED_BODY
          ? CHUNKED
          : body === CLOSE_BODY || body === TUNNEL_BODY
            ? UNTIL_CLOSE
            : NONE
    this.#left = body
    if (end || buffer !== this.#wire.scratch()) {
      this.#note(this.#wire.write(piece(buffer, 0, length)))
      return
    }
    this.#gathered = length
    this.#hold()
  }

  /** From here on bytes go out as they are. */
  openTunnel(): void {
    this.flush()
    this.#mode = UNTIL_CLOSE
  }

  /** As much has been written as the head said: else the peer would take the next message for the rest. */
  get complete(): boolean {
    return this.#mode !== LENGTH || this.#left === 0
  }

  /** False: above the high watermark. */
  data(chunk: Buffer, end: boolean): boolean {
    // No body goes with this head (HEAD, 204, 304), whatever its maker wrote.
    if (this.#mode === NONE) return this.#writable
    if (this.#mode === LENGTH) {
      // What is beyond the length said would be taken for the next message.
      if (chunk.length > this.#left) chunk = chunk.subarray(0, this.#left)
      this.#left -= chunk.length
    }
    if (chunk.length > COPIED) this.#large(chunk)
    else if (chunk.length !== 0) this.#small(chunk)
    if (end && this.#mode === CHUNKED) this.#gather(LAST_CHUNK)
    if (end) this.flush()
    return this.#writable
  }

  #small(chunk: Buffer): void {
    const chunked = this.#mode === CHUNKED
    const size = chunked ? `${chunk.length.toString(16)}\r\n` : ''
    const needed = chunk.length + size.length + 2 + LAST_CHUNK.length
    this.#take()
    let scratch = this.#wire.scratch()
    if (this.#gathered + needed > scratch.length) {
      this.flush()
      this.#take()
      scratch = this.#wire.scratch()
    }
    let at = this.#gathered
    if (chunked) at += scratch.latin1Write(size, at)
    at += chunk.copy(scratch, at)
    if (chunked) at += CRLF.copy(scratch, at)
    this.#gathered = at
    this.#hold()
  }

  #large(chunk: Buffer): void {
    if (this.#mode === CHUNKED) {
      this.#gather(Buffer.from(`${chunk.length.toString(16)}\r\n`, 'latin1'))
      const gathered = this.#takeGathered()
      this.#note(this.#wire.writeTwo(gathered, chunk))
      this.#gather(CRLF)
    } else if (this.#gathered !== 0) this.#note(this.#wire.writeTwo(this.#takeGathered(), chunk))
    else this.#note(this.#wire.write(chunk))
  }

  /** Ends a chunked body with trailers; elsewhere there is no place for them (RFC 9112 section 7.1.2). */
  trailers(trailers: Headers): void {
    if (this.#mode === CHUNKED) {
      let section = '0\r\n'
      trailers.forEach((name, value) => {
        section += `${name}: ${value}\r\n`
      })
      this.#gather(Buffer.from(`${section}\r\n`, 'latin1'))
    }
    this.flush()
  }

  #gather(bytes: Buffer): void {
    this.#take()
    let scratch = this.#wire.scratch()
    if (this.#gathered + bytes.length > scratch.length) {
      this.flush()
      if (bytes.length > scratch.length) {
        this.#note(this.#wire.write(bytes))
        return
      }
      this.#take()
      scratch = this.#wire.scratch()
    }
    this.#gathered += bytes.copy(scratch, this.#gathered)
    this.#hold()
  }

  /** The scratch buffer is this writer's. */
  #take(): void {
    const { turns } = this.#wire
    if (turns.gatherer === this) return
    turns.gatherer?.flush()
    turns.gatherer = this
  }

  #hold(): void {
    this.#wire.turns.gatherer = this
    if (this.#queued) return
    this.#queued = true
    this.#wire.turns.atEnd(this)
  }

  /** Gathered bytes, no longer waiting: to be written before anything else happens. */
  #takeGathered(): Buffer {
    const bytes = piece(this.#wire.scratch(), 0, this.#gathered)
    this.#gathered = 0
    this.#wire.turns.gatherer = null
    return bytes
  }

  flush(): void {
    if (this.#gathered !== 0) this.#note(this.#wire.write(this.#takeGathered()))
    const { turns } = this.#wire
    if (turns.gatherer === this) turns.gatherer = null
  }

  #note(writable: boolean): void {
    if (!writable) this.#writable = false
  }

  /** The wire has sent all. */
  drained(): void {
    this.#writable = true
  }

  turnEnded(): void {
    this.#queued = false
    this.flush()
  }
}
