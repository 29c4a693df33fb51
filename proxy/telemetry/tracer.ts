import type { Clock, Random } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import type { RecordedBy } from '../core/trace.ts'
import { RANDOM, SAMPLED } from '../core/traceparent.ts'
import type { Tracing } from '../core/tracing.ts'
import { opensTunnel } from '../core/tunnel.ts'
import { hasFailed } from './failed.ts'
import { SlowRequests } from './slow-requests.ts'
import { spanName } from './span-attributes.ts'
import { countsAsAttempt, hasSpan, writeAttempt } from './span-of-attempt.ts'
import { writeExchange } from './span-of-exchange.ts'
import type { SpanQueue } from './span-queue.ts'

export interface TracerDeps {
  readonly clock: Clock
  readonly random: Random
  readonly tracing: Tracing
  readonly queue: SpanQueue
}

/** Makes the spans of exchanges that have ended. */
export interface Tracer {
  /** Says in `trace.recordedBy` whether it did. */
  exchange(exchange: Exchange, listener: string): void
}

export function tracer({ clock, random, tracing, queue }: TracerDeps): Tracer {
  const slow = new SlowRequests()
  const epochOf = epochs(clock)

  function reason(exchange: Exchange): RecordedBy {
    const { trace } = exchange
    // Counted whatever is decided, or the percentile would be one of the rest.
    const isSlow = tracing.slow && isSlowRequest(exchange, slow)
    if (trace.isSampled) return trace.sampledBy === 'ratio' ? 'ratio' : 'caller'
    if (tracing.failed && hasFailed(exchange)) return 'failed'
    if (isSlow) return 'slow'
    if (trace.hasTrace) return ''
    // A tunnel, which carries no ids: its trace is its own, and begins at its end.
    begin(exchange)
    return exchange.protocol === 'tcp' && tracing.isSampledByRatio(trace) ? 'ratio' : ''
  }

  function begin({ trace }: Exchange): void {
    trace.beginTrace(random)
    trace.flags = RANDOM
  }

  function record(exchange: Exchange, listener: string): void {
    const { trace, decision } = exchange
    if (!trace.hasTrace) begin(exchange)
    if (!trace.hasSpan) trace.newSpan(random)
    const name = spanName(exchange)
    const epoch = epochOf()
    const flags = trace.flags | SAMPLED
    const span = queue.writer()
    if (span !== null) {
      span.begin(trace, trace.spanHigh, trace.spanLow, trace.parentHigh, trace.parentLow, true, flags)
      span.state(trace.state)
      writeExchange(span, name, exchange, listener, epoch)
      span.end()
      queue.added()
    }
    if (exchange.direction === 'inbound') return
    let made = 0
    for (let i = 0; i < decision.attempts; i++) {
      const attempt = decision.tries[i]!
      if (countsAsAttempt(attempt)) made++
      if (!hasSpan(attempt)) continue
      if (!attempt.hasSpanId) attempt.newSpan(random)
      const span = queue.writer()
      if (span === null) continue
      span.begin(trace, attempt.spanHigh, attempt.spanLow, trace.spanHigh, trace.spanLow, false, flags)
      span.state(trace.state)
      writeAttempt(span, name, exchange, attempt, i, made, epoch)
      span.end()
      queue.added()
    }
  }

  return {
    exchange(exchange, listener) {
      if (!tracing.isOn) return
      const why = reason(exchange)
      if (why === '') return
      exchange.trace.recordedBy = why
      record(exchange, listener)
    },
  }
}

/** How long a tunnel stays open says nothing of how fast the service is. */
function isSlowRequest(
  { route, protocol, request, status, startedAt, completedAt }: Exchange,
  slow: SlowRequests,
): boolean {
  if (route === null || protocol === 'tcp' || opensTunnel(request.upgrade, status)) return false
  return slow.isSlow(route.stats, completedAt - startedAt)
}

/** A step of the system's clock; less is the fraction of a millisecond that wall time does not have. */
const STEP_MS = 5
/** So often the system's clock is looked at. */
const LOOK_MS = 1

/**
 * What to add to monotonic time for wall time. Wall time comes in whole milliseconds, cut off: the largest difference
 * seen is the nearest, so that spans of one machine are in order.
 */
function epochs(clock: Clock): () => number {
  let epoch = Number.NEGATIVE_INFINITY
  let lookedAt = Number.NEGATIVE_INFINITY
  return () => {
    const now = clock.now()
    if (now - lookedAt < LOOK_MS) return epoch
    lookedAt = now
    const seen = clock.wallTime() - now
    if (seen > epoch || epoch - seen > STEP_MS) epoch = seen
    return epoch
  }
}
