/** `RequestHead.upgrade` of a CONNECT. No other protocol may be called so. */
export const CONNECT = 'connect'
export const WEBSOCKET = 'websocket'

/**
 * Does an answer of this status hand the stream over to what was asked for? 101 in every codec, whatever HTTP/2 writes for it; 2xx to a CONNECT. Until it does, no byte
 * of the caller's is passed on; where it does not, the exchange is an ordinary one and the request had no body.
 */
export function opensTunnel(upgrade: string, status: number): boolean {
  if (upgrade === '') return false
  return upgrade === CONNECT ? status >= 200 && status < 300 : status === 101
}

/** A protocol as it may be named: `name` or `name/version` (RFC 9110 section 7.8). */
export function isProtocolName(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?$/.test(text) && text.toLowerCase() !== CONNECT
}
