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

/** The version asked for is no longer known: what there is has to be listed anew. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubernetesTrouble && error.status === 410
}

/** Another token, or other rights, are needed: asking again soon is useless. */
export function isDenied(error: unknown): boolean {
  return error instanceof KubernetesTrouble && (error.status === 401 || error.status === 403)
}
