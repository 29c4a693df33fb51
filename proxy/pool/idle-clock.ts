/** Closes within a tenth of each other come from one idle timeout; a restart closes connections of all ages. */
const ALIKE = 0.1
/** Below this a close says nothing of a timeout. */
const SHORTEST_MS = 500

/**
 * How long an idle connection to an endpoint may be used: for `timeouts.idle`, and for less than the endpoint keeps it.
 * That is learnt, so that the proxy retires it first and the keep-alive race (a request written while the peer closes)
 * does not happen. The margin is a fifth of the time, a second at most: it covers the way there and the coarseness of
 * both clocks.
 */
export class IdleClock {
  /** An idle connection older than this is not used any more. */
  limitMs = Number.POSITIVE_INFINITY
  #timeoutMs = 0
  #hintMs = Number.POSITIVE_INFINITY
  #observedMs = Number.POSITIVE_INFINITY
  #previousMs = 0

  /** The policy's `timeouts.idle`; 0: none. */
  limitTo(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs
    this.#settle()
  }

  /** The endpoint said how long it keeps an idle connection. */
  hinted(milliseconds: number): void {
    this.#hintMs = milliseconds
    this.#settle()
  }

  /** The endpoint closed a connection that had been idle for so long. */
  observed(idleMs: number): void {
    if (idleMs < SHORTEST_MS) return
    if (Math.abs(idleMs - this.#previousMs) <= this.#previousMs * ALIKE)
      this.#observedMs = Math.min(idleMs, this.#previousMs)
    this.#previousMs = idleMs
    this.#settle()
  }

  /** The endpoint speaks something else now, or another one may be there. */
  forget(): void {
    this.#hintMs = Number.POSITIVE_INFINITY
    this.#observedMs = Number.POSITIVE_INFINITY
    this.#previousMs = 0
    this.#settle()
  }

  #settle(): void {
    const closeMs = Math.min(this.#hintMs, this.#observedMs)
    const learntMs = closeMs - Math.min(1000, closeMs / 5)
    this.limitMs = this.#timeoutMs > 0 ? Math.min(this.#timeoutMs, learntMs) : learntMs
  }
}
