import type { ConcurrencySpec } from '../../mesh-config/snapshot.ts'
import type { Cell } from '../core/cells.ts'
import type { Random } from '../core/clock.ts'

export interface ConcurrencyDeps {
  readonly cell: Cell
  readonly random: Random
}

/** The words of its cell. */
const LIMIT = 0
/** The time of an unloaded answer, and the least of this interval, in microseconds; 0: not known. */
const BASELINE = 1
const LEAST = 2
/** When the window began, and what it holds. */
const WINDOW = 3
const COUNT = 4
/** The most requests under way in it. */
const PEAK = 5
/** When the baseline is due. */
const DUE = 6
/** Since when it is measured, and the limit meanwhile; 0: it is not. */
const SINCE = 7
const HELD = 8
const TIMES = 9
/** Times are counted by their logarithm, eight buckets for each doubling: within 9 % of each other. */
const PER_DOUBLING = 8
const BUCKETS = 28 * PER_DOUBLING

export const CONCURRENCY_WORDS = TIMES + BUCKETS

/** With fewer answers a window goes on, for so long. */
const FEWEST = 10
const LONGEST_MS = 1000
/** A measurement that gets no answers ends. */
const MEASURE_MS = 5000
/** The first one comes early: what was seen first may have been a loaded service. */
const FIRST_MS = 5000

/**
 * The adaptive concurrency of a service, after Envoy's gradient controller: in each window the time of its answers is
 * compared with that of unloaded ones (the baseline), and the limit moves by the quotient. One for all data threads, in
 * a cell: each counts its answers there, and the one that ends a window sets the limit.
 *
 * The baseline is the least time of an interval. Where `enforce` refuses requests just then, half as many are let
 * through at the end of the interval, so that it is seen again what an unloaded answer takes. Envoy lets three through,
 * whatever the load, which refuses nearly everything for a moment.
 */
export class Concurrency {
  /** A reload replaces it. */
  spec: ConcurrencySpec
  readonly #words: Int32Array
  readonly #deps: ConcurrencyDeps

  constructor(spec: ConcurrencySpec, deps: ConcurrencyDeps) {
    this.spec = spec
    this.#words = deps.cell.words
    this.#deps = deps
  }

  /** How many requests may be under way. */
  get limit(): number {
    const { minLimit, maxLimit } = this.spec
    const limit = Atomics.load(this.#words, HELD) || Atomics.load(this.#words, LIMIT)
    return limit === 0 ? maxLimit : Math.min(maxLimit, Math.max(minLimit, limit))
  }

  /** The same, where it refuses. */
  get enforced(): number {
    return this.spec.enforce ? this.limit : Number.POSITIVE_INFINITY
  }

  /** Of an unloaded answer; 0: it is not known. */
  get baselineMs(): number {
    return Atomics.load(this.#words, BASELINE) / 1000
  }

  /** An answer came `tookMs` after it was asked for. `running`: requests under way. */
  took(now: number, tookMs: number, running: number): void {
    const words = this.#words
    const since = Atomics.load(words, SINCE)
    // While the baseline is measured: only what was asked for since, and after the queue of before is gone.
    if (since !== 0 && ((((now - tookMs) | 0) - since) | 0) < 2 * this.baselineMs) return this.#endMeasure(now, since)
    Atomics.add(words, TIMES + bucketOf(tookMs), 1)
    const count = Atomics.add(words, COUNT, 1) + 1
    if (running > Atomics.load(words, PEAK)) Atomics.store(words, PEAK, running)
    if (since !== 0) return this.#endMeasure(now, since)
    const began = Atomics.load(words, WINDOW)
    const ageMs = ((now | 0) - began) | 0
    if (began === 0) Atomics.compareExchange(words, WINDOW, 0, word(now))
    else if (ageMs >= this.spec.updateMs && (count >= FEWEST || ageMs >= LONGEST_MS)) this.#endWindow(now, began)
  }

  /** One thread ends it: the one whose exchange took place. */
  #endWindow(now: number, began: number): void {
    const words = this.#words
    if (Atomics.compareExchange(words, WINDOW, began, word(now)) !== began) return
    const peak = Atomics.load(words, PEAK)
    const micros = this.#take()
    if (micros === 0) return
    const least = Atomics.load(words, LEAST)
    if (least === 0 || micros < least) Atomics.store(words, LEAST, micros)
    const baseline = Atomics.load(words, BASELINE)
    if (baseline === 0 || micros < baseline) Atomics.store(words, BASELINE, micros)
    const limit = this.limit
    this.#adapt(limit, peak, Atomics.load(words, BASELINE), micros)
    const due = Atomics.load(words, DUE)
    if (due === 0) Atomics.store(words, DUE, word(now + Math.min(FIRST_MS, this.#intervalMs())))
    else if ((((now | 0) - due) | 0) >= 0) this.#renew(now, peak >= limit ? limit : 0)
  }

  #adapt(limit: number, peak: number, baseline: number, micros: number): void {
    const { bufferPercent, minLimit, maxLimit } = this.spec
    const gradient = Math.min(2, Math.max(0.5, (baseline * (1 + bufferPercent / 100)) / micros))
    const scaled = limit * gradient
    const next = Math.min(maxLimit, Math.max(minLimit, scaled + Math.sqrt(scaled)))
    // What is not in use shows nothing: a quiet service keeps the limit that it has.
    if (next > limit && peak * 2 < limit) return
    Atomics.store(this.#words, LIMIT, Math.round(next))
  }

  // ── the baseline ──

  #intervalMs(): number {
    const { minRttIntervalMs, minRttJitterPercent } = this.spec
    return minRttIntervalMs * (1 + (this.#deps.random() * minRttJitterPercent) / 100)
  }

  /** `used`: the limit, where it was reached; 0: what was seen is a service without much load. */
  #renew(now: number, used: number): void {
    const words = this.#words
    Atomics.store(words, DUE, word(now + this.#intervalMs()))
    if (this.spec.enforce && used !== 0) {
      Atomics.store(words, HELD, Math.max(this.spec.minLimit, Math.floor(used / 2)))
      Atomics.store(words, SINCE, word(now))
    } else {
      Atomics.store(words, BASELINE, Atomics.load(words, LEAST))
      Atomics.store(words, LEAST, 0)
    }
  }

  #endMeasure(now: number, since: number): void {
    const words = this.#words
    const isOver = (((now | 0) - since) | 0) >= MEASURE_MS
    if (Atomics.load(words, COUNT) < this.spec.minRttRequests && !isOver) return
    if (Atomics.compareExchange(words, SINCE, since, 0) !== since) return
    const micros = this.#take()
    if (micros !== 0) Atomics.store(words, BASELINE, micros)
    Atomics.store(words, LEAST, 0)
    Atomics.store(words, HELD, 0)
    Atomics.store(words, WINDOW, word(now))
  }

  /** The time at the percentile of what was counted, in microseconds, and an empty window; 0: there is none. */
  #take(): number {
    const words = this.#words
    const wanted = (Atomics.load(words, COUNT) * this.spec.percentile) / 100
    let seen = 0
    let found = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = Atomics.exchange(words, TIMES + bucket, 0)
      seen += count
      if (found === 0 && count !== 0 && seen >= wanted) found = Math.round(2 ** ((bucket + 0.5) / PER_DOUBLING))
    }
    Atomics.store(words, COUNT, 0)
    Atomics.store(words, PEAK, 0)
    return found
  }

  /** The service has none any more. */
  stop(): void {
    this.#deps.cell.close()
  }
}

/** Never 0, which says that there is none. */
function word(now: number): number {
  return now | 0 || 1
}

function bucketOf(tookMs: number): number {
  return Math.min(BUCKETS - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, tookMs * 1000)) * PER_DOUBLING)))
}

/** How it stands, in words. */
export function concurrencyNote(concurrency: Concurrency, running: number): string {
  const { spec, limit, baselineMs } = concurrency
  const baseline = baselineMs === 0 ? 'not measured yet' : `an unloaded answer takes ${round(baselineMs)} ms`
  return `concurrency: ${spec.enforce ? 'limit' : 'advises a limit of'} ${limit}, ${running} under way; ${baseline}`
}

function round(ms: number): number {
  return ms >= 10 ? Math.round(ms) : Math.round(ms * 100) / 100
}
