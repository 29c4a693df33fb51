import type { Clock } from './clock.ts'
import type { Failure } from './failure.ts'
import type { DownstreamStream, Protocol, RequestHead, UpstreamStream } from './message.ts'
import type { Peer, Wire } from './wire.ts'

/** Bytes <-> streams for one protocol. */
export interface Codec {
  readonly protocol: Protocol
  serve(
    wire: Wire,
    onStream: (stream: DownstreamStream) => void,
    options: DownstreamOptions,
    clock: Clock,
  ): DownstreamConnection
  connect(wire: Wire, owner: UpstreamOwner, options: UpstreamOptions): UpstreamConnection
}

/** One that an HTTP/1.1 connection may change to. */
export interface UpgradeCodec extends Codec {
  /**
   * The connection from its first request on, which offered the change; the answer to that offer is written. Null: the
   * offer is not as it should be, and nothing was done. The request is of HTTP/1.1, has no body, and nothing came
   * behind it.
   */
  upgrade(
    request: RequestHead,
    wire: Wire,
    onStream: (stream: DownstreamStream) => void,
    options: DownstreamOptions,
    clock: Clock,
  ): DownstreamConnection | null
}

export interface DownstreamOptions {
  readonly maxHeaders: number
  readonly maxHeadBytes: number
  readonly maxTargetBytes: number
  /** HTTP/2: requests at once on the connection. */
  readonly maxStreams: number
  readonly headTimeoutMs: number
  readonly bodyTimeoutMs: number
  readonly idleTimeoutMs: number
  /**
   * Callers are told that HTTP/1.1 may come to this port as HTTP/2 (codec/hop), and over how many connections at least.
   * Absent or 0: they are not.
   */
  readonly hopThreads?: number
  /** What the proxy says of refusals it made before there was a stream to tell (a malformed head, a head timeout). */
  readonly onRefused: (refusal: Refusal) => void
  readonly onClosed: (connection: DownstreamConnection) => void
  /** HTTP/1.1: a first request with Upgrade, without a body. True: another codec has the wire now, and the request. */
  readonly onUpgrade?: (connection: DownstreamConnection, request: RequestHead, wire: Wire) => boolean
}

/** A request refused by the codec itself: it never reached the corridor. */
export interface Refusal {
  readonly failure: Failure
  readonly detail: string
  readonly peer: Peer
  readonly protocol: Protocol
}

export interface UpstreamOptions {
  readonly bufferBytes: number
  /** HTTP/2: a PING when nothing has come for so long. 0: none. */
  readonly keepAliveMs?: number
  readonly maxHeaders: number
  readonly maxHeadBytes: number
}

export interface DownstreamConnection {
  /**
   * HTTP/1: `connection: close` on the next response, idle ones closed now. HTTP/2: GOAWAY, and closed when no stream
   * runs any more.
   */
  drain(): void
  /**
   * It has become old: as `drain`, but an idle HTTP/1 connection waits for its next request, because a close would race
   * with it, and so does one whose answer could not say that it is the last. Where `idleMs` is not 0, they wait no longer
   * than that.
   */
  retire(idleMs: number): void
  destroy(): void
}

/** The owner of an upstream connection, which hears of its life: a pool. */
export interface UpstreamOwner {
  /** The stream is done and the connection may carry another one. */
  released(connection: UpstreamConnection): void
  /** The connection is gone. `idle`: no stream was on it. */
  closed(connection: UpstreamConnection, idle: boolean): void
  /** The peer said how long it keeps an idle connection (`Keep-Alive: timeout=`), in milliseconds. */
  idleHint(milliseconds: number): void
  /** The peer said that it is a sidecar, which takes HTTP/1.1 as HTTP/2 on the same port. */
  offered?(): void
  /**
   * Whether it has proven to be a sidecar, as against having said so: by an HTTP/2 connection, which no server makes by
   * accident. `later`: it is asked now, and `answer` is called once, from the event loop.
   */
  vouched?(answer: (isSidecar: boolean) => void): boolean | 'later'
}

export interface UpstreamConnection {
  /** How many more streams it takes now. HTTP/1: 0 or 1. */
  readonly capacity: number
  /** Streams that run. HTTP/1: 0 or 1. */
  readonly active: number
  /** Streams at once, as far as the peer has said. HTTP/1: 1. */
  readonly limit: number
  /**
   * So many of its streams were cancelled that the peer may soon take it for an attack: another connection serves new
   * ones better. HTTP/1: never.
   */
  readonly worn: boolean
  /**
   * The peer is a sidecar that takes HTTP/1.1 as HTTP/2, on so many data threads; 0: it is not; -1: it has not said
   * yet.
   */
  readonly hopThreads: number
  open(): UpstreamStream
  destroy(): void
}
