import type { Random } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Filter } from '../core/filter.ts'
import type { Headers } from '../core/message.ts'
import { B3, B3_MULTI, type SampledBy, type TraceContext, W3C } from '../core/trace.ts'
import {
  B3_FLAGS,
  B3_PARENT_SPAN_ID,
  HAS_B3,
  HAS_TRACEPARENT,
  HAS_TRACESTATE,
  TRACEPARENT,
  TRACESTATE,
  writeB3,
} from '../core/trace-fields.ts'
import { parsed, parseTraceparent, RANDOM, SAMPLED, TRACEPARENT_LOOK, traceparentOf } from '../core/traceparent.ts'
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
      const came = headers.traceFields()
      trace.came = came
      const hasB3 = tracing.isB3 && (came & HAS_B3) !== 0
      if (tracing.isW3c && (came & (HAS_TRACEPARENT | HAS_TRACESTATE)) !== 0 && readW3c(headers, trace, came)) {
        // Nothing is recorded, and nobody has to be told anything else.
        if ((trace.flags & SAMPLED) === 0) return undefined
        if (hasB3) trace.formats |= formsOfB3(headers)
      } else {
        const wish = hasB3 ? readB3(headers, trace) : null
        trace.formats = wish === null ? 0 : formsOfB3(headers)
        if (tracing.isW3c) trace.formats |= W3C
        else if (trace.formats === 0) trace.formats = tracing.isB3 ? B3 : 0
        if (!trace.hasTrace) {
          trace.beginTrace(random)
          trace.newSpan(random)
          trace.flags = RANDOM
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

const value = new Uint8Array(TRACEPARENT_LOOK)

/** False: there is none, or none that is valid; what it brought is gone. */
function readW3c(headers: Headers, trace: TraceContext, came: number): boolean {
  const length = (came & HAS_TRACEPARENT) === 0 ? -1 : headers.copyValue(TRACEPARENT, value)
  if (!parseTraceparent(value, length)) {
    // Nothing of it is to be read where the parent is not (section 4.3).
    headers.delete(TRACESTATE)
    return false
  }
  trace.trace0 = parsed.trace0
  trace.trace1 = parsed.trace1
  trace.trace2 = parsed.trace2
  trace.trace3 = parsed.trace3
  trace.parentHigh = parsed.spanHigh
  trace.parentLow = parsed.spanLow
  trace.flags = parsed.flags
  trace.formats = W3C
  trace.sampledBy = 'caller'
  if ((came & HAS_TRACESTATE) === 0) return true
  const state = headers.get(TRACESTATE)!
  if (isTracestate(state)) trace.state = state
  else headers.delete(TRACESTATE)
  return true
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
  const { formats } = trace
  if ((trace.flags & SAMPLED) === 0 && trace.hasParent) {
    // B3 that came with ids says already what there is to say.
    trace.tell(trace.parentHigh, trace.parentLow)
    return write(request.headers, trace, formats & W3C)
  }
  if (!trace.hasSpan) trace.newSpan(random)
  if ((trace.flags & SAMPLED) !== 0 && direction === 'outbound') {
    trace.sends = formats
    return
  }
  trace.tell(trace.spanHigh, trace.spanLow)
  write(request.headers, trace, formats)
}

function write(headers: Headers, trace: TraceContext, formats: number): void {
  if ((formats & W3C) !== 0 && !headers.tellTrace(trace)) headers.set(TRACEPARENT, traceparentOf(trace))
  if ((formats & (B3 | B3_MULTI)) !== 0) writeB3(trace, formats, headers)
}
