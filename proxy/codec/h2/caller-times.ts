import type { DownstreamOptions } from '../../core/codec.ts'
import { type Failure, failures } from '../../core/failure.ts'
import { CANCEL, PROTOCOL_ERROR } from './frame.ts'
import type { FrameWriter } from './frame-writer.ts'
import type { Guard } from './options.ts'
import type { Http2Stream } from './stream.ts'

/** What they need of the connection. */
export interface TimesHost {
  readonly streams: ReadonlyMap<number, Http2Stream>
  /** A head began that is not whole. */
  readonly isInBlock: boolean
  /** Looks at the time again at `at` at the latest. */
  wake(at: number): void
  out(): FrameWriter
  finish(stream: Http2Stream, byUs: boolean): void
  tripped(guard: Guard, detail: string): void
  connectionError(code: number, detail: string, guard: Guard | null, failure: Failure): void
}

/** How long a caller may take: for a head, for a body, to take an answer, and between its requests. */
export class CallerTimes {
  readonly #host: TimesHost
  readonly #options: DownstreamOptions
  #idleSince = 0
  /** When the head began that is not whole; 0: none has. */
  #blockSince = 0

  constructor(host: TimesHost, options: DownstreamOptions) {
    this.#host = host
    this.#options = options
  }

  /** No stream runs. */
  idleBegun(now: number): void {
    this.#idleSince = now
    if (this.#options.idleTimeoutMs > 0) this.#host.wake(now + this.#options.idleTimeoutMs)
  }

  blockBegun(now: number): void {
    this.#blockSince = now
    if (this.#options.headTimeoutMs > 0) this.#host.wake(now + this.#options.headTimeoutMs)
  }

  /** The head has come and the body has not. */
  bodyBegun(stream: Http2Stream, now: number): void {
    const { bodyTimeoutMs } = this.#options
    if (bodyTimeoutMs === 0) return
    // A stream of messages, whose caller speaks when it has something to say; `timeouts.idle` of the service watches
    // both directions.
    stream.mayBeQuiet = stream.incoming.get('content-type')?.startsWith('application/grpc') === true
    if (stream.mayBeQuiet) return
    // A caller that waits for "100 Continue" waits for the upstream; the time for its body begins with that answer.
    stream.movedAt = stream.incoming.expect === '' ? now : Number.POSITIVE_INFINITY
    this.#host.wake(now + bodyTimeoutMs)
  }

  /** An interim answer was sent: the body may begin now. */
  bodyInvited(stream: Http2Stream, now: number): void {
    stream.movedAt = now
    if (this.#options.bodyTimeoutMs > 0) this.#host.wake(now + this.#options.bodyTimeoutMs)
  }

  sweepHead(now: number): void {
    const { headTimeoutMs } = this.#options
    if (headTimeoutMs === 0 || this.#blockSince === 0 || !this.#host.isInBlock) return
    const due = this.#blockSince + headTimeoutMs
    if (now < due) return this.#host.wake(due)
    const detail = `no whole head within ${headTimeoutMs} ms`
    this.#host.connectionError(PROTOCOL_ERROR, detail, null, failures.headTimeout)
  }

  /** It has been idle for too long. `isBegun`: the caller has said something; before that it has less time. */
  isIdleOver(now: number, isBegun: boolean): boolean {
    const { idleTimeoutMs, headTimeoutMs } = this.#options
    const limit =
      isBegun || headTimeoutMs === 0 ? idleTimeoutMs : Math.min(headTimeoutMs, idleTimeoutMs || headTimeoutMs)
    if (limit === 0) return false
    if (now >= this.#idleSince + limit) return true
    this.#host.wake(this.#idleSince + limit)
    return false
  }

  sweepStreams(now: number): void {
    for (const stream of [...this.#host.streams.values()]) this.#sweepStream(stream, now)
  }

  #sweepStream(stream: Http2Stream, now: number): void {
    const host = this.#host
    const { bodyTimeoutMs, idleTimeoutMs } = this.#options
    if (stream.closed) return
    if (stream.pending !== null && stream.sendDone) {
      // An answer whose endpoint has finished has no other timer: a caller that takes nothing of it is cut.
      if (idleTimeoutMs === 0) return
      if (now < stream.movedAt + idleTimeoutMs) return host.wake(stream.movedAt + idleTimeoutMs)
      host.tripped('stalled', `nothing of an answer was taken for ${idleTimeoutMs} ms`)
      host.out().reset(stream.id, CANCEL)
      host.finish(stream, true)
    } else if (!stream.remoteEnded && !stream.input.paused && !stream.mayBeQuiet && bodyTimeoutMs > 0) {
      if (now < stream.movedAt + bodyTimeoutMs) return host.wake(Math.min(stream.movedAt, now) + bodyTimeoutMs)
      stream.timedOut(failures.bodyTimeout, `nothing of the body for ${bodyTimeoutMs} ms`)
    }
  }
}
