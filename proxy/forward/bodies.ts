import type { Exchange } from '../core/exchange.ts'
import type { Failure } from '../core/failure.ts'
import type { FilterChain, NextOfRequest, NextOfResponse, RequestSink, ResponseSink, Sinks } from '../core/filter.ts'
import type { DownstreamStream, Headers, MessageSink, ResponseHead } from '../core/message.ts'

/** The exchange whose bodies go through sinks. */
export interface BodiesOwner {
  readonly exchange: Exchange
  readonly stream: DownstreamStream
  /** A piece of the request as it is to leave. False: it is held, or the endpoint reads no faster. */
  send(chunk: Buffer, end: boolean): boolean
  sendTrailers(trailers: Headers): void
  /** The endpoint may send on. */
  resumeAnswer(): void
  sinkFailed(failure: Failure, detail: string): void
  complete(failure: Failure | null, detail: string): void
}

/**
 * The bodies of an exchange whose filters change them: both ends of both ways. Made for a stream when a first exchange
 * has such filters; its later exchanges use it again.
 */
export class Bodies {
  readonly #owner: BodiesOwner
  readonly #requestEnd: RequestEnd
  readonly #responseEnd: ResponseEnd
  #request: Sinks<RequestSink> | null = null
  #response: Sinks<ResponseSink> | null = null

  constructor(owner: BodiesOwner) {
    this.#owner = owner
    this.#requestEnd = new RequestEnd(owner)
    this.#responseEnd = new ResponseEnd(owner)
  }

  /** The sink the request body goes into; null: it leaves as it is. */
  openRequest(filters: FilterChain): RequestSink | null {
    this.#request = filters.requestSinks(this.#owner.exchange, this.#requestEnd)
    return this.#request?.first ?? null
  }

  /** The endpoint takes more of the request. */
  requestWritable(): void {
    if (this.#request === null) this.#owner.stream.resume()
    else this.#request.writable()
  }

  /** The sink the answer goes into; null: it goes down as it is. */
  openResponse(filters: FilterChain): ResponseSink | null {
    this.#responseEnd.begin()
    this.#response = filters.responseSinks(this.#owner.exchange, this.#responseEnd)
    return this.#response?.first ?? null
  }

  /** The caller reads again. */
  responseWritable(): void {
    if (this.#response === null) this.#owner.resumeAnswer()
    else this.#response.writable()
  }

  /** A head has gone down. */
  get hasHead(): boolean {
    return this.#responseEnd.hasHead
  }

  /** The answer has been said to its sinks; true: and they have said all as well. */
  responseSaid(failure: Failure | null, detail: string): boolean {
    return this.#response === null || this.#responseEnd.said(failure, detail)
  }

  /** The answer has begun to go through sinks, and they have not said all. */
  get isUnfinished(): boolean {
    return this.#response !== null && !this.#responseEnd.hasEnded
  }

  close(): void {
    this.#request?.close()
    this.#response?.close()
    this.#request = null
    this.#response = null
  }
}

/** Where the request leaves its last sink. */
class RequestEnd implements NextOfRequest {
  readonly #owner: BodiesOwner

  constructor(owner: BodiesOwner) {
    this.#owner = owner
  }

  data(chunk: Buffer, end: boolean): boolean {
    // What is empty and ends nothing would be the end of a chunked body.
    return (chunk.length === 0 && !end) || this.#owner.send(chunk, end)
  }

  trailers(trailers: Headers): void {
    this.#owner.sendTrailers(trailers)
  }

  resume(): void {
    this.#owner.stream.resume()
  }

  fail(failure: Failure, detail: string): void {
    this.#owner.sinkFailed(failure, detail)
  }
}

/** Where the answer leaves its last sink. */
class ResponseEnd implements NextOfResponse {
  readonly #owner: BodiesOwner
  hasHead = false
  hasEnded = false
  /** The source has said all: how the exchange ends when this end has, too. */
  #isSaid = false
  #failure: Failure | null = null
  #detail = ''

  constructor(owner: BodiesOwner) {
    this.#owner = owner
  }

  begin(): void {
    this.hasHead = false
    this.hasEnded = false
    this.#isSaid = false
  }

  said(failure: Failure | null, detail: string): boolean {
    this.#isSaid = true
    this.#failure = failure
    this.#detail = detail
    return this.hasEnded
  }

  head(head: ResponseHead, end: boolean): void {
    this.hasHead = true
    this.#owner.exchange.status = head.status
    this.#owner.stream.head(head, end)
    if (end) this.#ended()
  }

  data(chunk: Buffer, end: boolean): boolean {
    const { exchange, stream } = this.#owner
    if (chunk.length === 0 && !end) return true
    exchange.bytesOut += chunk.length
    const writable = stream.data(chunk, end)
    if (end) this.#ended()
    return writable
  }

  trailers(trailers: Headers): void {
    this.#owner.stream.trailers(trailers)
    this.#ended()
  }

  #ended(): void {
    this.hasEnded = true
    if (this.#isSaid) this.#owner.complete(this.#failure, this.#detail)
  }

  resume(): void {
    this.#owner.resumeAnswer()
  }

  fail(failure: Failure, detail: string): void {
    this.#owner.sinkFailed(failure, detail)
  }
}

/** Where an answer goes: down, or into the first sink. */
export type Down = Pick<MessageSink<ResponseHead>, 'head' | 'data' | 'trailers'>
