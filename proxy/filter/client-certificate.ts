import type { Filter } from '../core/filter.ts'
import type { PeerIdentity } from '../core/wire.ts'

const FIELD = 'x-forwarded-client-cert'
/** Made once for each connection. */
const made = new WeakMap<PeerIdentity, string>()

/**
 * Tells the application who its caller is, by a certificate that was verified: Envoy's `x-forwarded-client-cert`, as
 * with SANITIZE_SET. What the caller says of itself there is removed.
 */
export const clientCertificate: Filter = {
  name: 'client-certificate',
  onRequest(exchange) {
    const { headers } = exchange.request
    const { identity } = exchange.peer
    if (identity !== undefined) headers.set(FIELD, fieldOf(identity))
    else if (headers.get(FIELD) !== undefined) headers.delete(FIELD)
    return undefined
  },
}

function fieldOf(identity: PeerIdentity): string {
  let field = made.get(identity)
  if (field === undefined) {
    const { uri, subject, fingerprint } = identity
    field = `Hash=${fingerprint};Subject="${quoted(subject)}"${uri === '' ? '' : `;URI=${value(uri)}`}`
    made.set(identity, field)
  }
  return field
}

/** What is special in it is quoted, and what a field cannot have is left out. */
function value(text: string): string {
  return /^[\w:/.@-]*$/.test(text) ? text : `"${quoted(text)}"`
}

function quoted(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')
}
