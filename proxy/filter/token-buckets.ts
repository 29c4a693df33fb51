import type { Random } from '../core/clock.ts'

/** How fast buckets fill, and how much they hold. */
export interface BucketRate {
  readonly perSecond: number
  readonly burst: number
}

/** The words before the slots: when it was swept last (seconds), the key of the hash, locks. */
const SWEPT_AT = 0
const KEY = 1
const LOCKS = 16
const LOCK_COUNT = 64
const HEAD = LOCKS + LOCK_COUNT
/** A key is in one of two sets, each of so many slots: a word each of two halves of its hash, and of its time. */
const WAYS = 8
const CHECK = WAYS
const TIME = 2 * WAYS
const SET_WORDS = 3 * WAYS
/** With more of its slots in use a set may be full while others are not. */
const LOAD = 0.8

/** A slot whose key is just being replaced. */
const REPLACED = -(2 ** 31)
/** A bucket that holds nothing lies so many ticks in the future at most, and the threads of a process may differ. */
const MOST_TICKS = 2 ** 29
const FULL_BEYOND = 2 ** 30
const TICKS_PER_SECOND = 1000

/** A lock is held for a fraction of a microsecond: after this time its holder has ended. */
const SPINS = 100
const RETRY_LOCK_MS = 1
const MOST_RETRIES = 20

/** How many words the buckets of so many keys take; 1: there is one bucket, and no keys. */
export function wordsOfBuckets(keys: number): number {
  return HEAD + (keys === 1 ? 1 : setsFor(keys) * SET_WORDS)
}

function setsFor(keys: number): number {
  return 2 ** Math.max(0, Math.ceil(Math.log2(keys / LOAD / WAYS)))
}

/**
 * Token buckets by key, as GCRA (ITU-T I.371): a bucket is the time at which it will be full again, one word that is
 * compared and exchanged, so several data threads take exactly as many tokens as there are. Times are ticks that wrap
 * around; a token costs a whole number of them.
 *
 * A bucket that is full says nothing, so its slot is free for another key. Where both sets of a new key hold none, the
 * bucket that lacks the least makes room: keys that were made up to push others out push out each other.
 */
export class TokenBuckets {
  /** Buckets that lacked tokens and made room, on this thread. */
  evicted = 0
  readonly #words: Int32Array
  readonly #isOne: boolean
  readonly #mask: number
  readonly #ticksPerMs: number
  readonly #cost: number
  readonly #window: number
  /** Before this time there is nothing to sweep. */
  #sweepAtMs = 0

  constructor(words: Int32Array, keys: number, { perSecond, burst }: BucketRate, random: Random, nowMs: number) {
    this.#words = words
    this.#isOne = keys === 1
    this.#mask = setsFor(keys) - 1
    this.#cost = Math.max(1, Math.min(Math.ceil(TICKS_PER_SECOND / perSecond), Math.floor(MOST_TICKS / burst)))
    this.#window = burst * this.#cost
    this.#ticksPerMs = (perSecond * this.#cost) / 1000
    for (const at of [KEY, KEY + 1]) Atomics.compareExchange(words, at, 0, Math.floor(random() * 2 ** 32) | 1)
    // The first thread that is here: 0 would be some moment or other.
    if (Atomics.compareExchange(words, SWEPT_AT, 0, secondOf(nowMs)) === 0 && this.#isOne)
      Atomics.store(words, HEAD, this.#timeOf(this.#ticks(nowMs)))
  }

  /** The key of the hash of keys, the same in all threads. */
  get key0(): number {
    return this.#words[KEY]!
  }

  get key1(): number {
    return this.#words[KEY + 1]!
  }

  /**
   * Takes a token from the bucket of a key, and returns how many are left. Below 0: there was none, and so many
   * milliseconds later there will be.
   */
  take(high: number, low: number, nowMs: number): number {
    if (nowMs >= this.#sweepAtMs) this.#sweep(nowMs)
    const words = this.#words
    const now = this.#ticks(nowMs)
    for (;;) {
      const at = this.#isOne ? HEAD : this.#slotOf(high, low, now)
      const time = Atomics.load(words, at)
      // It went to another key since it was found.
      if (!this.#isOne && (time === REPLACED || !this.#isOf(at, high, low))) continue
      const lacks = this.#lacks(time, now)
      const left = this.#window - lacks - this.#cost
      if (left < 0) return Math.min(-1, Math.floor(left / this.#ticksPerMs))
      if (Atomics.compareExchange(words, at, time, this.#timeOf(now + lacks + this.#cost)) === time)
        return Math.floor(left / this.#cost)
    }
  }

  /** What `take` would return now. */
  look(high: number, low: number, nowMs: number): number {
    if (nowMs >= this.#sweepAtMs) this.#sweep(nowMs)
    const at = this.#isOne ? HEAD : this.#find(high, low)
    const lacks = at < 0 ? 0 : this.#lacks(this.#words[at]!, this.#ticks(nowMs))
    const left = this.#window - lacks - this.#cost
    return left < 0 ? Math.min(-1, Math.floor(left / this.#ticksPerMs)) : Math.floor(left / this.#cost)
  }

  /** Gives a token back that was taken for nothing. */
  giveBack(high: number, low: number): void {
    const at = this.#isOne ? HEAD : this.#find(high, low)
    if (at >= 0) Atomics.sub(this.#words, at, this.#cost)
  }

  #ticks(nowMs: number): number {
    return Math.floor(nowMs * this.#ticksPerMs) | 0
  }

  #timeOf(ticks: number): number {
    const time = ticks | 0
    return time === REPLACED ? REPLACED + 1 : time
  }

  /** Ticks until it is full. A time that long ago has wrapped around is in the far future, and lacks nothing. */
  #lacks(time: number, now: number): number {
    const ticks = (time - now) | 0
    return ticks < 0 || ticks > FULL_BEYOND ? 0 : ticks
  }

  // ── the slots ──

  #slotOf(high: number, low: number, now: number): number {
    const at = this.#find(high, low)
    return at >= 0 ? at : this.#insert(high, low, now)
  }

  /** Where the time of the key is; -1: nowhere. */
  #find(high: number, low: number): number {
    const first = this.#findIn(this.#set(high), high, low)
    return first >= 0 ? first : this.#findIn(this.#set(low), high, low)
  }

  #set(half: number): number {
    return HEAD + (half & this.#mask) * SET_WORDS
  }

  #findIn(set: number, high: number, low: number): number {
    const words = this.#words
    const tag = tagOf(low)
    for (let at = set; at < set + WAYS; at++)
      if (
        Atomics.load(words, at) === tag &&
        Atomics.load(words, at + CHECK) === high &&
        Atomics.load(words, at + TIME) !== REPLACED
      )
        return at + TIME
    return -1
  }

  #isOf(time: number, high: number, low: number): boolean {
    const at = time - TIME
    return Atomics.load(this.#words, at) === tagOf(low) && Atomics.load(this.#words, at + CHECK) === high
  }

  /** A new key comes in under a lock: two threads that meet it at once must not give it two buckets. */
  #insert(high: number, low: number, now: number): number {
    const lock = LOCKS + (high & (LOCK_COUNT - 1))
    this.#lock(lock)
    let at = this.#find(high, low)
    while (at < 0) at = this.#replace(this.#victim(high, low, now), high, low, now)
    Atomics.store(this.#words, lock, 0)
    return at
  }

  /** In the set with more full buckets, so that both fill alike; where neither has one, the bucket that lacks least. */
  #victim(high: number, low: number, now: number): number {
    const [first, second] = [this.#best(this.#set(high), now), this.#best(this.#set(low), now)]
    if (first.full !== second.full) return first.full > second.full ? first.at : second.at
    return first.lacks <= second.lacks ? first.at : second.at
  }

  #best(set: number, now: number): { readonly at: number; readonly full: number; readonly lacks: number } {
    let [found, least, full] = [set, Number.POSITIVE_INFINITY, 0]
    for (let at = set; at < set + WAYS; at++) {
      const time = Atomics.load(this.#words, at + TIME)
      if (time === REPLACED) continue
      const lacks = this.#isUnused(at) ? 0 : this.#lacks(time, now)
      if (lacks === 0) full++
      if (lacks >= least) continue
      least = lacks
      found = at
    }
    return { at: found, full, lacks: least }
  }

  /** Where the time of the key is then; -1: another thread was faster. */
  #replace(at: number, high: number, low: number, now: number): number {
    const words = this.#words
    const time = Atomics.load(words, at + TIME)
    if (time === REPLACED || Atomics.compareExchange(words, at + TIME, time, REPLACED) !== time) return -1
    if (!this.#isUnused(at) && this.#lacks(time, now) > 0) this.evicted++
    Atomics.store(words, at, tagOf(low))
    Atomics.store(words, at + CHECK, high)
    Atomics.store(words, at + TIME, this.#timeOf(now))
    return at + TIME
  }

  #isUnused(at: number): boolean {
    return Atomics.load(this.#words, at) === 0
  }

  #lock(at: number): void {
    const words = this.#words
    for (let spins = 0, retries = 0; Atomics.compareExchange(words, at, 0, 1) !== 0; spins++) {
      if (spins < SPINS) continue
      if (++retries > MOST_RETRIES) return
      Atomics.wait(words, at, 1, RETRY_LOCK_MS)
    }
  }

  // ── times that would wrap around ──

  /** Once in a quarter of the time that wraps around: full buckets get the time of now. */
  #sweep(nowMs: number): void {
    const words = this.#words
    const everySeconds = Math.max(1, Math.floor(FULL_BEYOND / this.#ticksPerMs / 1000))
    const second = secondOf(nowMs)
    const sweptAt = Atomics.load(words, SWEPT_AT)
    const age = (second - sweptAt) | 0
    this.#sweepAtMs = nowMs + Math.max(1, everySeconds - Math.max(0, age)) * 1000
    if (age < everySeconds || Atomics.compareExchange(words, SWEPT_AT, sweptAt, second) !== sweptAt) return
    this.#sweepAtMs = nowMs + everySeconds * 1000
    // Nobody asked for a token meanwhile: all are full, and some may look as if they were not.
    const allFull = age >= 3 * everySeconds
    const now = this.#ticks(nowMs)
    const fill = (at: number) => {
      const time = Atomics.load(words, at)
      if (time !== REPLACED && (allFull || this.#lacks(time, now) === 0))
        Atomics.compareExchange(words, at, time, this.#timeOf(now))
    }
    if (this.#isOne) return fill(HEAD)
    for (let set = HEAD; set < words.length; set += SET_WORDS)
      for (let at = set; at < set + WAYS; at++) if (words[at] !== 0) fill(at + TIME)
  }
}

/** 0 is before the first. */
function secondOf(nowMs: number): number {
  return Math.floor(nowMs / 1000) || 1
}

/** 0 is a slot that was never used. */
function tagOf(low: number): number {
  return low === 0 ? 1 : low
}
