export interface Backoff {
  /** The longest first wait. */
  readonly baseMs: number
  /** The longest of all. */
  readonly maxMs: number
}

/** Envoy's default. */
export const USUAL_BACKOFF: Backoff = { baseMs: 25, maxMs: 250 }

/** Full jitter: anything up to the base, which doubles with each retry, and up to the longest. `retry`: 1 for the first. */
export function backoffMs(retry: number, random: () => number, { baseMs, maxMs } = USUAL_BACKOFF): number {
  return random() * Math.min(baseMs * 2 ** (retry - 1), maxMs)
}
