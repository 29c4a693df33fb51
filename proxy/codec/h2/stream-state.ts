/**
 * The states of a stream (RFC 9113 section 5.1), by direction: what comes is the peer's message, what goes is ours.
 *
 * | RFC 9113             | comes              | goes             |
 * |----------------------|--------------------|------------------|
 * | open                 | HEAD_DUE, BODY_DUE | before ENDED     |
 * | half-closed (remote) | ENDED              | before ENDED     |
 * | half-closed (local)  | HEAD_DUE, BODY_DUE | ENDED            |
 * | closed               | ENDED, or OVER     | ENDED, or OVER   |
 *
 * An idle stream has no object, and nothing is ever reserved, because we allow no push.
 */

/** Only interim heads have come, if any. */
export const HEAD_DUE = 0
/** The head has come; DATA and trailers may follow. */
export const BODY_DUE = 1
/** END_STREAM has come; what came may still wait for the receiver. */
export const ENDED = 2
/** The stream is closed in both directions, by their ends or before. */
export const OVER = 3

/** Frames of the peer, as far as the state depends on them. An interim head changes nothing. */
export const HEAD = 0
export const HEAD_AND_END = 1
export const DATA = 2
export const DATA_AND_END = 3

/** Not states: such a frame breaks a rule. */
export const BEFORE_HEAD = 4
export const AFTER_END = 5
/** A second head that does not end the stream, and so is no trailers. */
export const SECOND_HEAD = 6

const FRAMES = 4
const COMES = Uint8Array.of(
  // HEAD, HEAD_AND_END, DATA, DATA_AND_END
  ...[BODY_DUE, ENDED, BEFORE_HEAD, BEFORE_HEAD],
  ...[SECOND_HEAD, ENDED, BODY_DUE, ENDED],
  ...[AFTER_END, AFTER_END, AFTER_END, AFTER_END],
  ...[AFTER_END, AFTER_END, AFTER_END, AFTER_END],
)

/** The state of what comes after `frame`, or the rule it breaks: then it is above `OVER`. */
export function afterFrame(comes: number, frame: number): number {
  return COMES[comes * FRAMES + frame]!
}

/** No final head has been written. */
export const UNBEGUN = 0
/** The head waits until the peer has said whether it takes such a request. */
export const ASKING = 1
/** The head is out; a body and trailers may follow. */
export const WRITING = 2
/** The head is out, and no body goes with it, whatever its maker writes. */
export const BODILESS = 3
/** The peer wants nothing more of this direction of a tunnel: what is written to it is dropped. */
export const UNWANTED = 4
/** Its writer has written all; some of it waits for a window. */
export const WRITTEN = 5
/** Our END_STREAM is out, or nothing more is to go. */
export const SENT = 6
/** The stream is closed. */
export const GONE = 7

/** What happens to our message. */
export const ASK = 0
export const WRITE_HEAD = 1
export const WRITE_BODILESS_HEAD = 2
export const WRITE_END = 3
export const SEND_END = 4
/** The peer wants no more of it, and the other direction goes on: of a tunnel, and of a request. */
export const REFUSE_TUNNEL = 5
export const REFUSE_REST = 6

/** Not a state: it comes too early or too late, and is ignored. */
export const IGNORED = 8

const STEPS = 7
const no = IGNORED
const GOES = Uint8Array.of(
  // ASK, WRITE_HEAD, WRITE_BODILESS_HEAD, WRITE_END, SEND_END, REFUSE_TUNNEL, REFUSE_REST
  ...[ASKING, WRITING, BODILESS, no, no, no, SENT],
  ...[no, WRITING, no, no, no, no, SENT],
  ...[no, no, no, WRITTEN, no, UNWANTED, SENT],
  ...[no, no, no, WRITTEN, no, no, SENT],
  ...[no, no, no, WRITTEN, no, no, SENT],
  ...[no, no, no, no, SENT, SENT, SENT],
  ...[no, no, no, no, no, no, no],
  ...[no, no, no, no, no, no, no],
)

/** The state of what goes after `step`, or `IGNORED`. */
export function afterStep(goes: number, step: number): number {
  return GOES[goes * STEPS + step]!
}

/** A body or trailers may be written. */
export function mayWrite(goes: number): boolean {
  return goes >= WRITING && goes <= UNWANTED
}
