export interface IdleClose {
  /** The endpoint said how long it keeps an idle connection. */
  hinted(milliseconds: number): void
  /** The endpoint closed a connection that had been idle for so long. */
  observed(idleMs: number): void
  /** An idle connection older than this is not used any more. */
  readonly limitMs: number
}

/** Closes within a tenth of each other come from one idle timeout; a restart closes connections of all ages. */
const ALIKE = 0.1
/** Below this a close says nothing of a timeout. */
const SHORTEST_MS = 500

/**
 * Learns how long an endpoint keeps an idle connection, so that the proxy retires it first and the keep-alive race (a
 * request written while the peer closes) does not happen. The margin is a fifth of the time, a second at most: it
 * covers the way there and the coarseness of both clocks.
 */
export function idleClose(): IdleClose {
  let hintMs = Number.POSITIVE_INFINITY
  let observedMs = Number.POSITIVE_INFINITY
  let previousMs = 0
  return {
    hinted(milliseconds) {
      hintMs = milliseconds
    },
    observed(idleMs) {
      if (idleMs < SHORTEST_MS) return
      if (Math.abs(idleMs - previousMs) <= previousMs * ALIKE) observedMs = Math.min(idleMs, previousMs)
      previousMs = idleMs
    },
    get limitMs() {
      const closeMs = Math.min(hintMs, observedMs)
      return closeMs - Math.min(1000, closeMs / 5)
    },
  }
}
