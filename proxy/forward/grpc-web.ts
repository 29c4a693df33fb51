import { type Failure, failures } from '../core/failure.ts'
import { isGrpc } from '../core/grpc.ts'
import type { DownstreamStream, Headers, Receiver, RequestHead, ResponseHead } from '../core/message.ts'
import { Base64Reader, base64 } from './base64.ts'
import type { Forward } from './forward.ts'

const NOTHING = Buffer.alloc(0)
/** The flag of a frame that holds trailers, in place of a message (grpc/doc/PROTOCOL-WEB.md). */
const TRAILERS = 0x80
const PREFIX_BYTES = 5
const WEB = 'application/grpc-web'
const WEB_TEXT = 'application/grpc-web-text'
const GRPC = 'application/grpc'

/**
 * gRPC-Web for endpoints that speak gRPC: stands between an exchange and its stream until the next request of that
 * stream, so that others meet nothing of it. Messages pass as they are, in text mode from and to base64; trailers
 * become the last frame of the body.
 */
export function translateGrpcWeb(forward: Forward): void {
  const { exchange, stream, body } = forward
  const { headers } = exchange.request
  const type = headers.get('content-type')!
  const isText = exchange.grpc === 'grpc-web-text'
  // As Envoy: what the caller accepts decides, and where it does not say, what it sent.
  const accept = headers.get('accept') ?? ''
  const request = new WebRequest(forward, stream, isText ? new Base64Reader() : null)
  stream.receiver = request
  forward.stream = new WebAnswer(stream, accept.includes(WEB_TEXT) || (isText && !accept.includes(WEB)))
  headers.set('content-type', GRPC + type.slice(isText ? WEB_TEXT.length : WEB.length))
  headers.set('te', 'trailers')
  // Of the other protocol, and the length of a body that becomes another.
  for (const name of ['accept', 'x-grpc-web', 'content-length']) headers.delete(name)
  if (body.translate(chunk => request.read(chunk)) && (!body.ended || request.isWhole)) return
  forward.fail(failures.badRequest, NO_BASE64)
}

const NO_BASE64 = 'the body of application/grpc-web-text is not base64'

/** Stands in for the exchange: what comes of a gRPC-Web request. */
class WebRequest implements Receiver<RequestHead> {
  readonly #forward: Forward
  readonly #stream: DownstreamStream
  readonly #text: Base64Reader | null

  constructor(forward: Forward, stream: DownstreamStream, text: Base64Reader | null) {
    this.#forward = forward
    this.#stream = stream
    this.#text = text
  }

  /** Another request, which may be of any kind. */
  head(request: RequestHead, end: boolean): void {
    const forward = this.#forward
    this.#stream.receiver = forward
    forward.stream = this.#stream
    forward.head(request, end)
  }

  data(chunk: Buffer, end: boolean): boolean {
    const forward = this.#forward
    const bytes = this.read(chunk)
    if (bytes === null || (end && !this.isWhole)) {
      forward.reset(failures.badRequest, NO_BASE64)
      return true
    }
    return bytes.length === 0 && !end ? true : forward.data(bytes, end)
  }

  /** Messages of gRPC; null: it is no base64. */
  read(chunk: Buffer): Buffer | null {
    return this.#text === null ? chunk : this.#text.push(chunk)
  }

  get isWhole(): boolean {
    return this.#text === null || this.#text.isWhole
  }

  /** gRPC has none in requests, and gRPC-Web no place for them. */
  trailers(): void {
    this.data(NOTHING, true)
  }

  reset(failure: Failure, detail: string): void {
    this.#forward.reset(failure, detail)
  }

  writable(): void {
    this.#forward.writable()
  }
}

/** Stands in for the stream: makes gRPC-Web of a gRPC answer. What is no gRPC passes as it is. */
class WebAnswer implements DownstreamStream {
  receiver: Receiver<RequestHead> | null = null
  readonly #stream: DownstreamStream
  readonly #isText: boolean
  #isGrpc = false
  readonly #messages = new Messages()

  constructor(stream: DownstreamStream, isText: boolean) {
    this.#stream = stream
    this.#isText = isText
  }

  head(head: ResponseHead, end: boolean): void {
    const { headers, status } = head
    this.#isGrpc = status >= 200 && isGrpc(headers)
    if (this.#isGrpc) {
      headers.set('content-type', (this.#isText ? WEB_TEXT : WEB) + headers.get('content-type')!.slice(GRPC.length))
      headers.delete('content-length')
    }
    // Without a body the status stays in the head, as in gRPC (trailers-only).
    this.#stream.head(head, end)
  }

  data(chunk: Buffer, end: boolean): boolean {
    if (!this.#isGrpc) return this.#stream.data(chunk, end)
    this.#messages.push(chunk)
    return this.#stream.data(this.#isText && chunk.length !== 0 ? base64(chunk) : chunk, end)
  }

  trailers(trailers: Headers): void {
    if (!this.#isGrpc) return this.#stream.trailers(trailers)
    // Inside a message they would be taken for the rest of it.
    if (!this.#messages.isBetween)
      return this.#stream.reset(failures.resetAfterResponse, 'the answer ended inside a message')
    const frame = trailersFrame(trailers)
    this.#stream.data(this.#isText ? base64(frame) : frame, true)
  }

  reset(failure: Failure, detail: string): void {
    this.#stream.reset(failure, detail)
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
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
