/**
 * Framing, routing, and fields of one connection (RFC 9110 sections 6.5.1 and 7.6.1): never in trailers, where a reader
 * that merges them into the head would be led astray.
 */
const NEVER = [
  'transfer-encoding',
  'content-length',
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'http2-settings',
  'expect',
]

/**
 * By these an application identifies its caller. It reads them in a request's head, where the sidecar has looked at
 * them or set them; a reader that merges would believe the caller.
 */
const IDENTITY = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-request-id',
]

const droppedFromRequests = new Set([...NEVER, ...IDENTITY])
const droppedFromResponses = new Set(NEVER)

/**
 * `name` in lower case. What cannot change framing or routing is passed on: metadata of gRPC may have the names of
 * request fields.
 */
export function isTrailerField(name: string, isRequest: boolean): boolean {
  return !(isRequest ? droppedFromRequests : droppedFromResponses).has(name)
}
