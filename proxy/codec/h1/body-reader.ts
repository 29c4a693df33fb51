import { type Failure, failures } from '../../core/failure.ts'
import { HeaderList } from '../../core/header-list.ts'
import { CR, HEX, LF, NO_BYTES, SP } from '../bytes.ts'
import { piece } from '../piece.ts'
import { isTrailerField } from '../trailer-fields.ts'
import { Gathered } from './gathered.ts'
import { Http1Head } from './head.ts'
import { DONE, MORE, type Outcome } from './outcome.ts'
import { type HeadLimits, parseFields } from './parse.ts'

const NONE = 0
const LENGTH = 1
const CHUNK_SIZE = 2
const CHUNK_EXTENSION = 3
const CHUNK_SIZE_LF = 4
const CHUNK_DATA = 5
const CHUNK_DATA_CR = 6
const CHUNK_DATA_LF = 7
const TRAILERS = 8
const UNTIL_CLOSE = 9

/** Extension bytes of one body: enough for any honest use, and a bound on a sender that sends nothing else. */
const MAX_EXTENSION_BYTES = 16 * 1024
/** 13 hex digits are 2^52: a double holds them exactly. */
const MAX_SIZE_DIGITS = 13

export interface BodySink {
  bodyData(chunk: Buffer, end: boolean): void
  bodyTrailers(trailers: HeaderList): void
}

function bad(detail: string, failure: Failure = failures.badRequest): Outcome {
  return Object.freeze({ failure, detail })
}

export const brokenBody = {
  size: bad('malformed chunk size (RFC 9112 section 7.1)'),
  sizeEnd: bad('chunk size not ended by CRLF (RFC 9112 section 7.1)'),
  dataEnd: bad('chunk data not ended by CRLF (RFC 9112 section 7.1)'),
  extension: bad('too many bytes of chunk extensions (RFC 9112 section 7.1.1)', failures.headTooLarge),
  extensionByte: bad('a control byte in a chunk extension (RFC 9112 section 7.1.1)'),
}

/** Takes the framing off one body after the other (RFC 9112 sections 6 and 7). */
export class BodyReader {
  #state = NONE
  /** Bytes of the body, or of the chunk, still to come. */
  #left = 0
  #digits = 0
  #extensionBytes = 0
  /** The trailer section as it came in. */
  #trailers: Http1Head | null = null
  #trailerBytes = NO_BYTES
  readonly #gathered = new Gathered()
  #sink: BodySink
  #limits: HeadLimits
  readonly #ofRequests: boolean

  /** `ofRequests`: the bodies are theirs, and not of responses. */
  constructor(sink: BodySink, limits: HeadLimits, ofRequests: boolean) {
    this.#sink = sink
    this.#limits = limits
    this.#ofRequests = ofRequests
  }

  beginLength(bytes: number): void {
    this.#state = bytes === 0 ? NONE : LENGTH
    this.#left = bytes
  }

  beginChunked(): void {
    this.#state = CHUNK_SIZE
    this.#left = 0
    this.#digits = 0
    this.#extensionBytes = 0
  }

  beginUntilClose(): void {
    this.#state = UNTIL_CLOSE
  }

  get done(): boolean {
    return this.#state === NONE
  }

  /** Only the close of the connection ends this body. */
  get endsAtClose(): boolean {
    return this.#state === UNTIL_CLOSE
  }

  /** What is surely still to come; Infinity when the framing does not say. */
  get expected(): number {
    if (this.#state === LENGTH) return this.#left
    return this.#state === NONE ? 0 : Number.POSITIVE_INFINITY
  }

  /** Where reading stopped: after the body when it is `done`, else at the end of the bytes. */
  at = 0

  /**
   * MORE while the body goes on, DONE when it is whole, or what is wrong. The sink gets each piece inside this call.
   */
  read(b: Buffer, from: number, length: number): Outcome {
    if (this.#state === LENGTH) {
      const end = Math.min(length, from + this.#left)
      this.at = end
      if (end === from) return MORE
      this.#left -= end - from
      if (this.#left !== 0) {
        this.#sink.bodyData(piece(b, from, end), false)
        return MORE
      }
      this.#state = NONE
      this.#sink.bodyData(piece(b, from, end), true)
      return DONE
    }
    if (this.#state === UNTIL_CLOSE) {
      this.at = length
      if (length > from) this.#sink.bodyData(b.subarray(from, length), false)
      return MORE
    }
    return this.#readChunked(b, from, length)
  }

  #readChunked(b: Buffer, from: number, length: number): Outcome {
    let i = from
    // Data is handed on when it is known whether more follows in these bytes: so the last piece can carry the end.
    let heldFrom = 0
    let heldTo = 0
    while (i < length) {
      const byte = b[i]!
      switch (this.#state) {
        case CHUNK_SIZE: {
          const digit = HEX[byte]!
          if (digit !== 255) {
            if (++this.#digits > MAX_SIZE_DIGITS) return brokenBody.size
            this.#left = this.#left * 16 + digit
          } else if (this.#digits === 0) return brokenBody.size
          else if (byte === CR) this.#state = CHUNK_SIZE_LF
          else if (byte === 0x3b) this.#state = CHUNK_EXTENSION
          else return brokenBody.size
          i++
          break
        }
        case CHUNK_EXTENSION:
          // Extensions are read and dropped, as RFC 9112 section 7.1.1 allows; a bare CR or LF in them is a classic of
          // smuggling.
          if (byte === CR) this.#state = CHUNK_SIZE_LF
          else if ((byte < SP && byte !== 0x09) || byte === 0x7f) return brokenBody.extensionByte
          else if (++this.#extensionBytes > MAX_EXTENSION_BYTES) return brokenBody.extension
          i++
          break
        case CHUNK_SIZE_LF:
          if (byte !== LF) return brokenBody.sizeEnd
          i++
          this.#digits = 0
          if (this.#left === 0) this.#beginTrailers()
          else this.#state = CHUNK_DATA
          break
        case CHUNK_DATA: {
          if (heldTo !== heldFrom) this.#sink.bodyData(b.subarray(heldFrom, heldTo), false)
          const end = Math.min(length, i + this.#left)
          this.#left -= end - i
          heldFrom = i
          heldTo = end
          i = end
          if (this.#left === 0) this.#state = CHUNK_DATA_CR
          break
        }
        case CHUNK_DATA_CR:
          if (byte !== CR) return brokenBody.dataEnd
          this.#state = CHUNK_DATA_LF
          i++
          break
        case CHUNK_DATA_LF:
          if (byte !== LF) return brokenBody.dataEnd
          this.#state = CHUNK_SIZE
          i++
          break
        default: {
          const outcome = this.#readTrailers(b, i, length)
          if (outcome !== DONE) {
            if (heldTo !== heldFrom && outcome === MORE) this.#sink.bodyData(b.subarray(heldFrom, heldTo), false)
            return outcome
          }
          this.#finishChunked(b, heldFrom, heldTo)
          return DONE
        }
      }
    }
    this.at = i
    if (heldTo !== heldFrom) this.#sink.bodyData(b.subarray(heldFrom, heldTo), false)
    return MORE
  }

  #beginTrailers(): void {
    this.#state = TRAILERS
    this.#trailers ??= new Http1Head()
    this.#trailers.clear()
    this.#trailerBytes = NO_BYTES
  }

  #readTrailers(b: Buffer, from: number, length: number): Outcome {
    const trailers = this.#trailers!
    const before = this.#trailerBytes.length
    // Nearly always no trailers, or all of them in these bytes; else they are gathered.
    const bytes =
      before === 0 ? b.subarray(from, length) : this.#gathered.append(this.#trailerBytes, b.subarray(from, length))
    const outcome = parseFields(trailers, bytes, bytes.length, this.#limits, false)
    if (outcome === MORE) {
      this.#trailerBytes = before === 0 ? Buffer.from(bytes) : bytes
      this.at = length
    } else if (outcome === DONE) {
      this.at = from + trailers.end - before
      this.#trailerBytes = NO_BYTES
      this.#gathered.clear()
    }
    return outcome
  }

  #finishChunked(b: Buffer, heldFrom: number, heldTo: number): void {
    this.#state = NONE
    const trailers = this.#trailers!
    const list = trailers.count === 0 ? null : allowedTrailers(trailers, this.#ofRequests)
    if (list === null) {
      this.#sink.bodyData(b.subarray(heldFrom, heldTo), true)
      return
    }
    if (heldTo !== heldFrom) this.#sink.bodyData(b.subarray(heldFrom, heldTo), false)
    this.#sink.bodyTrailers(list)
  }
}

function allowedTrailers(head: Http1Head, isRequest: boolean): HeaderList | null {
  const list = new HeaderList()
  head.forEach((name, value) => {
    if (isTrailerField(name.toLowerCase(), isRequest)) list.pairs.push(name, value)
  })
  return list.pairs.length === 0 ? null : list
}
