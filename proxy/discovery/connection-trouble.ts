import { messageOf } from './words.ts'

/** The error of a connection, in words. `server`: what should have listened there. */
export function connectionTrouble(error: unknown, server: string): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ECONNREFUSED') return `refuses connections: does ${server} run there?`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'cannot be found by that name'
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'closed the connection'
  if (code === 'ETIMEDOUT' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return `cannot be reached (${code})`
  // Of OpenSSL's message only the last words are useful.
  const reason = /:SSL routines:[^:]*:([^:]+)/.exec(messageOf(error))?.[1]
  if (reason !== undefined) return `does not agree on TLS: ${reason}`
  if (code.startsWith('ERR_TLS') || /CERT|SIGNATURE|ISSUER/.test(code))
    return `has a certificate that is not accepted: ${messageOf(error)}`
  return `cannot be asked: ${messageOf(error)}`
}
