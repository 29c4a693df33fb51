import type { Exchange } from '../core/exchange.ts'
import { failures } from '../core/failure.ts'
import type { Filter, NextOfRequest, NextOfResponse, RequestSink, ResponseSink } from '../core/filter.ts'
import { isGrpc } from '../core/grpc.ts'
import type { Headers, ResponseHead } from '../core/message.ts'
import { Base64Reader, base64 } from './base64.ts'

const NOTHING = Buffer.alloc(0)
/** The flag of a frame that holds trailers, in place of a message (grpc/doc/PROTOCOL-WEB.md). */
const TRAILERS = 0x80
const PREFIX_BYTES = 5
const WEB = 'application/grpc-web'
const WEB_TEXT = 'application/grpc-web-text'
const GRPC = 'application/grpc'

/**
 * gRPC-Web for endpoints that speak gRPC. Messages pass as they are, in text mode from and to base64; trailers become
 * the last frame of the body. What it keeps for the exchange: whether the answer is in text.
 */
export const grpcWeb: Filter = {
  name: 'grpc-web',
  request(exchange, next, slot) {
    const { grpc, cluster } = exchange
    const isText = grpc === 'grpc-web-text'
    if ((grpc !== 'grpc-web' && !isText) || !cluster!.speaksGrpc) return null
    exchange.keep(slot, wantsText(exchange, isText))
    editRequest(exchange, isText)
    return new WebRequest(next, isText ? new Base64Reader() : null)
  },
  response(exchange, next, slot) {
    const isText = exchange.kept<boolean>(slot)
    return isText === undefined ? null : new WebAnswer(next, isText)
  },
}

/** As Envoy: what the caller accepts decides, and where it does not say, what it sent. */
function wantsText({ request }: Exchange, isText: boolean): boolean {
  const accept = request.headers.get('accept') ?? ''
  return accept.includes(WEB_TEXT) || (isText && !accept.includes(WEB))
}

function editRequest({ request: { headers } }: Exchange, isText: boolean): void {
  const type = headers.get('content-type')!
  headers.set('content-type', GRPC + type.slice(isText ? WEB_TEXT.length : WEB.length))
  headers.set('te', 'trailers')
  // Of the other protocol, and the length of a body that becomes another.
  for (const name of ['accept', 'x-grpc-web', 'content-length']) headers.delete(name)
}

const NO_BASE64 = 'the body of application/grpc-web-text is not base64'

class WebRequest implements RequestSink {
  readonly #next: NextOfRequest
  readonly #text: Base64Reader | null

  constructor(next: NextOfRequest, text: Base64Reader | null) {
    this.#next = next
    this.#text = text
  }

  data(chunk: Buffer, end: boolean): boolean {
    const bytes = this.#text === null ? chunk : this.#text.push(chunk)
    if (bytes !== null && (!end || this.#text === null || this.#text.isWhole)) return this.#next.data(bytes, end)
    this.#next.fail(failures.badRequest, NO_BASE64)
    return true
  }

  /** gRPC has none in requests, and gRPC-Web no place for them. */
  trailers(): void {
    this.data(NOTHING, true)
  }

  writable(): void {
    this.#next.resume()
  }
}

/** Makes gRPC-Web of a gRPC answer. What is no gRPC passes as it is. */
class WebAnswer implements ResponseSink {
  readonly #next: NextOfResponse
  readonly #isText: boolean
  #isGrpc = false
  readonly #messages = new Messages()

  constructor(next: NextOfResponse, isText: boolean) {
    this.#next = next
    this.#isText = isText
  }

  head(head: ResponseHead, end: boolean): void {
    const { headers } = head
    this.#isGrpc = isGrpc(headers)
    if (this.#isGrpc) {
      headers.set('content-type', (this.#isText ? WEB_TEXT : WEB) + headers.get('content-type')!.slice(GRPC.length))
      headers.delete('content-length')
    }
    // Without a body the status stays in the head, as in gRPC (trailers-only).
    this.#next.head(head, end)
  }

  data(chunk: Buffer, end: boolean): boolean {
    if (!this.#isGrpc) return this.#next.data(chunk, end)
    this.#messages.push(chunk)
    return this.#next.data(this.#isText && chunk.length !== 0 ? base64(chunk) : chunk, end)
  }

  trailers(trailers: Headers): void {
    if (!this.#isGrpc) return this.#next.trailers(trailers)
    // Inside a message they would be taken for the rest of it.
    if (!this.#messages.isBetween)
      return this.#next.fail(failures.resetAfterResponse, 'the answer ended inside a message')
    const frame = trailersFrame(trailers)
    this.#next.data(this.#isText ? base64(frame) : frame, true)
  }

  writable(): void {
    this.#next.resume()
  }
}

/** Where the messages of a body begin and end: a flag, a length of four bytes, and so many bytes. */
class Messages {
  #prefixBytes = 0
  #length = 0
  #left = 0

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const here = Math.min(this.#left, chunk.length - at)
        this.#left -= here
        at += here
        continue
      }
      const byte = chunk[at++]!
      if (this.#prefixBytes > 0) this.#length = this.#length * 256 + byte
      if (++this.#prefixBytes !== PREFIX_BYTES) continue
      this.#left = this.#length
      this.#prefixBytes = 0
      this.#length = 0
    }
  }

  get isBetween(): boolean {
    return this.#left === 0 && this.#prefixBytes === 0
  }
}

/** Flag, length, and the fields as HTTP/1.1 would write them, names in lower case. */
function trailersFrame(trailers: Headers): Buffer {
  let text = ''
  trailers.forEach((name, value) => {
    text += `${name.toLowerCase()}: ${value}\r\n`
  })
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + text.length)
  frame[0] = TRAILERS
  frame.writeUInt32BE(text.length, 1)
  frame.latin1Write(text, PREFIX_BYTES)
  return frame
}
