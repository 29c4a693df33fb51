import type { Dial, Wire } from '../core/wire.ts'
import type { HttpProtocol } from './policy.ts'

/**
 * How connections to the endpoints of a service are made: plain, or with TLS and one identity. Connections of one key
 * are alike. A transport of another key (a new certificate) replaces it: new connections are made by the new one, and
 * those of the old one close as their last streams end.
 */
export interface Transport {
  readonly key: string
  readonly isTls: boolean
  readonly dial: Dial
}

/** What a dialled wire speaks: what its handshake agreed on; else what is expected of the endpoint. */
export function protocolOf({ peer }: Wire, expected: HttpProtocol): HttpProtocol {
  if (peer.alpn === 'h2') return 'http2'
  return peer.alpn === 'http/1.1' ? 'http1' : expected
}
