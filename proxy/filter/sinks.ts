import type { Failure } from '../core/failure.ts'
import type { BodySink, Next, NextOfResponse, RequestSink, ResponseSink, Sinks } from '../core/filter.ts'
import type { Headers, ResponseHead } from '../core/message.ts'

/** Where the sinks of a direction end: at the endpoint, or at the caller. */
type End = BodySink & Next

/** The sinks of one direction, joined: what a filter writes to `next` is what the sink after it gets. */
export class SinkList<Sink extends RequestSink | ResponseSink> implements Sinks<Sink> {
  #end: End
  readonly #sinks: Sink[] = []
  /** One behind each sink, and one for the filter that is asked next. */
  readonly #links: Link[]

  constructor(end: End) {
    this.#end = end
    this.#links = [new Link(end)]
  }

  /** An empty list, for another exchange. */
  begin(end: End): void {
    this.#end = end
    this.#links[0]!.endsAt(end)
  }

  /** What the filter that is asked next writes to, if it wants the body. */
  get next(): NextOfResponse {
    return this.#links.at(-1)!
  }

  /** Null: the filter that was asked last does not want the body. */
  add(sink: Sink | null): void {
    if (sink === null) return
    const before = this.#links.at(-2)
    if (before !== undefined) before.to = sink
    this.#links.at(-1)!.before = this.#sinks.at(-1) ?? null
    this.#sinks.push(sink)
    this.#links.push(new Link(this.#end))
  }

  get isEmpty(): boolean {
    return this.#sinks.length === 0
  }

  get first(): Sink {
    return this.#sinks[0]!
  }

  writable(): void {
    this.#sinks.at(-1)!.writable()
  }

  close(): void {
    for (const link of this.#links) link.isClosed = true
  }
}

/** Between one sink and the next, or the end. */
class Link implements NextOfResponse {
  isClosed = false
  to: BodySink
  /** The sink that writes here is fed by this one; null: by the source. */
  before: { writable(): void } | null = null
  #end: End

  constructor(end: End) {
    this.#end = end
    this.to = end
  }

  endsAt(end: End): void {
    this.#end = end
    this.to = end
  }

  head(head: ResponseHead, end: boolean): void {
    if (!this.isClosed) (this.to as ResponseSink).head(head, end)
  }

  data(chunk: Buffer, end: boolean): boolean {
    return this.isClosed || this.to.data(chunk, end)
  }

  trailers(trailers: Headers): void {
    if (!this.isClosed) this.to.trailers(trailers)
  }

  resume(): void {
    if (this.isClosed) return
    if (this.before === null) this.#end.resume()
    else this.before.writable()
  }

  fail(failure: Failure, detail: string): void {
    if (!this.isClosed) this.#end.fail(failure, detail)
  }
}
