import type { Random } from './clock.ts'
import type { Exchange } from './exchange.ts'
import { isTraceparent, SAMPLED } from './traceparent.ts'

/** Formats of trace context: bits of `TraceContext.formats` and `TraceContext.sends`. */
export const W3C = 1
export const B3 = 2
/** B3 in a field for each of its parts. */
export const B3_MULTI = 4

/** Why a request is sampled or not, by what is known at its start; empty: nobody decided, because nothing records. */
export type SampledBy = '' | 'caller' | 'debug' | 'ratio'

/** Why spans of an exchange were made; empty: none were. */
export type RecordedBy = '' | 'caller' | 'ratio' | 'failed' | 'slow'

/** The trace that an exchange belongs to. One object for each exchange object, begun anew for each request. */
export class TraceContext {
  /** 32 hex digits; empty: no caller named a trace, and none was begun. */
  traceId = ''
  /** The caller's span, 16 hex digits; empty: the trace begins here. */
  parentId = ''
  /** The span of this exchange, 16 hex digits: SERVER of an inbound one, else INTERNAL. Empty: none was made yet. */
  spanId = ''
  /** `tracestate` as it came, where it is valid. */
  state = ''
  /** As in `traceparent`: `SAMPLED`, `RANDOM`. */
  flags = 0
  /** In which formats the next one is told of it: those that came, and W3C. */
  formats = 0
  /** In which formats each attempt tells its endpoint a span of its own; 0: what stands in the head is sent as it is. */
  sends = 0
  sampledBy: SampledBy = ''
  /** Set when the exchange ends. */
  recordedBy: RecordedBy = ''

  begin(): void {
    this.traceId = ''
    this.parentId = ''
    this.spanId = ''
    this.state = ''
    this.flags = 0
    this.formats = 0
    this.sends = 0
    this.sampledBy = ''
    this.recordedBy = ''
  }

  /** Spans are made when it ends, whatever becomes of it: each endpoint is told the span of its own attempt. */
  get isSampled(): boolean {
    return this.sampledBy !== '' && (this.flags & SAMPLED) !== 0
  }
}

/** For logs, flights, problem documents and exemplars; empty: there is none. */
export function traceIdOf({ trace, request, protocol }: Exchange): string {
  if (trace.traceId !== '' || protocol === 'tcp') return trace.traceId
  // Nothing looked at what the caller sent, because nothing is recorded: it is passed on all the same.
  const came = request.headers.get('traceparent')
  return came !== undefined && isTraceparent(came) ? came.slice(3, 35) : ''
}

const DIGITS = Buffer.from('0123456789abcdef')
const scratch = Buffer.from(`${'0'.repeat(32)}-${'0'.repeat(16)}`)
const TRACE_AT = 0
const SPAN_AT = 33

function write32(at: number, value: number): void {
  for (let i = 7; i >= 0; i--) {
    scratch[at + i] = DIGITS[value & 15]!
    value >>>= 4
  }
}

/** Never all zeros, which means "none". */
function writeRandom(at: number, words: number, random: Random): void {
  let any = 0
  for (let i = 0; i < words; i++) {
    const word = Math.floor(random() * 0x1_0000_0000)
    any |= word
    write32(at + 8 * i, word)
  }
  if (any === 0) write32(at + 8 * (words - 1), 1)
}

/** A span id, 16 hex digits. */
export function newSpanId(random: Random): string {
  writeRandom(SPAN_AT, 2, random)
  return scratch.latin1Slice(SPAN_AT, SPAN_AT + 16)
}

/**
 * The ids of a trace that begins here, with a span: `{trace id}-{span id}`. All of the trace id is random (W3C Trace
 * Context level 2, flag `RANDOM`).
 */
export function newIds(random: Random): string {
  writeRandom(TRACE_AT, 4, random)
  writeRandom(SPAN_AT, 2, random)
  return scratch.latin1Slice(TRACE_AT, SPAN_AT + 16)
}
