import { DEFAULT_WINDOW } from './frame.ts'
import type { Http2Options } from './options.ts'

/**
 * What the peer may send: the window of the connection, and how large those of streams should be. They grow to twice what came within one round trip, measured with a
 * PING while much is coming (as gRPC does), so a long fat line is filled and a short one costs little memory.
 */
export class ReceiveFlow {
  /** Bytes the peer may still send on the connection. */
  window = DEFAULT_WINDOW
  /** Bytes that came for streams whose receivers have stopped. */
  held = 0
  target: number
  streamTarget: number
  /** A PING is under way; bytes that came since. */
  isSampling = false
  #sampled = 0
  /** Since the PING some of it had to be held: its readers are what it waits for, and no larger window would make them faster. */
  #hasHeld = false
  /** Of every stream, to begin with. */
  readonly streamWindow: number
  #max: number
  readonly #maxStream: number

  /** `bufferBytes`: what may be held of the connection. */
  constructor(options: Http2Options, bufferBytes: number) {
    this.#max = Math.max(DEFAULT_WINDOW, bufferBytes)
    this.#maxStream = this.#max
    this.target = Math.min(this.#max, options.connectionWindowBytes)
    this.streamWindow = Math.min(this.#max, options.streamWindowBytes)
    this.streamTarget = this.streamWindow
  }

  /** The connection stands for many: at least so much may be held of it, and of a stream no more than before. */
  widen(target: number): void {
    this.target = Math.max(this.target, target)
    this.#max = Math.max(this.#max, target)
  }

  /** False: more than the peer may send. */
  receive(length: number): boolean {
    this.window -= length
    this.#sampled += length
    return this.window >= 0
  }

  /**
   * What to give back now; 0 for not yet. Half a window at a time, so that a WINDOW_UPDATE serves many frames. What is held stays counted: window and held bytes
   * together are never more than the target.
   */
  credit(): number {
    const due = this.target - this.window - this.held
    if (due * 2 < this.target) return 0
    this.window += due
    return due
  }

  /** Readers that have stopped hold more than half of what may be held. */
  get isClogged(): boolean {
    return this.held * 2 > this.target
  }

  hold(bytes: number): void {
    this.held += bytes
    this.#hasHeld = true
  }

  get maySample(): boolean {
    return !this.isSampling && (this.streamTarget < this.#maxStream || this.target < this.#max)
  }

  beginSample(): void {
    this.isSampling = true
    this.#sampled = 0
    this.#hasHeld = this.held !== 0
  }

  /** The PING came back. */
  endSample(): void {
    this.isSampling = false
    if (this.#hasHeld) return
    const wanted = 2 * this.#sampled
    // Filled by two thirds: the sender may have waited for us.
    if (this.#sampled * 3 >= this.streamTarget * 2) this.streamTarget = Math.min(this.#maxStream, Math.max(this.streamTarget, wanted))
    if (this.#sampled * 3 >= this.target * 2) this.target = Math.min(this.#max, Math.max(this.target, wanted))
    // Some streams beside the one that fills its window.
    this.target = Math.min(this.#max, Math.max(this.target, 2 * this.streamTarget))
  }
}
