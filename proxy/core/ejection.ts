/**
 * What all data threads know of an endpoint: its state under outlier detection, and its failures in a row. The words of
 * one cell (`ENDPOINT_WORDS`), which fill one line of the processor's cache with what precedes them.
 */
export const ENDPOINT_WORDS = 16
/** 0: it serves, and its last outcome was good. What a success looks at. */
export const MARK = 0
/** How often it changed, and the phase in the last bits. */
export const STATE = 1
/** When it came into this state. */
export const SINCE = 2
/** When the ejection ends, or ended. */
export const UNTIL = 3
export const EJECTIONS = 4
/** Failures in a row: 5xx, gateway failures, and where they are counted apart those of local origin. */
export const FIVES = 5
export const GATEWAY = 6
export const LOCAL = 7
/** The one probe: who has sent it, and when. */
const PROBE = 8
/** `mode: shadow`: until when it would have been ejected. */
export const SHADOW_UNTIL = 9

export const ADMITTING = 0
export const EJECTED = 1
export const PROBING = 2
/** Ejected by an operator; with force: also where it is the last. */
export const HELD = 3
export const HELD_BY_FORCE = 4
const PHASE_BITS = 3

export function phaseOf(state: number): number {
  return state & ((1 << PHASE_BITS) - 1)
}

/** The word that follows it. */
export function nextState(state: number, phase: number): number {
  return (((state >>> PHASE_BITS) + 1) << PHASE_BITS) | phase
}

/** A time as a word, read within 24 days of it. */
export function timeOf(word: number, now: number): number {
  return now + ((word - now) | 0)
}

/** No time that is kept as a word is further away. */
export const LONGEST_MS = 20 * 24 * 3_600_000

/**
 * A probe whose outcome is not known by then, as of a caller that uploads slowly, no longer keeps others from being
 * sent.
 */
export const PROBE_MS = 30_000
/** A probe is its thread, from 1, and the time in 16 ms: enough to know it from the one before. */
const THREAD_BITS = 9
const THREAD_MASK = (1 << THREAD_BITS) - 1
const TICK_BITS = 4
const TICK_MASK = (1 << (31 - THREAD_BITS)) - 1

function tickOf(now: number): number {
  return (now >>> TICK_BITS) & TICK_MASK
}

function isUnderWay(probe: number, now: number): boolean {
  return probe !== 0 && ((tickOf(now) - (probe >>> THREAD_BITS)) & TICK_MASK) << TICK_BITS < PROBE_MS
}

export function isProbed(words: Int32Array, now: number): boolean {
  return isUnderWay(Atomics.load(words, PROBE), now)
}

/** 0: another request is the probe, of whatever data thread. */
export function takeProbe(words: Int32Array, thread: number, now: number): number {
  const held = Atomics.load(words, PROBE)
  if (isUnderWay(held, now)) return 0
  const mine = (tickOf(now) << THREAD_BITS) | (thread + 1)
  return Atomics.compareExchange(words, PROBE, held, mine) === held ? mine : 0
}

/** The request goes there once more: it is still the probe. */
export function retakeProbe(words: Int32Array, probe: number, now: number): number {
  return takeProbe(words, (probe & THREAD_MASK) - 1, now)
}

export function endProbe(words: Int32Array, probe: number): void {
  Atomics.compareExchange(words, PROBE, probe, 0)
}

/** Whoever has it: what it finds out was found out. */
export function forgetProbe(words: Int32Array): void {
  Atomics.store(words, PROBE, 0)
}

/** The data thread that was here before this one has ended, and its probe with it. */
export function forgetProbeOf(words: Int32Array, thread: number): void {
  const held = Atomics.load(words, PROBE)
  if ((held & THREAD_MASK) === thread + 1) endProbe(words, held)
}
