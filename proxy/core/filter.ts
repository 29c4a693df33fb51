import type { Exchange } from './exchange.ts'
import type { Failure } from './failure.ts'
import type { Headers, MessageSink, ResponseHead } from './message.ts'

/** The request goes no further; the caller gets what the failure table says. */
export interface Refusal {
  readonly failure: Failure
  /** About this one time, for the answer and the log; never a label. */
  readonly detail: string
}

/** An answer made by a filter. */
export interface LocalReply {
  readonly status: number
  readonly body: Buffer
  /** Name, value, name, value ... `content-length` is added. */
  readonly headers: readonly string[]
  /** Why the request goes no further; null: the reply is an answer like that of an endpoint (a cached page). */
  readonly failure: Failure | null
}

/** Undefined: go on. Else: stop here and answer. */
export type Verdict = LocalReply | Refusal | undefined

/** A verdict that takes time. */
export interface Later {
  /**
   * Begins the work. `signal` is aborted when the caller has gone or the time is over; what the promise says after that
   * is not looked at.
   */
  verdict(signal: AbortSignal): Promise<Verdict>
  /** The longest it may take; then `late` is the verdict. 0: the work has a deadline of its own. */
  readonly timeoutMs: number
  readonly late: Verdict
}

/** Where a filter writes a request body to. */
export interface BodySink {
  /** False: above the high watermark. `writable` of the filter's own sink follows. */
  data(chunk: Buffer, end: boolean): boolean
  trailers(trailers: Headers): void
}

/** What a filter puts into a request body: it gets the body and writes to `next`. */
export interface RequestSink extends BodySink {
  /** `next` takes more again. Where this sink takes more as well, it calls `next.resume()`. */
  writable(): void
}

/** The same for a response, whose sink also gets the head: it may hold it back until it knows the body. */
export interface ResponseSink extends Omit<MessageSink<ResponseHead>, 'reset'> {
  writable(): void
}

/** What comes after a filter's sink, and the way back to what comes before it. */
export interface Next {
  /** The source may go on, after `data` of the filter's sink returned false. */
  resume(): void
  /** Ends the exchange: a local reply where no answer has begun, else the answer is cut. */
  fail(failure: Failure, detail: string): void
}

export type NextOfRequest = BodySink & Next
export type NextOfResponse = Omit<MessageSink<ResponseHead>, 'reset'> & Next

/**
 * A step that may look at, change or answer an exchange. Each phase gets `slot`, the filter's own place in the exchange
 * (`exchange.keep`, `exchange.kept`), and may leave a note in the decision record (`exchange.decision.note`).
 */
export interface Filter {
  readonly name: string
  /** In order. A verdict at once costs nothing; one that needs I/O is a `Later`. */
  onRequest?(exchange: Exchange, slot: number): Verdict | Later
  /**
   * What `onRequest` would do: /explain calls it instead, so that nothing is taken, counted or asked of others. Filters
   * whose `onRequest` does no more than read and edit the exchange have none.
   */
  preview?(exchange: Exchange, slot: number): Verdict | Later
  /**
   * In order, once the split has drawn a destination: `exchange.cluster`, `exchange.decision.chosen`. The head may be
   * edited. An explanation calls it too.
   */
  onDestination?(exchange: Exchange, slot: number): void
  /**
   * In order, once the way is decided and before the request head leaves: the sink its body goes through, or null where
   * it passes as it is. The head may still be edited.
   */
  request?(exchange: Exchange, next: NextOfRequest, slot: number): RequestSink | null
  /** In reverse order, before the final response head is written; local replies too. */
  onResponse?(exchange: Exchange, response: ResponseHead, slot: number): void
  /** In reverse order, after `onResponse`: the sink the answer goes through, or null. Local replies too. */
  response?(exchange: Exchange, next: NextOfResponse, slot: number): ResponseSink | null
  /** In reverse order, exactly once, however the exchange ended: release permits here. */
  onComplete?(exchange: Exchange, slot: number): void
}

/**
 * The filters of a listener, or of a listener and one of its routes, made ready when the snapshot is applied: each
 * phase has a list of the filters that have it, or none. `exchange.filtersRan` says how far the request has come; the
 * other phases run for those filters only.
 */
export interface FilterChain {
  /** Some filter may want a body. */
  readonly hasSinks: boolean
  /** From the first filter that has not run. `isPreview`: for an explanation. */
  onRequest(exchange: Exchange, isPreview: boolean): Verdict | Later
  onDestination(exchange: Exchange): void
  onResponse(exchange: Exchange, response: ResponseHead): void
  onComplete(exchange: Exchange): void
  /** Null: no filter wants the body. */
  requestSinks(exchange: Exchange, end: NextOfRequest): Sinks<RequestSink> | null
  responseSinks(exchange: Exchange, end: NextOfResponse): Sinks<ResponseSink> | null
  /** What of this chain has not run, behind what has run of another one: the listener's filters changed in between. */
  behind(ran: FilterChain, filtersRan: number): FilterChain
}

/** The sinks that one direction of one exchange goes through. */
export interface Sinks<Sink> {
  readonly first: Sink
  /** The end takes more again. */
  writable(): void
  /** The exchange is over: what a sink still writes goes nowhere. */
  close(): void
}
