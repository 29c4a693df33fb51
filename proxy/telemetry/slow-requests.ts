import { bucketBound, bucketOf, HISTOGRAM_BUCKETS } from '../core/slots.ts'
import type { RouteStats } from '../core/telemetry.ts'

/** So many requests make a percentile; the first time fewer do, so that a quiet route has one, too. */
const WINDOW = 2048
const FIRST_WINDOW = 256
const SHARE = 0.99

/**
 * Is a request slower than the 99th percentile of its route? By the requests of the window before: what became slower
 * for good is not slow for long. Counting one costs an increment; the percentile is read once a window.
 */
export class SlowRequests {
  readonly #byRoute = new WeakMap<RouteStats, Window>()
  #lastRoute: RouteStats | null = null
  #lastWindow: Window | null = null

  /** Counts it as well. */
  isSlow(route: RouteStats, milliseconds: number): boolean {
    if (route !== this.#lastRoute) {
      this.#lastRoute = route
      this.#lastWindow = this.#windowOf(route)
    }
    return this.#lastWindow!.isSlow(milliseconds)
  }

  #windowOf(route: RouteStats): Window {
    let window = this.#byRoute.get(route)
    if (window === undefined) {
      window = new Window()
      this.#byRoute.set(route, window)
    }
    return window
  }
}

class Window {
  readonly #counts = new Uint16Array(HISTOGRAM_BUCKETS)
  #left = FIRST_WINDOW
  #size = FIRST_WINDOW
  /** The upper bound of the bucket that the percentile lies in, milliseconds. */
  #limit = Number.POSITIVE_INFINITY

  isSlow(milliseconds: number): boolean {
    this.#counts[bucketOf(milliseconds)]!++
    const isSlow = milliseconds > this.#limit
    if (--this.#left === 0) this.#next()
    return isSlow
  }

  #next(): void {
    let left = this.#size * SHARE
    let bucket = 0
    for (; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
      left -= this.#counts[bucket]!
      if (left <= 0) break
    }
    this.#limit = bucketBound(bucket)
    this.#counts.fill(0)
    this.#left = WINDOW
    this.#size = WINDOW
  }
}
