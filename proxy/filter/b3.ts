import type { Headers } from '../core/message.ts'
import { B3, B3_MULTI, type TraceContext } from '../core/trace.ts'
import { B3_FLAGS, B3_SAMPLED, B3_SINGLE, B3_SPAN_ID, B3_TRACE_ID } from '../core/trace-fields.ts'
import { isId } from '../core/traceparent.ts'

/** What the caller wants: `defer` leaves it to whoever comes next. */
export type Wish = 'accept' | 'deny' | 'debug' | 'defer'

/** In which forms B3 came, whatever it says: bits as in `TraceContext.formats`. */
export function formsOfB3(headers: Headers): number {
  const single = headers.get(B3_SINGLE) === undefined ? 0 : B3
  return headers.get(B3_TRACE_ID) === undefined ? single : single | B3_MULTI
}

/**
 * B3 as openzipkin/b3-propagation has it: one field, or one for each part. Valid ids go into `trace`; a wish without
 * ids (`b3: 0`) leaves them empty. Null: there is none. What is not valid leaves all to whoever comes next.
 */
export function readB3(headers: Headers, trace: TraceContext): Wish | null {
  const single = headers.get(B3_SINGLE)
  if (single !== undefined) {
    const wish = readSingle(single, trace)
    if (wish !== null) return wish
  }
  return readMulti(headers, trace) ?? (single === undefined ? null : 'defer')
}

/** `{trace id}-{span id}[-{wish}[-{parent span id}]]`, or the wish alone. */
function readSingle(value: string, trace: TraceContext): Wish | null {
  if (value.length === 1) return wishOf(value)
  const [traceId = '', spanId = '', wish = '', parent, more] = value.split('-', 5)
  const wanted = wishOf(wish)
  if (wanted === null || more !== undefined) return null
  if (parent !== undefined && !isSpanId(parent.toLowerCase())) return null
  return readIds(traceId, spanId, trace) ? wanted : null
}

function readMulti(headers: Headers, trace: TraceContext): Wish | null {
  const traceId = headers.get(B3_TRACE_ID)
  const sampled = headers.get(B3_SAMPLED)
  if (traceId === undefined && sampled === undefined) return null
  const wish = headers.get(B3_FLAGS) === '1' ? 'debug' : wishOf(sampled?.toLowerCase() ?? '')
  if (wish === null) return 'defer'
  return traceId === undefined || readIds(traceId, headers.get(B3_SPAN_ID) ?? '', trace) ? wish : 'defer'
}

/** Also the words of early versions. */
function wishOf(word: string): Wish | null {
  if (word === '') return 'defer'
  if (word === '1' || word === 'true') return 'accept'
  if (word === '0' || word === 'false') return 'deny'
  return word === 'd' ? 'debug' : null
}

function isSpanId(text: string): boolean {
  return text.length === 16 && isId(text, 0, 16)
}

/** A trace id of 64 bits is filled up with zeros. */
function readIds(traceId: string, spanId: string, trace: TraceContext): boolean {
  const id = traceId.toLowerCase()
  const span = spanId.toLowerCase()
  if ((id.length !== 32 && id.length !== 16) || !isId(id, 0, id.length) || !isSpanId(span)) return false
  trace.traceId = id.padStart(32, '0')
  trace.parentId = span
  return true
}
