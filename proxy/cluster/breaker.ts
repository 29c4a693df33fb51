import type { BreakerSpec } from '../../mesh-config/snapshot.ts'
import type { BreakerState } from '../core/breaker-state.ts'
import type { Cell } from '../core/cells.ts'
import type { Random } from '../core/clock.ts'

export interface BreakerDeps {
  readonly cell: Cell
  readonly random: Random
  /** By the data thread that made the change; `forMs`: how long it stays open. */
  changed(to: BreakerState, why: string, forMs: number): void
}

/** The words of its cell. */
const STATE = 0
/** When it may be probed. */
const UNTIL = 1
/** When the probes of this round began. */
const SINCE = 2
/** How often it has opened since it was closed last. */
const TRIPS = 3
/** Of the round of probes. */
const ADMITTED = 4
const FINISHED = 5
const FAILED = 6
const SLOW = 7
const BUCKETS = 8
/** The window is so many buckets: what is older than that leaves it a tenth at a time. */
const COUNT = 10
/** Of a bucket: which part of time it is for, and what was counted in it. */
const EPOCH = 0
const ALL = 1
const BUCKET_WORDS = 4

export const BREAKER_WORDS = BUCKETS + COUNT * BUCKET_WORDS

/** The state word is a number that grows with each change, and the state in its last two bits. */
const CLOSED = 0
const OPEN = 1
const HALF_OPEN = 2
const names: readonly BreakerState[] = ['closed', 'open', 'half-open']

/** Counts of a round of probes carry the number of their round, so that none has to be reset. */
const ROUND_SHIFT = 10
const COUNT_MASK = (1 << ROUND_SHIFT) - 1
const ROUND_MASK = 0x1f_ffff

export interface Seen {
  readonly answers: number
  readonly failed: number
  readonly slow: number
}

/**
 * The breaker of a service. Closed, it counts the answers of a sliding window; above a share of failures or of slow
 * answers it opens. Open, it refuses everything for a while. Then a few requests probe (half-open): they close it, or
 * open it for longer. Its state is in a cell: every change is one compare-and-exchange, and the thread whose exchange
 * took place tells of it.
 */
export class Breaker {
  /** A reload replaces it. */
  spec: BreakerSpec
  readonly #words: Int32Array
  readonly #deps: BreakerDeps

  constructor(spec: BreakerSpec, deps: BreakerDeps) {
    this.spec = spec
    this.#words = deps.cell.words
    this.#deps = deps
  }

  get state(): BreakerState {
    return names[Atomics.load(this.#words, STATE) & 3]!
  }

  get isClosed(): boolean {
    return (Atomics.load(this.#words, STATE) & 3) === CLOSED
  }

  /** How long nothing is let through; 0: it is not open, or the next request is a probe. */
  leftMs(now: number): number {
    const words = this.#words
    return (Atomics.load(words, STATE) & 3) === OPEN ? Math.max(0, (Atomics.load(words, UNTIL) - (now | 0)) | 0) : 0
  }

  /** `admit` would refuse. */
  refuses(now: number): boolean {
    const word = Atomics.load(this.#words, STATE)
    if ((word & 3) === OPEN) return this.leftMs(now) > 0
    if ((word & 3) === CLOSED) return false
    return this.#inRound(ADMITTED, word) >= this.spec.probes && !this.#isStuck(now)
  }

  /** May a request go? A probe is counted. */
  admit(now: number): boolean {
    const words = this.#words
    const word = Atomics.load(words, STATE)
    const state = word & 3
    if (state === CLOSED) return true
    if (state === OPEN) {
      if (this.leftMs(now) > 0) return false
      this.#beginRound(word, now, true)
    } else if (this.#inRound(ADMITTED, word) >= this.spec.probes) {
      // Probes whose callers went away, or that hang: others take their place.
      if (!this.#isStuck(now)) return false
      this.#beginRound(word, now, false)
    }
    const present = Atomics.load(words, STATE)
    return (present & 3) === HALF_OPEN ? this.#addInRound(ADMITTED, present, this.spec.probes) > 0 : this.isClosed
  }

  /** How an attempt went that began at `startedAt`. */
  ended(now: number, startedAt: number, isFailure: boolean): void {
    const word = Atomics.load(this.#words, STATE)
    const state = word & 3
    if (state === CLOSED) {
      this.#count(now, isFailure ? 1 : 0, 0, 1)
      if (isFailure) this.#judge(word, now)
    } else if (state === HALF_OPEN && this.#isProbe(startedAt)) {
      const finished = this.#addInRound(FINISHED, word, COUNT_MASK)
      if (isFailure) this.#addInRound(FAILED, word, COUNT_MASK)
      this.#conclude(word, now, finished)
    }
  }

  /** Its answer came `tookMs` after it began, before or after `ended`. */
  took(now: number, tookMs: number): void {
    if (this.spec.slowCallMs === 0 || tookMs < this.spec.slowCallMs) return
    const word = Atomics.load(this.#words, STATE)
    const state = word & 3
    if (state === CLOSED) {
      this.#count(now, 0, 1, 0)
      this.#judge(word, now)
    } else if (state === HALF_OPEN && this.#isProbe(now - tookMs)) {
      this.#addInRound(SLOW, word, COUNT_MASK)
      this.#conclude(word, now, 0)
    }
  }

  /** What the window holds. */
  seen(now: number): Seen {
    const words = this.#words
    const part = this.#partOf(now)
    let [answers, failed, slow] = [0, 0, 0]
    for (let at = BUCKETS; at < BREAKER_WORDS; at += BUCKET_WORDS) {
      const epoch = Atomics.load(words, at + EPOCH)
      if (epoch === 0 || epoch > part || part - epoch >= COUNT) continue
      answers += Atomics.load(words, at + ALL)
      failed += Atomics.load(words, at + ALL + 1)
      slow += Atomics.load(words, at + ALL + 2)
    }
    return { answers, failed, slow }
  }

  // ── closed ──

  /** From 1 on: 0 is a bucket that was never used. */
  #partOf(now: number): number {
    return 1 + Math.floor((now * COUNT) / this.spec.windowMs)
  }

  #count(now: number, failed: number, slow: number, all: number): void {
    const words = this.#words
    const part = this.#partOf(now)
    const at = BUCKETS + (part % COUNT) * BUCKET_WORDS
    const before = Atomics.load(words, at)
    // Who begins a part of time clears the bucket. What others count just then may be lost: a few of a whole part.
    if (before !== part && Atomics.compareExchange(words, at, before, part) === before)
      for (let word = ALL; word < BUCKET_WORDS; word++) Atomics.store(words, at + word, 0)
    if (all !== 0) Atomics.add(words, at + ALL, all)
    if (failed !== 0) Atomics.add(words, at + ALL + 1, failed)
    if (slow !== 0) Atomics.add(words, at + ALL + 2, slow)
  }

  #judge(word: number, now: number): void {
    const { volume, errorPercent, slowPercent, windowMs } = this.spec
    const { answers, failed, slow } = this.seen(now)
    if (answers < volume) return
    const within = `within ${windowMs / 1000} s`
    if (failed * 100 >= errorPercent * answers)
      this.#open(word, now, `${share(failed, answers)} failed (limit ${errorPercent} %) ${within}`)
    else if (this.spec.slowCallMs !== 0 && slow * 100 >= slowPercent * answers)
      this.#open(word, now, `${share(slow, answers)} were slow (limit ${slowPercent} %) ${within}`)
  }

  // ── open ──

  #open(word: number, now: number, why: string): void {
    const { openMs, maxOpenMs, jitterPercent } = this.spec
    const words = this.#words
    const trips = Atomics.load(words, TRIPS)
    const longer = Math.min(openMs * 2 ** Math.min(trips, 30), Math.max(openMs, maxOpenMs))
    const forMs = Math.round(longer * (1 + ((2 * this.#deps.random() - 1) * jitterPercent) / 100))
    // Before the state: whoever sees it open reads this.
    Atomics.store(words, UNTIL, (now + forMs) | 0)
    if (!this.#change(word, OPEN)) return
    Atomics.add(words, TRIPS, 1)
    this.#deps.changed('open', why, forMs)
  }

  #change(word: number, state: number): boolean {
    return Atomics.compareExchange(this.#words, STATE, word, (((word >>> 2) + 1) << 2) | state) === word
  }

  // ── half-open ──

  #beginRound(word: number, now: number, isFirst: boolean): void {
    Atomics.store(this.#words, SINCE, now | 0)
    if (this.#change(word, HALF_OPEN) && isFirst)
      this.#deps.changed('half-open', `${this.spec.probes} requests probe`, 0)
  }

  #isStuck(now: number): boolean {
    return (((now | 0) - Atomics.load(this.#words, SINCE)) | 0) >= this.spec.openMs
  }

  #isProbe(startedAt: number): boolean {
    return (((startedAt | 0) - Atomics.load(this.#words, SINCE)) | 0) >= 0
  }

  #conclude(word: number, now: number, finished: number): void {
    const { probes, errorPercent, slowPercent } = this.spec
    const failed = this.#inRound(FAILED, word)
    const slow = this.#inRound(SLOW, word)
    if (failed * 100 >= errorPercent * probes) this.#open(word, now, `${failed} of ${probes} probes failed`)
    else if (slow * 100 >= slowPercent * probes) this.#open(word, now, `${slow} of ${probes} probes were slow`)
    else if (finished >= probes) this.#close(word, probes)
  }

  #close(word: number, probes: number): void {
    const words = this.#words
    // An empty window, before anything is counted in it again.
    for (let at = BUCKETS; at < BREAKER_WORDS; at += BUCKET_WORDS) Atomics.store(words, at + EPOCH, 0)
    if (!this.#change(word, CLOSED)) return
    Atomics.store(words, TRIPS, 0)
    this.#deps.changed('closed', `${probes} probes went well`, 0)
  }

  #inRound(what: number, word: number): number {
    const value = Atomics.load(this.#words, what)
    return value >>> ROUND_SHIFT === ((word >>> 2) & ROUND_MASK) ? value & COUNT_MASK : 0
  }

  /** One more in the round; 0: there are `most`. */
  #addInRound(what: number, word: number, most: number): number {
    const words = this.#words
    const round = ((word >>> 2) & ROUND_MASK) << ROUND_SHIFT
    for (;;) {
      const before = Atomics.load(words, what)
      const count = this.#inRound(what, word)
      if (count >= most) return 0
      if (Atomics.compareExchange(words, what, before, round | (count + 1) | 0) === before) return count + 1
    }
  }

  /** The service has no breaker any more. */
  stop(): void {
    this.#deps.cell.close()
  }
}

function share(part: number, all: number): string {
  return `${part} of ${all} answers (${Math.round((100 * part) / all)} %)`
}

/** How it stands, in words. */
export function breakerNote(breaker: Breaker, now: number): string {
  const { state } = breaker
  const { probes, windowMs } = breaker.spec
  if (state === 'open') {
    const left = breaker.leftMs(now)
    return `breaker: open, ${left === 0 ? 'the next request is a probe' : `for ${(left / 1000).toFixed(1)} s more`}`
  }
  if (state === 'half-open') return `breaker: half-open, ${probes} requests probe`
  const { answers, failed, slow } = breaker.seen(now)
  return `breaker: closed, ${failed} of ${answers} answers failed and ${slow} were slow within ${windowMs / 1000} s`
}
