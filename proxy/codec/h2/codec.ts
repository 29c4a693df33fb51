import type { Clock } from '../../core/clock.ts'
import type { UpgradeCodec } from '../../core/codec.ts'
import { Http2Downstream } from './downstream.ts'
import { readOffer } from './h2c.ts'
import { type Http2Options, http2Defaults } from './options.ts'
import { Http2Upstream } from './upstream.ts'

/**
 * HTTP/2 (RFC 9113, RFC 7541), with prior knowledge on both sides, and from callers also by Upgrade. `clock`: for the
 * upstream side, whose interface hands in none.
 */
export function http2(clock: Clock, options: Partial<Http2Options> = {}): UpgradeCodec {
  const all: Http2Options = { ...http2Defaults, ...options }
  return {
    protocol: 'h2',
    serve: (wire, onStream, downstream, ownClock) =>
      new Http2Downstream(wire, onStream, downstream, all, ownClock, null),
    upgrade(request, wire, onStream, downstream, ownClock) {
      const upgraded = readOffer(request, downstream)
      return upgraded === null ? null : new Http2Downstream(wire, onStream, downstream, all, ownClock, upgraded)
    },
    connect: (wire, owner, upstream) => new Http2Upstream(wire, owner, upstream, all, clock),
  }
}
