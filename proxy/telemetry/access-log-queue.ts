import type { Clock } from '../core/clock.ts'

/** A batch leaves at this length, or after this time, whichever comes first. */
const BATCH_LENGTH = 32 * 1024
const BATCH_MS = 100
/** Sent and not yet written by the control thread, and waiting to be sent: what a slow disk may cost a data thread. */
export const MAX_OUTSTANDING = 1024 * 1024

/**
 * The data thread's side of the access log: never waits, never grows beyond its bound. Lengths are characters, as the
 * credits that come back are.
 */
export interface AccessLogQueue {
  /** A whole line with its newline, or nothing. */
  add(line: string): void
  /** The control thread has done with so much of what was sent. */
  credit(length: number): void
  /** Sends what waits now: before a thread ends. */
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
