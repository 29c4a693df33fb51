import type { Random } from './clock.ts'
import type { Exchange } from './exchange.ts'
import { randomWord, spanIdText, traceIdText, wordAt } from './trace-ids.ts'
import { isTraceparent, SAMPLED, type ToldIds } from './traceparent.ts'

/** Formats of trace context: bits of `TraceContext.formats` and `TraceContext.sends`. */
export const W3C = 1
export const B3 = 2
/** B3 in a field for each of its parts. */
export const B3_MULTI = 4

/** Why a request is sampled or not, by what is known at its start; empty: nobody decided, because nothing records. */
export type SampledBy = '' | 'caller' | 'debug' | 'ratio'

/** Why spans of an exchange were made; empty: none were. */
export type RecordedBy = '' | 'caller' | 'ratio' | 'failed' | 'slow'

/**
 * The trace that an exchange belongs to. One object for each exchange object, begun anew for each request. Ids are
 * words (trace-ids.ts), all 0 where there is none: most requests end before anything needs a text of them.
 */
export class TraceContext implements ToldIds {
  trace0 = 0
  trace1 = 0
  trace2 = 0
  trace3 = 0
  parentHigh = 0
  parentLow = 0
  spanHigh = 0
  spanLow = 0
  toldHigh = 0
  toldLow = 0
  /** `tracestate` as it came, where it is valid. */
  state = ''
  /** As in `traceparent`: `SAMPLED`, `RANDOM`. */
  flags = 0
  /** `Headers.traceFields`, where it was looked at; -1: nobody has. */
  came = -1
  /** In which formats the next one is told of it: those that came, and W3C. */
  formats = 0
  /** In which formats each attempt tells its endpoint a span of its own; 0: what stands in the head is sent as it is. */
  sends = 0
  sampledBy: SampledBy = ''
  /** Set when the exchange ends. */
  recordedBy: RecordedBy = ''

  begin(): void {
    this.trace0 = 0
    this.trace1 = 0
    this.trace2 = 0
    this.trace3 = 0
    this.parentHigh = 0
    this.parentLow = 0
    this.spanHigh = 0
    this.spanLow = 0
    this.toldHigh = 0
    this.toldLow = 0
    this.state = ''
    this.flags = 0
    this.formats = 0
    this.came = -1
    this.sends = 0
    this.sampledBy = ''
    this.recordedBy = ''
  }

  /** Spans are made when it ends, whatever becomes of it: each endpoint is told the span of its own attempt. */
  get isSampled(): boolean {
    return this.sampledBy !== '' && (this.flags & SAMPLED) !== 0
  }

  /** A caller named a trace, or one was begun. */
  get hasTrace(): boolean {
    return (this.trace0 | this.trace1 | this.trace2 | this.trace3) !== 0
  }

  /** False: the trace begins here. */
  get hasParent(): boolean {
    return (this.parentHigh | this.parentLow) !== 0
  }

  /** The span of this exchange was made: SERVER of an inbound one, else INTERNAL. */
  get hasSpan(): boolean {
    return (this.spanHigh | this.spanLow) !== 0
  }

  /**
   * A trace begins here. All of its id is random (W3C Trace Context level 2, flag `RANDOM`), and never zeros alone,
   * which means "none".
   */
  beginTrace(random: Random): void {
    this.trace0 = randomWord(random)
    this.trace1 = randomWord(random)
    this.trace2 = randomWord(random)
    this.trace3 = randomWord(random)
    if (!this.hasTrace) this.trace3 = 1
  }

  newSpan(random: Random): void {
    this.spanHigh = randomWord(random)
    this.spanLow = randomWord(random)
    if (!this.hasSpan) this.spanLow = 1
  }

  /** What `traceparent` says from now on. */
  tell(high: number, low: number): void {
    this.toldHigh = high
    this.toldLow = low
  }

  // ── as texts, empty where there is none ──

  /** 32 hex digits. */
  get traceId(): string {
    return traceIdText(this.trace0, this.trace1, this.trace2, this.trace3)
  }

  set traceId(text: string) {
    this.trace0 = wordAt(text, 0)
    this.trace1 = wordAt(text, 8)
    this.trace2 = wordAt(text, 16)
    this.trace3 = wordAt(text, 24)
  }

  /** The caller's span, 16 hex digits. */
  get parentId(): string {
    return spanIdText(this.parentHigh, this.parentLow)
  }

  set parentId(text: string) {
    this.parentHigh = wordAt(text, 0)
    this.parentLow = wordAt(text, 8)
  }

  get spanId(): string {
    return spanIdText(this.spanHigh, this.spanLow)
  }

  get toldId(): string {
    return spanIdText(this.toldHigh, this.toldLow)
  }
}

/** For logs, flights, problem documents and exemplars; empty: there is none. */
export function traceIdOf({ trace, request, protocol }: Exchange): string {
  if (trace.hasTrace || protocol === 'tcp') return trace.traceId
  // Nothing looked at what the caller sent, because nothing is recorded: it is passed on all the same.
  const came = request.headers.get('traceparent')
  return came !== undefined && isTraceparent(came) ? came.slice(3, 35) : ''
}
