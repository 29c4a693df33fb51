import type { Protocol, RequestHead } from './message.ts'

/** `RequestHead.upgrade` of a CONNECT. No other protocol may be called so. */
export const CONNECT = 'connect'
export const WEBSOCKET = 'websocket'

/**
 * Does an answer of this status hand the stream over to what was asked for? 101 in every codec, whatever HTTP/2 writes
 * for it; 2xx to a CONNECT. Until it does, no byte of the caller's is passed on but the body of its request; where it
 * does not, the exchange is an ordinary one.
 */
export function opensTunnel(upgrade: string, status: number): boolean {
  if (upgrade === '') return false
  return upgrade === CONNECT ? status >= 200 && status < 300 : status === 101
}

/**
 * What becomes of an offer of one or more protocols where `allowed` are: the first that is, or none (empty), because a
 * server may ignore an offer (RFC 9110 section 7.8). Null: it is no mere offer, and has to be refused: the handshake of
 * a WebSocket, whose caller speaks nothing else, and all that HTTP/2 asks for.
 */
export function settleUpgrade(
  { upgrade, method, headers }: RequestHead,
  protocol: Protocol,
  allowed: ReadonlySet<string>,
): string | null {
  if (upgrade === CONNECT || allowed.has(upgrade)) return upgrade
  const offered = upgrade.split(',')
  const settled = offered.find(name => allowed.has(name))
  if (settled !== undefined) return settled
  const isHandshake = offered.includes(WEBSOCKET) && method === 'GET' && headers.get('sec-websocket-key') !== undefined
  return isHandshake || protocol === 'h2' ? null : ''
}

/** A protocol as it may be named: `name` or `name/version` (RFC 9110 section 7.8). */
export function isProtocolName(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?$/.test(text) && text.toLowerCase() !== CONNECT
}
