import type { Opening } from '../core/listener.ts'

const FATAL = 2
/** RFC 6066 section 3: the server name is not one we know. */
const UNRECOGNIZED_NAME = 112
/** RFC 8446 section 6.2: there is nothing to agree on. */
const HANDSHAKE_FAILURE = 40

/**
 * What a TLS caller understands of a refusal: a record (RFC 8446 section 5.1) with one alert, in the clear, as no key
 * was agreed on. Null: it speaks no TLS.
 */
export function tlsAlert({ kind, refused }: Opening): Buffer | null {
  if (kind !== 'tls') return null
  const description = refused === null ? UNRECOGNIZED_NAME : HANDSHAKE_FAILURE
  return Buffer.from([21, 3, 3, 0, 2, FATAL, description])
}
