import { B3, B3_MULTI, type TraceContext, W3C } from './trace.ts'
import { SAMPLED, traceparentOf } from './traceparent.ts'

/** The fields of a request head in which trace context is sent: W3C, and B3 as openzipkin/b3-propagation has it. */

export const TRACEPARENT = 'traceparent'
export const TRACESTATE = 'tracestate'
export const B3_SINGLE = 'b3'
export const B3_TRACE_ID = 'x-b3-traceid'
export const B3_SPAN_ID = 'x-b3-spanid'
export const B3_PARENT_SPAN_ID = 'x-b3-parentspanid'
export const B3_SAMPLED = 'x-b3-sampled'
export const B3_FLAGS = 'x-b3-flags'

/** Where they are written: a head, or what one attempt adds to it. */
export interface FieldTarget {
  set(name: string, value: string): void
}

/** Tells the next one that `spanId` is its parent, in all of `formats`. */
export function writeContext(trace: TraceContext, spanId: string, formats: number, to: FieldTarget): void {
  const { traceId, parentId, flags, sampledBy } = trace
  if ((formats & W3C) !== 0) to.set(TRACEPARENT, traceparentOf(traceId, spanId, flags))
  if ((formats & (B3 | B3_MULTI)) === 0) return
  const isDebug = sampledBy === 'debug'
  const sampled = (flags & SAMPLED) === 0 ? '0' : '1'
  if ((formats & B3) !== 0) to.set(B3_SINGLE, `${traceId}-${spanId}-${isDebug ? 'd' : sampled}`)
  if ((formats & B3_MULTI) === 0) return
  to.set(B3_TRACE_ID, traceId)
  to.set(B3_SPAN_ID, spanId)
  if (parentId !== '') to.set(B3_PARENT_SPAN_ID, parentId)
  // With `x-b3-flags: 1`, which passes as it came, it is implied.
  if (!isDebug) to.set(B3_SAMPLED, sampled)
}
