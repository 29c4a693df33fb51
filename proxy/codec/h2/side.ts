import type { Failure } from '../../core/failure.ts'
import type { Http2Stream, StreamSide } from './stream.ts'

/** What differs between the two ends of a connection, beside what differs for their streams. */
export interface Side extends StreamSide {
  /** Of the peer's streams: the highest it opened. */
  readonly lastId: number
  /** What the peer said when it went away, for streams that are lost with the connection; empty: nothing. */
  readonly farewell: string
  /**
   * The block `b[from..to)` of a stream, null when there is none of that id now. `problem`: a rule that its frame
   * broke; empty for none. It must be decoded all the same.
   */
  headers(
    id: number,
    stream: Http2Stream | null,
    b: Buffer,
    from: number,
    to: number,
    end: boolean,
    problem: string,
  ): void
  /** Never used so far by the side that opens streams. */
  isIdle(id: number): boolean
  /** A RST_STREAM of the peer says nothing against the peer. */
  forgives(stream: Http2Stream): boolean
  /** The stream is over and may be used again. */
  finished(stream: Http2Stream): void
  goaway(lastId: number, detail: string): void
  /** Our SETTINGS are acknowledged, or the peer's changed. */
  settingsChanged(): void
  /** A rule of the whole connection was broken; called before its streams are told. */
  refused(failure: Failure, detail: string): void
  /** Nothing goes or comes any more; once. */
  closed(): void
  /** A timer fired: look after what is this side's; call `connection.wake` for what comes next. */
  sweep(now: number): void
  turnEnded(): void
  /** A block begins that is not whole. */
  blockBegun(now: number): void
  /** Our PING of a drain came back: all that was sent before it has been read. */
  drainAnswered(): void
}
