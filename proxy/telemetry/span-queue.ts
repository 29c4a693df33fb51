import type { Clock } from '../core/clock.ts'
import { add, type Counter } from '../core/telemetry.ts'

/** A batch leaves at this size, or after this time, whichever comes first. */
const BATCH_BYTES = 32 * 1024
const BATCH_MS = 200
/** The most that waits: sent and not yet taken by the control thread, or waiting to be sent. */
const MAX_OUTSTANDING = 1024 * 1024

/** The data thread's side of spans: it never waits and is bounded. */
export interface SpanQueue {
  /** Takes a whole encoded span (a field of `ScopeSpans`), or none of it. */
  add(span: Uint8Array): void
  /** The control thread has taken this much of what was sent. */
  credit(bytes: number): void
  /** Sends what waits, before a thread ends. */
  flush(): void
}

export interface SpanQueueDeps {
  readonly clock: Clock
  readonly recorded: Counter
  readonly dropped: Counter
  /** `bytes` is its own memory and may be given away. */
  send(bytes: Uint8Array<ArrayBuffer>, count: number): void
}

export function spanQueue({ clock, recorded, dropped, send }: SpanQueueDeps): SpanQueue {
  /** Made with the first span: most proxies have none for hours. */
  let buffer: Buffer | null = null
  let length = 0
  let count = 0
  let outstanding = 0
  let armed = false
  const timer = clock.timer(() => {
    armed = false
    flush()
  })

  function flush(): void {
    if (armed) timer.cancel()
    armed = false
    if (count === 0) return
    const bytes = new Uint8Array(length)
    bytes.set(buffer!.subarray(0, length))
    const sent = count
    length = 0
    count = 0
    send(bytes, sent)
  }

  return {
    add(span) {
      if (outstanding + span.length > MAX_OUTSTANDING) return add(dropped, 1)
      if (length + span.length > BATCH_BYTES) flush()
      buffer ??= Buffer.allocUnsafeSlow(BATCH_BYTES)
      buffer.set(span, length)
      length += span.length
      outstanding += span.length
      count++
      add(recorded, 1)
      if (armed) return
      armed = true
      timer.arm(BATCH_MS)
    },
    credit(bytes) {
      outstanding = Math.max(0, outstanding - bytes)
    },
    flush,
  }
}
