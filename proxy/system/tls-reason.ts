/** Of a text that the peer has a part in. */
const LONGEST_REASON = 300

/** Why a handshake failed: in words where the code alone is a riddle. */
export function reasonOf({ code = '', message }: NodeJS.ErrnoException, peer: 'caller' | 'endpoint'): string {
  if (code === 'ECONNRESET') return `the ${peer} closed the connection during the handshake`
  if (/peer did not return a certificate/.test(message)) return `the ${peer} showed no certificate`
  if (code === 'EPROTO' || code === 'ERR_SSL_WRONG_VERSION_NUMBER')
    return /wrong version number|packet length too long/.test(message)
      ? `the ${peer} does not speak TLS`
      : `${code}: ${lastPart(message)}`
  return `${code === '' ? '' : `${code}: `}${message}`.slice(0, LONGEST_REASON)
}

/** Of `write EPROTO 40C7...:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../deps/...:`. */
function lastPart(message: string): string {
  return (/:SSL routines:[^:]*:([^:]+)/.exec(message)?.[1] ?? message).slice(0, LONGEST_REASON)
}
