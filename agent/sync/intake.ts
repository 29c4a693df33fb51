/** So many messages of one proxy at once, and a second: a summary every second, answers, new services on demand. */
const BURST = 2_500
const PER_SECOND = 100

/** Slows down a proxy that sends too much: it is not read for a while, which fills its own buffers and no others. */
export interface Intake {
  /** Counts a message; how many milliseconds to read nothing. */
  took(now: number): number
}

export function intakeOf(): Intake {
  let left = BURST
  let at = 0
  return {
    took(now) {
      left = Math.min(BURST, left + ((now - at) * PER_SECOND) / 1000)
      at = now
      left--
      return left >= 1 ? 0 : ((1 - left) * 1000) / PER_SECOND
    },
  }
}
