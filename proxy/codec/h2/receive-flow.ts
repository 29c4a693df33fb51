import { DEFAULT_WINDOW } from './frame.ts'
import type { Http2Options } from './options.ts'

/** The window of a connection grows no larger: the first windows of 256 streams. */
const MAX_CONNECTION_WINDOW = 64 * 1024 * 1024

/** The part of a stream that its window depends on. */
export interface Flowing {
  /** Bytes the peer may still send. */
  window: number
  /** What its window was given beyond the first one. */
  extra: number
}

/**
 * What the peer may send. The window of the connection is given back as bytes are read, whichever stream they are for:
 * one whose receiver has stopped, or which ended with unread bytes, costs the others nothing. What bounds memory is the
 * window of each stream. Every stream has the first one, whatever others do. Beyond that, windows grow to twice what
 * came within one round trip, measured with a PING while much is coming (as gRPC does), out of a sum that all streams
 * share: one that has stopped keeps its part and gets no more, and the others share the rest.
 */
export class ReceiveFlow {
  /** Bytes the peer may still send on the connection. */
  window = DEFAULT_WINDOW
  /** What a stream's window grows to while there is room. */
  streamTarget: number
  /** A PING is under way; bytes that came since. */
  isSampling = false
  #sampled = 0
  /** So much came since the last PING that the window of the connection may be too small. */
  #mayGrow = false
  /**
   * Since the PING some of it had to be held: its readers are what it waits for, and no larger window would make them
   * faster.
   */
  #hasHeld = false
  /** Of every stream, to begin with. */
  readonly streamWindow: number
  #target: number
  readonly #maxStream: number
  /** Of what windows may have beyond the first, over all streams: how much is left, and how many have some. */
  #spare: number
  #grown = 0

  /** `bufferBytes`: what windows may have beyond the first, and how large one of them may become. */
  constructor(options: Http2Options, bufferBytes: number) {
    this.#maxStream = Math.max(DEFAULT_WINDOW, bufferBytes)
    this.#spare = this.#maxStream
    this.#target = Math.max(DEFAULT_WINDOW, options.connectionWindowBytes)
    this.streamWindow = Math.min(this.#maxStream, options.streamWindowBytes)
    this.streamTarget = this.streamWindow
  }

  /** False: more than the peer may send. */
  receive(length: number): boolean {
    this.window -= length
    this.#sampled += length
    return this.window >= 0
  }

  /**
   * What to give back to the connection now; 0 for not yet. Half a window at a time, so that a WINDOW_UPDATE serves
   * many frames.
   */
  credit(): number {
    const due = this.#target - this.window
    if (due * 2 < this.#target) return 0
    this.#mayGrow = this.#target < MAX_CONNECTION_WINDOW
    this.window += due
    return due
  }

  /**
   * What to give the stream, whose receiver has taken something; 0 for not yet. `held`: what came and was not taken.
   * `most`: no window is larger for now.
   */
  creditStream(stream: Flowing, held: number, most: number): number {
    const taken = stream.window + held
    if (taken * 2 > this.streamTarget) return 0
    const others = this.#grown - (stream.extra > 0 ? 1 : 0)
    const mine = Math.min(
      this.streamTarget - this.streamWindow,
      this.#maxStream / (others + 1),
      this.#spare + stream.extra,
    )
    // What is granted already cannot be taken back.
    this.#setExtra(stream, Math.max(0, most > this.streamWindow ? Math.floor(mine) : 0, taken - this.streamWindow))
    const target = Math.min(most, this.streamWindow + stream.extra)
    if (taken * 2 > target) return 0
    stream.window += target - taken
    return target - taken
  }

  /** The stream is over. */
  ended(stream: Flowing): void {
    if (stream.extra !== 0) this.#setExtra(stream, 0)
  }

  #setExtra(stream: Flowing, extra: number): void {
    this.#grown += Math.sign(extra) - Math.sign(stream.extra)
    this.#spare += stream.extra - extra
    stream.extra = extra
  }

  /** What came must be held. */
  held(): void {
    this.#hasHeld = true
  }

  get maySample(): boolean {
    return !this.isSampling && (this.streamTarget < this.#maxStream || this.#mayGrow)
  }

  beginSample(): void {
    this.isSampling = true
    this.#mayGrow = false
    this.#sampled = 0
    this.#hasHeld = false
  }

  /** The PING came back. */
  endSample(): void {
    this.isSampling = false
    if (this.#hasHeld) return
    const wanted = 2 * this.#sampled
    // Filled by two thirds: the sender may have waited for us.
    if (this.#sampled * 3 >= this.streamTarget * 2)
      this.streamTarget = Math.min(this.#maxStream, Math.max(this.streamTarget, wanted))
    if (this.#sampled * 3 >= this.#target * 2)
      this.#target = Math.min(MAX_CONNECTION_WINDOW, Math.max(this.#target, wanted))
    // Some streams beside the one that fills its window.
    this.#target = Math.max(this.#target, Math.min(MAX_CONNECTION_WINDOW, 2 * this.streamTarget))
  }
}
