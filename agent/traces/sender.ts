import type { Collector, Outcome } from './collector.ts'
import type { Counters } from './counters.ts'
import type { DiskQueue } from './disk-queue.ts'
import type { Piece } from './pieces.ts'

/** Sends what is in the queue, oldest first, one request after the other. */
export interface Sender {
  /** Ends soon: what is under way is given some time. */
  stop(): Promise<void>
  /** Why the collector takes nothing; null: it does, or nobody knows yet. */
  trouble(): string | null
  /** Milliseconds since it has taken nothing while there was something; 0: it does. */
  stalledMs(): number
}

export interface SenderOptions {
  readonly queue: DiskQueue
  /** Called before each request: certificates may have changed. */
  readonly collector: () => Collector
  readonly counters: Counters
  readonly log: SenderLog
  readonly random?: () => number
  readonly delayMs?: number
  readonly backOff?: BackOff
}

export interface SenderLog {
  readonly info: (line: string) => void
  readonly warn: (line: string) => void
}

export interface BackOff {
  readonly firstMs: number
  readonly factor: number
  readonly mostMs: number
}

/** So long spans wait for others, so that there are fewer and larger requests. */
const DELAY_MS = 200
/** Of one request: a quarter of what gRPC servers take by default. */
const BATCH_BYTES = 1024 * 1024
const BATCH_SPANS = 4_096
const BACK_OFF: BackOff = { firstMs: 500, factor: 1.7, mostMs: 15_000 }
/** A collector may want more patience than the back-off has, but not any. */
const MOST_ASKED_MS = 300_000
/** What is under way at the end of the process. */
const LAST_MS = 3_000
/** A trouble that goes on is said again so often. */
const SAY_MS = 60_000

export function sender(options: SenderOptions): Sender {
  const { queue, collector, counters, log, random = Math.random, delayMs = DELAY_MS, backOff = BACK_OFF } = options
  const stopping = new AbortController()
  let wake = () => {}
  let failures = 0
  let why: string | null = null
  let since = 0
  let saidAt = Number.NEGATIVE_INFINITY
  let hasMore = false

  queue.onMore = () => {
    hasMore = true
    wake()
  }
  const done = run()

  async function run(): Promise<void> {
    for (;;) {
      const { spans, bytes } = queue.state()
      // At the end of the process what is left is sent, where it is taken.
      if (stopping.signal.aborted && (why !== null || spans === 0)) return
      if (spans > 0 && bytes < BATCH_BYTES) await pause(delayMs, () => queue.state().bytes >= BATCH_BYTES)
      hasMore = false
      const batch = await queue.peek(BATCH_BYTES, BATCH_SPANS)
      if (batch !== null) {
        if (await deliver(batch.pieces)) await queue.take(batch)
      } else if (stopping.signal.aborted) return
      else if (!hasMore) await pause(null, () => true)
    }
  }

  /** Until the collector has taken them, or never will. False: this process ends before. */
  async function deliver(pieces: readonly Piece[]): Promise<boolean> {
    for (;;) {
      const outcome = await collector().send(Buffer.concat(pieces.map(({ bytes }) => bytes)))
      if (outcome.kind === 'taken') succeeded(outcome, spansOf(pieces))
      else if (outcome.kind === 'refused') return refused(pieces, outcome)
      else {
        counters.exports.retried++
        failed(outcome.why)
        await pause(Math.max(delayOf(failures), Math.min(outcome.afterMs ?? 0, MOST_ASKED_MS)), () => false)
        if (stopping.signal.aborted) return false
        continue
      }
      return true
    }
  }

  function succeeded({ rejected, message }: Outcome & { kind: 'taken' }, spans: number): void {
    counters.exports.ok++
    counters.exported += Math.max(0, spans - rejected)
    counters.dropped.collector_refused += Math.min(spans, rejected)
    if (why !== null) log.info(`traces: ${collector().name} takes spans again`)
    failures = 0
    why = null
    if (message !== '' && performance.now() - saidAt > SAY_MS) {
      saidAt = performance.now()
      log.warn(`traces: ${collector().name} did not take ${rejected} spans: ${message}`)
    }
  }

  /**
   * The specification forbids to send the same again. What one sender's spans are refused for must not cost those of
   * others: both halves are sent by themselves, until what is refused is alone.
   */
  async function refused(
    pieces: readonly Piece[],
    { why: said, content }: Outcome & { kind: 'refused' },
  ): Promise<boolean> {
    counters.exports.refused++
    if (content && pieces.length > 1) {
      const middle = Math.ceil(pieces.length / 2)
      return (await deliver(pieces.slice(0, middle))) && (await deliver(pieces.slice(middle)))
    }
    counters.dropped.collector_refused += spansOf(pieces)
    if (!content) {
      // It will refuse what comes next too: no more of it than must be is lost while somebody puts it right.
      failed(said, 'refuses all spans')
      await pause(delayOf(failures), () => false)
    } else if (performance.now() - saidAt > SAY_MS) {
      saidAt = performance.now()
      log.warn(`traces: ${collector().name} refuses ${spansOf(pieces)} spans, which are lost: ${said}`)
    }
    return true
  }

  function failed(reason: string, what = 'takes no spans'): void {
    if (why === null) since = performance.now()
    if (why === null || performance.now() - saidAt > SAY_MS) {
      saidAt = performance.now()
      const { spans } = queue.state()
      log.warn(`traces: ${collector().name} ${what}: ${reason}. ${spans} spans wait for it`)
    }
    why = reason
    failures++
  }

  /** Up to as long again at random: agents that lost the same collector do not come back at the same moment. */
  function delayOf(count: number): number {
    const { firstMs, factor, mostMs } = backOff
    const most = Math.min(mostMs, firstMs * factor ** Math.min(count - 1, 50))
    return most * (0.5 + random() / 2)
  }

  /** Null: without a limit. `isOver`: asked whenever there is more in the queue. */
  function pause(ms: number | null, isOver: () => boolean): Promise<void> {
    if (stopping.signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const end = () => {
        if (timer !== null) clearTimeout(timer)
        stopping.signal.removeEventListener('abort', end)
        wake = () => {}
        resolve()
      }
      const timer = ms === null ? null : setTimeout(end, ms)
      stopping.signal.addEventListener('abort', end)
      wake = () => {
        if (isOver()) end()
      }
    })
  }

  return {
    async stop() {
      stopping.abort()
      const late = new Promise<void>(resolve => setTimeout(resolve, LAST_MS).unref())
      await Promise.race([done, late])
    },
    trouble: () => why,
    stalledMs: () => (why === null ? 0 : performance.now() - since),
  }
}

function spansOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { spans }) => sum + spans, 0)
}
