import type { Clock } from '../../core/clock.ts'
import type { Rate } from './options.ts'

/** A token bucket. Time is asked for only when the bucket runs low: nearly all connections never use up their burst. */
export class Budget {
  readonly #rate: Rate
  readonly #clock: Clock
  #left: number
  #since: number

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate
    this.#clock = clock
    this.#left = rate.burst
    this.#since = -1
  }

  /** False: spent. */
  take(): boolean {
    if (--this.#left >= 0) {
      if (this.#since < 0) this.#since = this.#clock.now()
      return true
    }
    const now = this.#clock.now()
    const earned = ((now - this.#since) * this.#rate.perSecond) / 1000
    this.#since = now
    this.#left = Math.min(this.#rate.burst, earned) - 1
    return this.#left >= 0
  }

  /** Useful work allows more. */
  give(count: number): void {
    if (this.#left < this.#rate.burst) this.#left = Math.min(this.#rate.burst, this.#left + count)
  }
}

const KEPT_IDS = 64

/**
 * The stream ids closed last, and which side closed them: so that late frames are told from wrong ones without keeping
 * every stream (RFC 9113 section 5.1).
 */
export class ClosedStreams {
  /** Grows to what it keeps at most: most connections have few streams, and wait. */
  readonly #ids: number[] = []
  #at = 0

  /** `byUs`: with RST_STREAM, so the peer may not know yet. */
  add(id: number, byUs: boolean): void {
    this.#ids[this.#at] = byUs ? -id : id
    this.#at = (this.#at + 1) % KEPT_IDS
  }

  find(id: number): 'reset' | 'ended' | 'unknown' {
    for (let i = 0; i < this.#ids.length; i++) {
      const found = this.#ids[i]!
      if (found === -id) return 'reset'
      if (found === id) return 'ended'
    }
    return 'unknown'
  }
}
