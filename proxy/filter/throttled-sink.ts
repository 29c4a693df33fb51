import type { Clock, Timer } from '../core/clock.ts'
import type { NextOfResponse, ResponseSink } from '../core/filter.ts'
import { HeaderList } from '../core/header-list.ts'
import type { Headers, ResponseHead } from '../core/message.ts'

/** Between two pieces. */
const EVERY_MS = 50
/** With more than this the source pauses. */
const MOST_HELD = 16 * 1024
const NOTHING = Buffer.alloc(0)

/** The body of an answer at so many bytes a second, a piece each 50 ms. */
export class ThrottledSink implements ResponseSink {
  readonly #next: NextOfResponse
  readonly #clock: Clock
  readonly #bytesPerMs: number
  readonly #timer: Timer
  readonly #held: Buffer[] = []
  #bytes = 0
  #isArmed = false
  /** The source was told to wait. */
  #isPaused = false
  /** What comes after takes no more for now. */
  #isBlocked = false
  #hasEnded = false
  #trailers: HeaderList | null = null
  /** Bytes are due since then. */
  #since = 0

  constructor(next: NextOfResponse, bytesPerSecond: number, clock: Clock) {
    this.#next = next
    this.#clock = clock
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#timer = clock.timer(() => {
      this.#isArmed = false
      this.#send()
    })
  }

  head(head: ResponseHead, end: boolean): void {
    this.#since = this.#clock.now()
    this.#next.head(head, end)
  }

  data(chunk: Buffer, end: boolean): boolean {
    // What it views is read into again.
    if (chunk.length !== 0) this.#held.push(Buffer.from(chunk))
    else if (end && this.#bytes === 0) return this.#next.data(NOTHING, true)
    this.#bytes += chunk.length
    this.#hasEnded = end
    this.#wait()
    this.#isPaused = this.#bytes > MOST_HELD
    return !this.#isPaused
  }

  trailers(trailers: Headers): void {
    const kept = new HeaderList()
    trailers.forEach((name, value) => {
      kept.add(name, value)
    })
    this.#trailers = kept
    this.#wait()
  }

  writable(): void {
    this.#isBlocked = false
    this.#wait()
  }

  /** The exchange is over. */
  stop(): void {
    this.#timer.cancel()
    this.#held.length = 0
  }

  #wait(): void {
    if (this.#isArmed || this.#isBlocked) return
    this.#isArmed = true
    this.#timer.arm(EVERY_MS)
  }

  #send(): void {
    if (this.#isBlocked) return
    const now = this.#clock.now()
    let due = Math.floor((now - this.#since) * this.#bytesPerMs)
    if (due < 1 && this.#bytes > 0) return this.#wait()
    this.#since = now
    while (due > 0 && this.#held.length > 0 && !this.#isBlocked) {
      const piece = this.#take(due)
      due -= piece.length
      this.#isBlocked = !this.#next.data(piece, this.#hasEnded && this.#bytes === 0)
    }
    if (this.#bytes > 0) this.#wait()
    else this.#end()
    if (this.#isPaused && this.#bytes <= MOST_HELD) {
      this.#isPaused = false
      this.#next.resume()
    }
  }

  #take(most: number): Buffer {
    const first = this.#held[0]!
    const piece = first.subarray(0, most)
    if (piece.length === first.length) this.#held.shift()
    else this.#held[0] = first.subarray(piece.length)
    this.#bytes -= piece.length
    return piece
  }

  /** All that came has been sent. */
  #end(): void {
    if (this.#trailers !== null) this.#next.trailers(this.#trailers)
    this.#trailers = null
  }
}
