import type { Random } from '../core/clock.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import type { RequestHead, UpstreamStream } from '../core/message.ts'
import { newSpanId, type TraceContext } from '../core/trace.ts'
import { writeContext } from '../core/trace-fields.ts'
import { deadlineLeft } from './grpc-deadline.ts'
import { hadIt } from './retry.ts'

const PREVIOUS = 'grpc-previous-rpc-attempts'

/**
 * Fields that one attempt adds to the request head, or says in its own way. They are on the head only while it is
 * written, so no other attempt and no log sees them.
 */
export class HeadOverlay {
  /** Name, value, and the value it hides ... */
  readonly #fields: (string | undefined)[] = []

  clear(): void {
    this.#fields.length = 0
  }

  get isEmpty(): boolean {
    return this.#fields.length === 0
  }

  set(name: string, value: string): void {
    this.#fields.push(name, value, undefined)
  }

  /** Heads are written before `stream.head` returns. */
  write(stream: UpstreamStream, request: RequestHead, end: boolean): void {
    const { headers } = request
    const fields = this.#fields
    for (let i = 0; i < fields.length; i += 3) {
      fields[i + 2] = headers.get(fields[i]!)
      headers.set(fields[i]!, fields[i + 1]!)
    }
    stream.head(request, end)
    for (let i = 0; i < fields.length; i += 3) {
      const before = fields[i + 2]
      if (before === undefined) headers.delete(fields[i]!)
      else headers.set(fields[i]!, before)
    }
  }
}

/** The endpoint's parent is the span of this very attempt. */
export function overlayTrace(overlay: HeadOverlay, trace: TraceContext, record: AttemptRecord, random: Random): void {
  record.spanId = newSpanId(random)
  writeContext(trace, record.spanId, trace.sends, overlay)
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
