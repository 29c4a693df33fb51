import { FAILURE_OPTION, OFFER } from '../hop/names.ts'
import type { Http1Head } from './head.ts'

/**
 * The server speaks first in them, or their first bytes are no request: what comes behind such an offer is HTTP (RFC
 * 2817 section 3.1, RFC 9113 section 3.4).
 */
const WAITS_FOR_ANSWER = /^(tls|http|h2)(\/|$)/

/**
 * After an answer that opened no tunnel: may the caller's next bytes be of the protocol it asked for, and only look
 * like a request? Then the connection ends with the answer, so that they are never read as one
 * (draft-ietf-httpbis-optimistic-upgrade). An offer that is ignored, and that has no effect before the answer, keeps
 * the connection, if nothing is behind it. `hasMore`: something is.
 */
export function mayLeaveHttp({ offered, upgrade }: Http1Head, hasMore: boolean): boolean {
  if (offered === '') return false
  return upgrade !== '' || hasMore || !offered.split(',').every(name => WAITS_FOR_ANSWER.test(name))
}

/**
 * The Connection fields of an answer. `offer`: the line that says once that this is a sidecar; empty: it was said, or is
 * not to be. `ownFailure`: that of this answer (`ResponseHead.ownFailure`).
 */
export function connectionLines(keepAlive: boolean, old: boolean, offer: string, ownFailure: string): string {
  const usual = keepAlive ? (old ? 'connection: keep-alive\r\n' : offer) : 'connection: close\r\n'
  return ownFailure === '' || old ? usual : `${usual}connection: ${OFFER}, ${FAILURE_OPTION}${ownFailure}\r\n`
}
