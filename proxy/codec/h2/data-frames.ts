import type { Clock } from '../../core/clock.ts'
import { END_STREAM, FLOW_CONTROL_ERROR, PROTOCOL_ERROR, STREAM_CLOSED } from './frame.ts'
import type { Guard } from './options.ts'
import type { ReceiveFlow } from './receive-flow.ts'
import type { Http2Stream } from './stream.ts'
import { BEFORE_HEAD, DATA } from './stream-state.ts'

/** What they need of the connection. */
export interface DataHost {
  readonly side: { readonly isClient: boolean }
  readonly streams: ReadonlyMap<number, Http2Stream>
  readonly flow: ReceiveFlow
  readonly clock: Clock
  /** One more frame that makes work and carries nothing; false: too many. */
  mayChat(): boolean
  /** What was read of the connection's window may be given back. */
  creditConnection(): void
  /** A frame on a stream that is not there. */
  closedStreamFrame(id: number, what: string): void
  streamError(stream: Http2Stream, code: number, detail: string): void
  connectionError(code: number, detail: string, guard: Guard | null): void
}

/** DATA frames: checked when they begin, and handed to their stream as they come. */
export class DataFrames {
  readonly #host: DataHost
  /** Null: what comes is of no stream that takes it. */
  #stream: Http2Stream | null = null
  #id = 0
  #ends = false

  constructor(host: DataHost) {
    this.#host = host
  }

  /** `isAllowed`: DATA may stand here; the connection is over where it may not. */
  begun(flags: number, id: number, length: number, isAllowed: boolean): void {
    const host = this.#host
    this.#stream = null
    this.#id = id
    this.#ends = (flags & END_STREAM) !== 0
    if (!isAllowed) return
    if (id === 0) return host.connectionError(PROTOCOL_ERROR, 'DATA on stream 0 (RFC 9113 section 6.1)', null)
    if (!host.flow.receive(length)) {
      const detail = 'more than the window of the connection (RFC 9113 section 6.9)'
      return host.connectionError(FLOW_CONTROL_ERROR, detail, null)
    }
    if (length === 0 && !this.#ends && !host.mayChat()) return
    const stream = host.streams.get(id)
    if (stream === undefined) return host.closedStreamFrame(id, 'DATA')
    const broken = stream.ruleBrokenBy(DATA)
    if (broken !== 0)
      return broken === BEFORE_HEAD
        ? host.streamError(stream, PROTOCOL_ERROR, 'DATA before the head (RFC 9113 section 8.1)')
        : host.streamError(stream, STREAM_CLOSED, 'DATA after the end of the stream (RFC 9113 section 5.1)')
    stream.input.window -= length
    if (stream.input.window < 0)
      return host.streamError(stream, FLOW_CONTROL_ERROR, 'more than the window of the stream (RFC 9113 section 6.9)')
    this.#stream = stream
  }

  piece(b: Buffer, from: number, to: number, last: boolean): void {
    const host = this.#host
    const stream = this.#stream
    if (stream !== null && !stream.closed && stream.id === this.#id) {
      if (!host.side.isClient) stream.movedAt = host.clock.now()
      stream.input.receive(b, from, to, last && this.#ends)
    }
    if (last) host.creditConnection()
  }
}
