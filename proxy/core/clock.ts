/** Every reading of time and every timer goes through here, so that a test can own time. */
export interface Clock {
  /** Monotonic milliseconds, with a fraction: for intervals. The same in all threads of a process. */
  now(): number
  /** Milliseconds since the epoch: for logs and spans, never for arithmetic. */
  wallTime(): number
  /** Made once per owner and armed many times: arming costs no allocation. */
  timer(callback: () => void): Timer
}

export interface Timer {
  /** Fires once, not before `delayMs` and at most a tick (10 ms) later; arming again moves it. */
  arm(delayMs: number): void
  cancel(): void
}

/** 0: off. */
export function armFor(timer: Timer, delayMs: number): void {
  if (delayMs > 0) timer.arm(delayMs)
  else timer.cancel()
}

/** Uniform in [0, 1). Seeded in tests. */
export type Random = () => number

/** Of two times; 0 is for ever. */
export function shorter(one: number, other: number): number {
  return one === 0 || other === 0 ? one + other : Math.min(one, other)
}
