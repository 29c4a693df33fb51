import type { Codec } from '../../core/codec.ts'
import { Http1Downstream } from './downstream.ts'
import { Http1Upstream } from './upstream.ts'

/** HTTP/1.1 and 1.0 (RFC 9110, RFC 9112). */
export const http1: Codec = {
  protocol: 'http/1.1',
  serve: (wire, onStream, options, clock) => new Http1Downstream(wire, onStream, options, clock),
  connect: (wire, owner, options) => new Http1Upstream(wire, owner, options),
}
