import type { Failure } from './failure.ts'
import type { ToldIds } from './traceparent.ts'

/** What a caller speaks. `tcp`: a tunnel, whatever is in it. */
export type Protocol = 'http/1.1' | 'h2' | 'tcp'

/**
 * Names in any case when asked for. An edit of `content-length` or `transfer-encoding` changes how the body is framed:
 * either takes the place of the other, and without a length the body goes out in chunks. HTTP/1 keeps the bytes it read
 * and an edit list; HTTP/2 keeps pairs.
 */
export interface Headers {
  /** The values of a field that came several times are joined with ", " (RFC 9110 section 5.3). */
  get(name: string): string | undefined
  /** Replaces every field of that name. */
  set(name: string, value: string): void
  /** One more field, whatever there is of that name already (Set-Cookie). */
  add(name: string, value: string): void
  delete(name: string): void
  /** Names as they were written. */
  forEach(visit: (name: string, value: string) => void): void
  /** What Content-Length says, edits included; -1: nothing. */
  bodyLength(): number
  /** What it was before a sidecar sent it on as HTTP/2 (codec/hop); null: what it is. */
  carried(): Carried | null
  /** Which fields of trace context it has, and of those of sidecars: bits of core/trace-fields.ts. */
  traceFields(): number
  /**
   * Copies the value of a field (its name in lower case) as far as `into` has room, and returns its length; -1: there is none, or several. So a
   * head that is bytes makes no text of it.
   */
  copyValue(name: string, into: Uint8Array): number
  /**
   * `traceparent` is to be what `ids` say when the head is written, in the place of what it is; null: it is what it was
   * before. False: this head keeps texts, so `set` is to be asked.
   */
  tellTrace(ids: ToldIds | null): boolean
}

/** How the names of a head were written. */
export interface WrittenNames {
  readonly written: readonly string[]
  readonly lower: readonly string[]
  /** Transfer-Encoding is among them. */
  readonly hasCoding: boolean
  /** TE is among them. */
  readonly hasTe: boolean
}

/** A head that was HTTP/1.1 before it was carried as HTTP/2, as far as it takes to write it as it was. */
export interface Carried {
  readonly names: WrittenNames | null
  /** The reason phrase; null: the usual one of its status. */
  readonly reason: string | null
  /** Name, value, name, value ... up to `count`, as they came: a cookie may be several. */
  readonly pairs: readonly string[]
  readonly count: number
}

export interface RequestHead {
  readonly method: string
  readonly scheme: 'http' | 'https'
  /** Host and port as the caller wrote them, or a filter since; empty when HTTP/1.0 had none. */
  authority: string
  /** Path and query, as the caller wrote them or a filter since; of a CONNECT, the authority. */
  path: string
  /**
   * What the stream is to become: `connect` of a CONNECT, else the protocol asked for in small letters: `websocket`,
   * `spdy/3.1`. Empty for nearly all. An offer of several has them with commas between, until the route has settled on
   * one (`settleUpgrade` of core/tunnel.ts). Such a request may have a body, which `end` is about as ever; what follows
   * once an answer has opened the tunnel is one direction of that.
   */
  upgrade: string
  /** The service of the calling sidecar, as it says (codec/hop); empty or absent: not known. */
  readonly source?: string
  readonly headers: Headers
}

export interface ResponseHead {
  readonly status: number
  /**
   * The proxy that made this answer has had none of an application, and this is the name of its failure. The failure
   * table says whether one can have had the request, and so which requests may be sent again. Between two sidecars only
   * (codec/hop). Absent or empty in all other answers.
   */
  ownFailure?: string
  /** Valid only inside the call that delivers the head. */
  readonly headers: Headers
}

/**
 * One direction of one message: `head` (any number of 1xx response heads before the final one; 101 is final), then
 * `data` any number of times, then `trailers` at most once. It finishes exactly once: by `end`, by `trailers`, or by
 * `reset`.
 */
export interface MessageSink<Head> {
  head(head: Head, end: boolean): void
  /** False: above the high watermark. The caller pauses its own source until told `writable`. */
  data(chunk: Buffer, end: boolean): boolean
  trailers(trailers: Headers): void
  reset(failure: Failure, detail: string): void
}

/** What is attached to a stream: it gets the peer's message, and word that it may write again. */
export interface Receiver<Head> extends MessageSink<Head> {
  writable(): void
}

/** Both directions of one HTTP exchange on one connection, the same shape on either side of the proxy. */
export interface Stream<Incoming, Outgoing> extends MessageSink<Outgoing> {
  /**
   * A receiver is only called from the event loop: never inside the assignment, nor inside any method of this stream.
   * So a caller may finish what it does before anything comes back, and no state needs guarding.
   */
  receiver: Receiver<Incoming> | null
  pause(): void
  resume(): void
}

/**
 * On HTTP/1 one stream carries the requests of a connection one after the other: the `head` after an end begins the
 * next.
 */
export type DownstreamStream = Stream<RequestHead, ResponseHead>

export interface UpstreamStream extends Stream<ResponseHead, RequestHead> {
  /**
   * Its connection served a stream before, and no byte of an answer has come: a reset may only be a stale keep-alive.
   */
  readonly reused: boolean
  /** It is HTTP/1.1, carried as HTTP/2 to the next sidecar. */
  readonly carried: boolean
  /**
   * Of HTTP/1.1: it may be a sidecar, and answer that nothing of the request reached its application
   * (`ResponseHead.ownFailure`). So a body is worth keeping, whatever the method.
   */
  readonly mayTellFailure?: boolean
}
