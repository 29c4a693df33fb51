import type { Random } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Filter } from '../core/filter.ts'
import type { Headers } from '../core/message.ts'
import { B3, B3_MULTI, newIds, newSpanId, type SampledBy, type TraceContext, W3C } from '../core/trace.ts'
import { B3_FLAGS, B3_PARENT_SPAN_ID, TRACEPARENT, TRACESTATE, writeContext } from '../core/trace-fields.ts'
import { flagsOf, isTraceparent, RANDOM, SAMPLED, traceparentOf } from '../core/traceparent.ts'
import type { Tracing } from '../core/tracing.ts'
import { formsOfB3, readB3, type Wish } from './b3.ts'
import { isTracestate } from './tracestate.ts'

/**
 * Which trace a request belongs to, and whether it is sampled: what its caller says counts, W3C over B3; else a trace
 * begins here, and a ratio decides by its id. What is not sampled and came with a valid `traceparent` passes as it is.
 */
export function traceContext(random: Random, tracing: Tracing): Filter {
  return {
    name: 'trace-context',
    onRequest(exchange) {
      if (!tracing.isOn) return undefined
      const { trace, request } = exchange
      const { headers } = request
      if (tracing.isW3c && readW3c(headers, trace)) {
        // Nothing is recorded, and nobody has to be told anything else.
        if ((trace.flags & SAMPLED) === 0) return undefined
        if (tracing.isB3) trace.formats |= formsOfB3(headers)
      } else {
        const wish = tracing.isB3 ? readB3(headers, trace) : null
        trace.formats = wish === null ? 0 : formsOfB3(headers)
        if (tracing.isW3c) trace.formats |= W3C
        else if (trace.formats === 0) trace.formats = tracing.isB3 ? B3 : 0
        if (trace.traceId === '') {
          begin(trace, random)
          // Of the ids that were not valid: the trace that begins here has no parent, and who begins it decides.
          if ((trace.formats & B3_MULTI) !== 0) {
            headers.delete(B3_PARENT_SPAN_ID)
            if (wish !== 'debug') headers.delete(B3_FLAGS)
          }
        }
        decide(trace, wish, tracing)
      }
      tell(exchange, random)
      return undefined
    },
  }
}

/** False: there is none, or none that is valid; what it brought is gone. */
function readW3c(headers: Headers, trace: TraceContext): boolean {
  const came = headers.get(TRACEPARENT)
  if (came === undefined || !isTraceparent(came)) {
    // Nothing of it is to be read where the parent is not (section 4.3).
    headers.delete(TRACESTATE)
    return false
  }
  trace.traceId = came.slice(3, 35)
  trace.parentId = came.slice(36, 52)
  trace.flags = flagsOf(came)
  trace.formats = W3C
  trace.sampledBy = 'caller'
  const state = headers.get(TRACESTATE)
  if (state !== undefined) {
    if (isTracestate(state)) trace.state = state
    else headers.delete(TRACESTATE)
  }
  return true
}

function begin(trace: TraceContext, random: Random): void {
  const ids = newIds(random)
  trace.traceId = ids.slice(0, 32)
  trace.spanId = ids.slice(32)
  trace.flags = RANDOM
}

const decidedBy: Readonly<Record<Wish, SampledBy>> = {
  accept: 'caller',
  deny: 'caller',
  debug: 'debug',
  defer: 'ratio',
}

function decide(trace: TraceContext, wish: Wish | null, tracing: Tracing): void {
  const by = wish === null ? 'ratio' : decidedBy[wish]
  const isSampled = by === 'ratio' ? tracing.isSampledByRatio(trace) : wish !== 'deny'
  trace.sampledBy = by
  if (isSampled) trace.flags |= SAMPLED
}

/** The next one is told its parent: outbound by each attempt for itself, where there are spans of attempts. */
function tell({ trace, request, direction }: Exchange, random: Random): void {
  const { headers } = request
  if ((trace.flags & SAMPLED) === 0) {
    // B3 that came with ids says already what there is to say.
    if (trace.parentId === '') writeContext(trace, trace.spanId, trace.formats, headers)
    else if ((trace.formats & W3C) !== 0)
      headers.set(TRACEPARENT, traceparentOf(trace.traceId, trace.parentId, trace.flags))
    return
  }
  if (trace.spanId === '') trace.spanId = newSpanId(random)
  if (direction === 'outbound') trace.sends = trace.formats
  else writeContext(trace, trace.spanId, trace.formats, headers)
}
