import type { Clock } from '../core/clock.ts'
import { add, type Counter } from '../core/telemetry.ts'
import { BATCH_BYTES, SpanWriter } from './span-writer.ts'

/** A batch that is not full leaves after this time. */
const BATCH_MS = 200
/** The most that waits: sent and not yet taken by the control thread, or waiting to be sent. */
const MAX_OUTSTANDING = 1024 * 1024

/** The data thread's side of spans: it never waits and is bounded. */
export interface SpanQueue {
  /** Where the next span is written to: `begin` to `end`, and then `added`. */
  writer(): SpanWriter
  /** `bytes`: of the span that was written. It is kept, or dropped as a whole. */
  added(bytes: number): void
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
  let writer: SpanWriter | null = null
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
    const sent = count
    count = 0
    send(writer!.take(), sent)
  }

  return {
    writer() {
      writer ??= new SpanWriter()
      return writer
    },
    added(bytes) {
      if (outstanding + bytes > MAX_OUTSTANDING) {
        writer!.undo()
        return add(dropped, 1)
      }
      outstanding += bytes
      count++
      add(recorded, 1)
      if (writer!.size >= BATCH_BYTES) return flush()
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
