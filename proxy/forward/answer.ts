import type { Timer } from '../core/clock.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Headers, Receiver, ResponseHead } from '../core/message.ts'
import type { Forward } from './forward.ts'

/** The upstream's answer on its way down: head, body, trailers, and what to do when it breaks off. */
export class Answer implements Receiver<ResponseHead> {
  readonly #forward: Forward
  readonly #idle: Timer
  /** Something moved since the idle timer was set: cheaper than setting it anew for each chunk. */
  #moved = false

  constructor(forward: Forward) {
    this.#forward = forward
    this.#idle = forward.deps.clock.timer(() => this.#idled())
  }

  head(response: ResponseHead, end: boolean): void {
    const forward = this.#forward
    const { status } = response
    if (status < 200) return forward.stream.head(response, false)
    const now = forward.deps.clock.now()
    forward.attempt!.status = status
    if (forward.retriesStatus(status)) return
    forward.exchange.firstByteAt = now
    forward.committed(status)
    forward.deps.onResponse(forward, response)
    forward.stream.head(response, end)
    if (end) return forward.finished()
    const { idleTimeoutMs } = forward.route!
    if (idleTimeoutMs > 0) {
      this.#moved = false
      this.#idle.arm(idleTimeoutMs)
    }
  }

  data(chunk: Buffer, end: boolean): boolean {
    const forward = this.#forward
    this.#moved = true
    forward.exchange.bytesOut += chunk.length
    const writable = forward.stream.data(chunk, end)
    if (end) forward.finished()
    return writable
  }

  trailers(trailers: Headers): void {
    this.#forward.stream.trailers(trailers)
    this.#forward.finished()
  }

  reset(failure: Failure, detail: string): void {
    const forward = this.#forward
    if (forward.answered) forward.brokeOff(failure, detail)
    else forward.attemptFailed(failure, detail)
  }

  /** The request's side may write again. */
  writable(): void {
    this.#forward.stream.resume()
  }

  stop(): void {
    this.#idle.cancel()
  }

  #idled(): void {
    const forward = this.#forward
    const { idleTimeoutMs } = forward.route!
    if (this.#moved) {
      this.#moved = false
      this.#idle.arm(idleTimeoutMs)
    } else forward.fail(failures.upstreamIdle, `nothing moved for ${idleTimeoutMs} ms`)
  }
}
