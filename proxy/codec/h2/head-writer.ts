import type { Headers, RequestHead, ResponseHead } from '../../core/message.ts'
import { CONNECT } from '../../core/tunnel.ts'
import { FAILURE, SOURCE } from '../hop/names.ts'
import { trailersOfTe } from '../te.ts'
import { Http2Head } from './head.ts'
import type { Encoder } from './hpack/encoder.ts'

const statuses = Array.from({ length: 1000 }, (_, status) => String(status))

/**
 * Of one connection only, what only a sidecar may say, or framing that HTTP/2 does itself (RFC 9113 section 8.2.2);
 * Host is `:authority` (section 8.3.1); the answer to a key (RFC 8441 section 5).
 */
const DROPPED = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host',
  'sec-websocket-accept',
  FAILURE,
  SOURCE,
])

/** More pieces of a cookie leave as one: servers are known that take 100 or 128 fields and count each piece (Node). */
const MAX_CRUMBS = 32

/** Writes the block of a request to where the encoder is. */
export function encodeRequest(encoder: Encoder, head: RequestHead, scheme = head.scheme): void {
  if (head.upgrade !== '') return encodeConnect(encoder, head, scheme)
  encoder.field(':method', head.method, false)
  encoder.field(':scheme', scheme, false)
  if (head.authority !== '') encoder.field(':authority', head.authority, false)
  encoder.field(':path', head.path, false)
  encodeFields(encoder, head.headers)
}

/** CONNECT, and the extended one by which HTTP/2 asks for everything else (RFC 8441 section 4). */
function encodeConnect(encoder: Encoder, head: RequestHead, scheme: RequestHead['scheme']): void {
  encoder.field(':method', 'CONNECT', false)
  if (head.upgrade !== CONNECT) encoder.field(':scheme', scheme, false)
  encoder.field(':authority', head.authority, false)
  if (head.upgrade !== CONNECT) {
    encoder.field(':path', head.path, false)
    encoder.field(':protocol', head.upgrade, false)
  }
  // A Sec-WebSocket-Key goes along: HTTP/2 makes nothing of it (RFC 8441 section 5), but an HTTP/1.1 server behind the
  // next proxy (Envoy) wants the caller's.
  encodeFields(encoder, head.headers)
}

export function encodeResponse(encoder: Encoder, head: ResponseHead): void {
  // What HTTP/1.1 says with 101 is 200 here (RFC 8441 section 4).
  encoder.field(':status', statuses[head.status === 101 ? 200 : head.status]!, false)
  encodeFields(encoder, head.headers)
  if (head.ownFailure) encoder.field(FAILURE, head.ownFailure, false)
}

export function encodeFields(encoder: Encoder, headers: Headers): void {
  if (!(headers instanceof Http2Head) || headers.crumbs > MAX_CRUMBS) {
    target = encoder
    hasTe = false
    secrets = headers instanceof Http2Head ? headers.sensitive : NONE
    headers.forEach(visit)
    return
  }
  const { pairs, count, sensitive } = headers
  // What was malformed, or of one connection only, never got this far: it goes on as it came.
  if (sensitive.length === 0) for (let i = 0; i < count; i += 2) encoder.field(pairs[i]!, pairs[i + 1]!, false)
  else for (let i = 0; i < count; i += 2) encoder.field(pairs[i]!, pairs[i + 1]!, sensitive.includes(pairs[i]!))
}

export function isOfOneConnection(lowerCase: string): boolean {
  return DROPPED.has(lowerCase)
}

let target!: Encoder
/** The head that is written has said that its sender takes trailers. */
let hasTe = false
const NONE: readonly string[] = []
/** Its fields that no table may keep. */
let secrets = NONE
/** One for all, so that writing a head makes no closure. */
function visit(name: string, value: string): void {
  const lower = name.toLowerCase()
  if (DROPPED.has(lower)) return
  if (lower === 'te') {
    if (!hasTe && trailersOfTe(value)) {
      hasTe = true
      target.field(lower, 'trailers', false)
    }
    return
  }
  target.field(lower, value, secrets.length !== 0 && secrets.includes(lower))
}
