import type { FailureEvidence } from './telemetry.ts'

/** A failure of an endpoint in a few words; the id leads to it in `/flights?id=`. */
export function evidenceText({ agoMs, what, requestId }: FailureEvidence): string {
  const when = agoMs < 10_000 ? `${agoMs} ms ago` : `${Math.round(agoMs / 1000)} s ago`
  return `${what} ${when}${requestId === '' ? '' : ` (request ${requestId})`}`
}
