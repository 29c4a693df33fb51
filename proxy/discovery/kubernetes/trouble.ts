/** Why the API server did not answer, or not as asked; the message is one line for people. */
export class KubernetesTrouble extends Error {
  /** HTTP status; 0: there was no answer. */
  readonly status: number
  /** It is not to be asked again before; 0: it says nothing of that. */
  readonly retryAfterMs: number

  constructor(message: string, status: number, retryAfterMs = 0) {
    super(message)
    this.name = 'KubernetesTrouble'
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/** The version asked for is no longer known, as happens to one that is old. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubernetesTrouble && error.status === 410
}

/** As a status: what was sent makes no sense, so nothing of it is to be relied upon. */
export const NONSENSE = -1

/** What follows the version that is known cannot be had: what there is has to be listed anew. */
export function isLost(error: unknown): boolean {
  if (!(error instanceof KubernetesTrouble)) return true
  // 504: the API server has never heard of that version; it may have lost some.
  return error.status === 410 || error.status === 504 || error.status === NONSENSE
}

/** Another token, or other rights, are needed: asking again soon is useless. */
export function isDenied(error: unknown): boolean {
  return error instanceof KubernetesTrouble && (error.status === 401 || error.status === 403)
}
