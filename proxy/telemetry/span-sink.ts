import type { Clock, Random } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { exportRequest, type SpanSource } from './otlp.ts'

/** What became of a batch that was sent. */
export type Sent =
  /** `rejected` of its spans were not wanted. */
  | { readonly kind: 'taken'; readonly rejected: number; readonly why: string }
  /** `afterMs`: what the other side asks for; null: it does not say. */
  | { readonly kind: 'again'; readonly afterMs: number | null; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string }

/** Sends one batch: `done` is called once, and then `request` is not read any more. */
export type SendSpans = (request: Buffer, done: (sent: Sent) => void) => void

export interface SpanSinkOptions {
  readonly source: SpanSource
  readonly send: SendSpans
  readonly batchSpans: number
  readonly batchMs: number
  readonly queueSpans: number
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface SpanCounts {
  readonly sent: number
  /** There was no room: whoever takes them is slow, or away. */
  readonly full: number
  /** The other side did not want them, or could not be reached for too long. */
  readonly rejected: number
  readonly waiting: number
}

/** The spans of all data threads on their way out. Bounded; trouble there affects nothing else. */
export interface SpanSink {
  /** `bytes` is read only before it returns. */
  write(bytes: Uint8Array, count: number): void
  counts(): SpanCounts
  /** Resolves when all is sent, at most after `withinMs`. */
  flushed(withinMs: number): Promise<void>
}

const FIRST_RETRY_MS = 1_000
const MAX_RETRY_MS = 30_000
/** A batch that nobody took for so long is dropped. */
const GIVE_UP_MS = 300_000
/** The longest that a collector may ask to wait. */
const MOST_ASKED_MS = 120_000
const TELL_MS = 60_000
/** A larger request has memory of its own. */
const KEPT_BYTES = 512 * 1024
/** A part of this size is a batch by itself, however few spans it has: what waits for more is copied. */
const FULL_BYTES = 192 * 1024

interface Batch {
  readonly request: Buffer
  readonly count: number
  readonly since: number
  tries: number
}

export function spanSink(options: SpanSinkOptions): SpanSink {
  const { source, send, batchSpans, batchMs, queueSpans, clock, random, log } = options
  let waiting: { bytes: Uint8Array; readonly count: number }[] = []
  /** Of requests, one after the other: memory that is used again is no garbage. */
  let memory: Buffer = Buffer.alloc(0)
  let waitingSpans = 0
  let batch: Batch | null = null
  let isSending = false
  let isFlushing = false
  let whenEmpty: (() => void) | null = null
  let sent = 0
  let full = 0
  let rejected = 0
  let toldAt = Number.NEGATIVE_INFINITY
  let isTroubled = false
  const delay = clock.timer(() => next(true))
  const pause = clock.timer(() => trySend())

  /** `isDue`: also a batch that is not full. */
  function next(isDue: boolean): void {
    if (batch !== null) return
    if (waiting.length === 0) return whenEmpty?.()
    if (!isDue && !isFlushing && waitingSpans < batchSpans) return
    delay.cancel()
    let count = 0
    let parts = 0
    while (parts < waiting.length && (parts === 0 || count + waiting[parts]!.count <= batchSpans))
      count += waiting[parts++]!.count
    const request = exportRequest(
      source,
      waiting.slice(0, parts).map(({ bytes }) => bytes),
      memory,
    )
    if (request.length > memory.length && request.length <= KEPT_BYTES) memory = request
    waiting = waiting.slice(parts)
    waitingSpans -= count
    batch = { request, count, since: clock.now(), tries: 0 }
    trySend()
  }

  function trySend(): void {
    if (batch === null || isSending) return
    isSending = true
    batch.tries++
    send(batch.request, answered)
  }

  function answered(result: Sent): void {
    isSending = false
    if (result.kind !== 'taken') isTroubled = true
    const { count, since, tries } = batch!
    if (result.kind === 'again' && clock.now() - since < GIVE_UP_MS && !isFlushing) {
      tell(`spans cannot be sent, and are sent again: ${result.why}`)
      return pause.arm(retryMs(result.afterMs, tries))
    }
    batch = null
    if (result.kind === 'taken') {
      sent += count - Math.min(count, result.rejected)
      rejected += Math.min(count, result.rejected)
      if (result.rejected > 0) tell(`${result.rejected} of ${count} spans were rejected: ${result.why}`)
      else if (isTroubled) {
        isTroubled = false
        log.info('spans are sent again')
      }
    } else {
      rejected += count
      tell(`${count} spans are lost: ${result.why}`)
    }
    next(waitingSpans >= batchSpans)
    if (batch === null && waiting.length > 0) delay.arm(batchMs)
  }

  function retryMs(askedMs: number | null, tries: number): number {
    const own = Math.min(FIRST_RETRY_MS * 2 ** (tries - 1), MAX_RETRY_MS) * (0.8 + 0.4 * random())
    return askedMs === null ? own : Math.min(Math.max(askedMs, own), MOST_ASKED_MS)
  }

  function tell(message: string): void {
    const now = clock.now()
    if (now - toldAt < TELL_MS) return
    toldAt = now
    log.warn(message, { waiting: waitingSpans, dropped: full + rejected })
  }

  return {
    write(bytes, count) {
      // A part that is larger than the queue by itself is taken when nothing else waits.
      if (waitingSpans > 0 && waitingSpans + count > queueSpans) {
        full += count
        return tell(`spans are dropped: ${waitingSpans} wait already (\`traces.batch.queue\`)`)
      }
      if (waiting.length === 0) delay.arm(batchMs)
      const part = { bytes, count }
      waiting.push(part)
      waitingSpans += count
      next(bytes.length >= FULL_BYTES)
      if (waiting.includes(part)) part.bytes = new Uint8Array(bytes)
    },
    counts: () => ({ sent, full, rejected, waiting: waitingSpans + (batch?.count ?? 0) }),
    flushed(withinMs) {
      isFlushing = true
      return new Promise(resolve => {
        whenEmpty = resolve
        clock.timer(resolve).arm(withinMs)
        // What waits for another try gets it now.
        pause.cancel()
        if (batch === null) next(true)
        else trySend()
      })
    },
  }
}
