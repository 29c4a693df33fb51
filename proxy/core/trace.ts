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

/** The two digits of each byte. */
const PAIRS = new Uint16Array(256)
for (let i = 0; i < 256; i++) {
  const [high, low] = Buffer.from(i.toString(16).padStart(2, '0')) as unknown as [number, number]
  PAIRS[i] = high | (low << 8)
}

/** `{trace id}{span id}`, two digits a number: written in place, so that an id costs one text. */
const pairs = new Uint16Array(24)
const digits = Buffer.from(pairs.buffer)
const TRACE_PAIRS = 16

/** From `from` to `to`. Never all zeros, which means "none". */
function writeRandom(from: number, to: number, random: Random): void {
  let any = 0
  for (let at = from; at < to; at += 4) {
    const word = (random() * 0x1_0000_0000) >>> 0
    any |= word
    pairs[at] = PAIRS[word >>> 24]!
    pairs[at + 1] = PAIRS[(word >>> 16) & 255]!
    pairs[at + 2] = PAIRS[(word >>> 8) & 255]!
    pairs[at + 3] = PAIRS[word & 255]!
  }
  if (any === 0) pairs[to - 1] = PAIRS[1]!
}

/** A span id, 16 hex digits. */
export function newSpanId(random: Random): string {
  writeRandom(TRACE_PAIRS, 24, random)
  return digits.latin1Slice(32, 48)
}

/**
 * The ids of a trace that begins here: 32 hex digits of the trace, 16 of a span. All of the trace id is random (W3C
 * Trace Context level 2, flag `RANDOM`).
 */
export function newIds(random: Random): string {
  writeRandom(0, TRACE_PAIRS, random)
  writeRandom(TRACE_PAIRS, 24, random)
  return digits.latin1Slice(0, 48)
}
