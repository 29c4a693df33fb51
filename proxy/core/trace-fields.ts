import { ATTEMPT, EXPECTED } from './retry-fields.ts'
import { B3, B3_MULTI, type TraceContext } from './trace.ts'
import { copyText, SAMPLED } from './traceparent.ts'

/** The fields of a request head in which trace context is sent: W3C, and B3 as openzipkin/b3-propagation has it. */

export const TRACEPARENT = 'traceparent'
export const TRACESTATE = 'tracestate'
export const B3_SINGLE = 'b3'
export const B3_TRACE_ID = 'x-b3-traceid'
export const B3_SPAN_ID = 'x-b3-spanid'
export const B3_PARENT_SPAN_ID = 'x-b3-parentspanid'
export const B3_SAMPLED = 'x-b3-sampled'
export const B3_FLAGS = 'x-b3-flags'

/** What a head has of them: bits of `Headers.traceFields`. */
export const HAS_TRACEPARENT = 1
export const HAS_TRACESTATE = 2
export const HAS_B3 = 4
/** Of those in retry-fields.ts, which are looked for together with these. */
export const HAS_ATTEMPT = 8
export const HAS_EXPECTED = 16

/** The bit of a field name in lower case; 0: it is none of them. */
export function traceFieldOf(name: string): number {
  switch (name.length) {
    case 2:
      return name === B3_SINGLE ? HAS_B3 : 0
    case 10:
      return name === TRACESTATE ? HAS_TRACESTATE : name === B3_FLAGS ? HAS_B3 : 0
    case 11:
      return name === TRACEPARENT ? HAS_TRACEPARENT : name === B3_SPAN_ID ? HAS_B3 : 0
    case 12:
      return name === B3_TRACE_ID || name === B3_SAMPLED ? HAS_B3 : 0
    case 17:
      return name === B3_PARENT_SPAN_ID ? HAS_B3 : 0
    case 19:
      return name === ATTEMPT ? HAS_ATTEMPT : 0
    case 30:
      return name === EXPECTED ? HAS_EXPECTED : 0
    default:
      return 0
  }
}

/** `Headers.traceFields` of pairs up to `count`, with names in lower case. */
export function traceFieldsOf(pairs: readonly string[], count: number): number {
  let fields = 0
  for (let i = 0; i < count; i += 2) fields |= traceFieldOf(pairs[i]!)
  return fields
}

/** `Headers.copyValue` of such pairs. */
export function copyValueOf(pairs: readonly string[], count: number, name: string, into: Uint8Array): number {
  let at = -1
  for (let i = 0; i < count; i += 2) {
    if (pairs[i] !== name) continue
    if (at >= 0) return -1
    at = i
  }
  return at < 0 ? -1 : copyText(pairs[at + 1]!, into)
}

/** Where they are written: a head, or what one attempt adds to it. */
export interface FieldTarget {
  set(name: string, value: string): void
}

/** Tells the next one of B3 the span that `traceparent` tells. */
export function writeB3(trace: TraceContext, formats: number, to: FieldTarget): void {
  const { traceId, parentId, toldId, flags, sampledBy } = trace
  const isDebug = sampledBy === 'debug'
  const sampled = (flags & SAMPLED) === 0 ? '0' : '1'
  if ((formats & B3) !== 0) to.set(B3_SINGLE, `${traceId}-${toldId}-${isDebug ? 'd' : sampled}`)
  if ((formats & B3_MULTI) === 0) return
  to.set(B3_TRACE_ID, traceId)
  to.set(B3_SPAN_ID, toldId)
  if (parentId !== '') to.set(B3_PARENT_SPAN_ID, parentId)
  // With `x-b3-flags: 1`, which passes as it came, it is implied.
  if (!isDebug) to.set(B3_SAMPLED, sampled)
}
