import type { Clock } from '../core/clock.ts'

/** A batch leaves at this length, or after this time, whichever comes first. */
const BATCH_LENGTH = 32 * 1024
const BATCH_MS = 100
/**
 * The most that waits: sent and not yet written by the control thread, or waiting to be sent. A slow disk costs a data
 * thread at most this.
 */
export const MAX_OUTSTANDING = 1024 * 1024

/**
 * The data thread's side of the access log: it never waits and is bounded. Lengths are characters, as in the credits
 * that come back.
 */
export interface AccessLogQueue {
  /** Takes a whole line with its newline, or none of it. */
  add(line: string): void
  /** The control thread has written this much of what was sent. */
  credit(length: number): void
  /** Sends what waits, before a thread ends. */
  flush(): void
}

/** `dropped`: lines lost since the last batch. */
export function accessLogQueue(send: (lines: string, dropped: number) => void, clock: Clock): AccessLogQueue {
  let waiting = ''
  let outstanding = 0
  let dropped = 0
  let armed = false
  const timer = clock.timer(() => {
    armed = false
    flush()
  })

  function flush(): void {
    if (armed) timer.cancel()
    armed = false
    if (waiting === '' && dropped === 0) return
    const lines = waiting
    const lost = dropped
    waiting = ''
    dropped = 0
    send(lines, lost)
  }

  function flushLater(): void {
    if (armed) return
    armed = true
    timer.arm(BATCH_MS)
  }

  return {
    add(line) {
      if (line === '') return
      if (outstanding + line.length > MAX_OUTSTANDING) dropped++
      else {
        outstanding += line.length
        waiting += line
      }
      if (waiting.length >= BATCH_LENGTH) flush()
      else flushLater()
    },
    credit(length) {
      outstanding = Math.max(0, outstanding - length)
    },
    flush,
  }
}
