import type { Random } from '../core/clock.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import type { RequestHead, UpstreamStream } from '../core/message.ts'
import { ATTEMPT, EXPECTED } from '../core/retry-fields.ts'
import { B3, B3_MULTI, type TraceContext, W3C } from '../core/trace.ts'
import { TRACEPARENT, writeB3 } from '../core/trace-fields.ts'
import { traceparentOf } from '../core/traceparent.ts'
import { deadlineLeft } from './grpc-deadline.ts'
import { answerLeft } from './http-deadline.ts'
import { hadIt } from './retry.ts'

const PREVIOUS = 'grpc-previous-rpc-attempts'

/**
 * Fields that one attempt adds to the request head, or says in its own way. They are on the head only while it is
 * written, so no other attempt and no log sees them.
 */
export class HeadOverlay {
  /** Name, value, and the value it hides ... */
  readonly #fields: (string | undefined)[] = []

  #told: TraceContext | null = null

  clear(): void {
    if (this.#fields.length !== 0) this.#fields.length = 0
    this.#told = null
  }

  get isEmpty(): boolean {
    return this.#fields.length === 0 && this.#told === null
  }

  /** `traceparent` says what `trace` does at this moment. */
  tell(trace: TraceContext): void {
    this.#told = trace
  }

  set(name: string, value: string): void {
    this.#fields.push(name, value, undefined)
  }

  /** Heads are written before `stream.head` returns. */
  write(stream: UpstreamStream, request: RequestHead, end: boolean): void {
    const { headers } = request
    const fields = this.#fields
    const told = this.#told
    // A head that is carried is made of texts.
    const isKept = told !== null && !stream.carried && headers.tellTrace(told)
    if (told !== null && !isKept) this.set(TRACEPARENT, traceparentOf(told))
    for (let i = 0; i < fields.length; i += 3) {
      fields[i + 2] = headers.get(fields[i]!)
      headers.set(fields[i]!, fields[i + 1]!)
    }
    stream.head(request, end)
    if (isKept) headers.tellTrace(null)
    for (let i = 0; i < fields.length; i += 3) {
      const before = fields[i + 2]
      if (before === undefined) headers.delete(fields[i]!)
      else headers.set(fields[i]!, before)
    }
  }
}

/** The endpoint's parent is the span of this very attempt. */
export function overlayTrace(overlay: HeadOverlay, trace: TraceContext, record: AttemptRecord, random: Random): void {
  record.newSpan(random)
  trace.tell(record.spanHigh, record.spanLow)
  const { sends } = trace
  if ((sends & W3C) !== 0) overlay.tell(trace)
  if ((sends & (B3 | B3_MULTI)) !== 0) writeB3(trace, sends, overlay)
}

/** What an endpoint is told of the time that its answer has, and which try this is of those that an endpoint has had. */
export function overlayRetry(overlay: HeadOverlay, exchange: Exchange, now: number, leftMs: number): void {
  const left = answerLeft(exchange, now, leftMs)
  if (left !== '') overlay.set(EXPECTED, left)
  const { attempts, tries } = exchange.decision
  let number = 1
  for (let i = 0; i < attempts - 1; i++) if (hadIt(tries[i]!) && !tries[i]!.another.isFree) number++
  if (number > 1) overlay.set(ATTEMPT, String(number))
}

/**
 * What an endpoint is told of a gRPC call: the rest of its deadline, and how many endpoints have had it before (gRFC
 * A6). What never reached an application does not count.
 */
export function overlayGrpc(overlay: HeadOverlay, exchange: Exchange, now: number): void {
  const left = deadlineLeft(exchange, now)
  if (left !== '') overlay.set('grpc-timeout', left)
  const { tries, attempts } = exchange.decision
  let previous = 0
  for (let i = 0; i < attempts - 1; i++) if (hadIt(tries[i]!)) previous++
  if (previous === 0) return
  const before = exchange.request.headers.get(PREVIOUS)
  const count = before !== undefined && /^\d{1,6}$/.test(before) ? Number(before) : 0
  overlay.set(PREVIOUS, String(count + previous))
}
