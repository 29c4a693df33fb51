import type { Clock } from '../core/clock.ts'
import { add, type Counter } from '../core/telemetry.ts'
import { MAX_SPAN_BYTES, SpanWriter } from './span-writer.ts'

/** A batch that is not full leaves after this time: soon where there are few spans, as somebody may look for one. */
const BATCH_MS = 200
const BUSY_BATCH_MS = 1_000
/** So many spans in a batch, and the next one may take its time: a message costs the other thread a millisecond. */
const BUSY_SPANS = 32
/** A message between threads costs as much as writing a hundred spans. */
const BATCH_BYTES = 256 * 1024
/** The most that waits: sent and not yet taken by the control thread, or waiting to be sent. */
const MEMORY_BYTES = 1024 * 1024

/** The data thread's side of spans: it never waits and is bounded. */
export interface SpanQueue {
  /** Where the next span is written to: `begin` to `end`, and then `added`. Null: there is no room, and it is counted. */
  writer(): SpanWriter | null
  added(): void
  /** The control thread has taken this much of what was sent. */
  credit(bytes: number): void
  /** Sends what waits, before a thread ends. */
  flush(): void
}

export interface SpanQueueDeps {
  readonly clock: Clock
  readonly recorded: Counter
  readonly dropped: Counter
  /** So many spans are a batch; may change with a reload. */
  readonly tracing: { readonly batchSpans: number }
  /** `bytes` lies in memory that both threads see: it is good until it was credited. */
  send(bytes: Uint8Array, count: number): void
}

interface Batch {
  readonly end: number
  readonly bytes: number
}

/**
 * Spans lie in a ring of shared memory: nothing is copied, given away or made anew. It begins at its start whenever all
 * was taken, so few spans touch little of it.
 */
export function spanQueue({ clock, recorded, dropped, tracing, send }: SpanQueueDeps): SpanQueue {
  /** Made with the first span: most proxies have none for hours. */
  let memory: SharedArrayBuffer | null = null
  let writer: SpanWriter | null = null
  /** Spans from here on were not sent yet. */
  let from = 0
  let count = 0
  /** Where the oldest begins that the control thread has not taken. */
  let oldest = 0
  let sent: Batch[] = []
  let credited = 0
  let armed = false
  let isBusy = false
  const timer = clock.timer(() => {
    armed = false
    flush()
  })

  function flush(): void {
    if (armed) timer.cancel()
    armed = false
    if (count === 0) return
    const end = writer!.at
    const bytes = new Uint8Array(memory!, from, end - from)
    sent.push({ end, bytes: end - from })
    from = end
    const spans = count
    count = 0
    isBusy = spans >= BUSY_SPANS
    send(bytes, spans)
  }

  function make(): SpanWriter {
    memory = new SharedArrayBuffer(MEMORY_BYTES)
    return new SpanWriter(memory)
  }

  /** Behind what was written last, or at the start of the ring. */
  function findRoom({ at }: SpanWriter): boolean {
    if (at < oldest) return at + MAX_SPAN_BYTES < oldest
    if (at + MAX_SPAN_BYTES <= MEMORY_BYTES) return true
    if (MAX_SPAN_BYTES >= oldest) return false
    flush()
    writer!.at = 0
    from = 0
    return true
  }

  return {
    writer() {
      writer ??= make()
      if (findRoom(writer)) return writer
      add(dropped, 1)
      return null
    },
    added() {
      count++
      add(recorded, 1)
      if (writer!.at - from >= BATCH_BYTES || count >= tracing.batchSpans) return flush()
      if (armed) return
      armed = true
      timer.arm(isBusy ? BUSY_BATCH_MS : BATCH_MS)
    },
    credit(bytes) {
      credited += bytes
      let taken = 0
      while (taken < sent.length && sent[taken]!.bytes <= credited) {
        credited -= sent[taken]!.bytes
        oldest = sent[taken++]!.end
      }
      sent = sent.slice(taken)
      if (sent.length > 0 || count > 0) return
      credited = 0
      oldest = 0
      from = 0
      if (writer !== null) writer.at = 0
    },
    flush,
  }
}
