import type { Failure } from '../../core/failure.ts'
import type { RequestHead, ResponseHead } from '../../core/message.ts'
import type { Http2Stream } from './stream.ts'

/** What ended a stream before its time. */
export const BY_RESET = 0
export const BY_LOSS = 1
/** The peer broke a rule. */
export const BY_RULE = 2
export const BY_US = 3
export type Cause = typeof BY_RESET | typeof BY_LOSS | typeof BY_RULE | typeof BY_US

/** What differs between the two ends of a connection. All is called by `Http2Connection` and its streams. */
export interface Side {
  readonly isClient: boolean
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
  /** Never used so far by who opens streams. */
  isIdle(id: number): boolean
  writeHead(stream: Http2Stream, head: RequestHead | ResponseHead, end: boolean): void
  /** Our END_STREAM is out. */
  sent(stream: Http2Stream): void
  /** The end of the peer's message was handed on. */
  received(stream: Http2Stream): void
  /** Its receiver wants to hear nothing more. */
  isOver(stream: Http2Stream): boolean
  /** A RST_STREAM of the peer says nothing against the peer. */
  forgives(stream: Http2Stream): boolean
  /** Whoever uses the stream gives it up. */
  reset(stream: Http2Stream, failure: Failure): void
  /** What to tell the receiver; `code` of RST_STREAM or GOAWAY. */
  failure(stream: Http2Stream, cause: Cause, code: number): Failure
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
