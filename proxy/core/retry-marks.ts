import type { Cells } from './cells.ts'
import type { Exchange } from './exchange.ts'
import { hash32 } from './hash.ts'
import { traceIdOf } from './trace.ts'

/** Of each kind: 64 KiB. A mark has the choice of two, and takes the place of the older one where both are taken. */
const PLACES = 8192
const PLACE_WORDS = 2
/** What an application still does for a request after that is taken for a request of its own. */
const KEPT_MS = 30_000

/**
 * Calls that an application makes for a request are known by the trace id, or by the request id, that it passes on. So
 * the two sides of a sidecar can tell each other, over all data threads: this request came as a retry, so what it
 * causes is tried less often; what it caused was tried as often as it may be, so its own failure is not to be tried
 * again. The memory is bounded, and a mark that is lost costs a retry.
 */
export class RetryMarks {
  readonly #name: string
  readonly #cells: Cells
  #words: Int32Array | null = null

  constructor(name: string, cells: Cells) {
    this.#name = name
    this.#cells = cells
  }

  /** Most sidecars never have one, so the memory is taken with the first. */
  get #marks(): Int32Array {
    this.#words ??= this.#cells.open(`retry marks ${this.#name}`, PLACES * PLACE_WORDS).words
    return this.#words
  }

  mark(exchange: Exchange, now: number): void {
    const trace = traceIdOf(exchange)
    if (trace !== '') this.#keep(hash32(trace), now)
    if (exchange.requestId !== '') this.#keep(hash32(exchange.requestId), now)
  }

  has(exchange: Exchange, now: number): boolean {
    const trace = traceIdOf(exchange)
    return (
      (trace !== '' && this.#isKept(hash32(trace), now)) ||
      (exchange.requestId !== '' && this.#isKept(hash32(exchange.requestId), now))
    )
  }

  #keep(hash: number, now: number): void {
    const marks = this.#marks
    const one = placeOf(hash)
    const other = placeOf(hash >>> 16)
    const isOtherOlder = ((Atomics.load(marks, other + 1) - Atomics.load(marks, one + 1)) | 0) < 0
    const place = Atomics.load(marks, one) !== (hash | 0) && isOtherOlder ? other : one
    Atomics.store(marks, place + 1, (now + KEPT_MS) | 0)
    Atomics.store(marks, place, hash | 0)
  }

  #isKept(hash: number, now: number): boolean {
    return this.#isAt(placeOf(hash), hash, now) || this.#isAt(placeOf(hash >>> 16), hash, now)
  }

  #isAt(place: number, hash: number, now: number): boolean {
    const marks = this.#marks
    return Atomics.load(marks, place) === (hash | 0) && ((Atomics.load(marks, place + 1) - now) | 0) > 0
  }
}

function placeOf(hash: number): number {
  return (hash & (PLACES - 1)) * PLACE_WORDS
}

/** What one data thread has of them. */
export interface AllRetryMarks {
  /** Requests that came as retries. */
  readonly retried: RetryMarks
  /** Requests for which something was tried as often as it may be. */
  readonly spent: RetryMarks
}

export function retryMarks(cells: Cells): AllRetryMarks {
  return { retried: new RetryMarks('retried', cells), spent: new RetryMarks('spent', cells) }
}
