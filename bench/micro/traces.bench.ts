import { Http1Head } from '../../proxy/codec/h1/head.ts'
import { parseRequest } from '../../proxy/codec/h1/parse.ts'
import { Endpoint } from '../../proxy/core/endpoint.ts'
import { Exchange } from '../../proxy/core/exchange.ts'
import type { Route } from '../../proxy/core/route.ts'
import { Tracing } from '../../proxy/core/tracing.ts'
import { traceContext } from '../../proxy/filter/trace-context.ts'
import { HeadOverlay, overlayTrace } from '../../proxy/forward/head-overlay.ts'
import { systemClock, systemRandom } from '../../proxy/system/clock.ts'
import { spanQueue } from '../../proxy/telemetry/span-queue.ts'
import { tracer } from '../../proxy/telemetry/tracer.ts'
import type { PreparedCase } from './case.ts'

const limits = { maxHeaders: 100, maxHeadBytes: 61_440, maxTargetBytes: 16_384 }
const parent = (flags: string) => `traceparent: 00-${'1'.repeat(32)}-${'2'.repeat(16)}-${flags}\r\n`
const bytes = (more: string) =>
  Buffer.from(
    `GET /api/orders/17?full=1 HTTP/1.1\r\nHost: orders.example.com\r\nUser-Agent: load\r\nAccept: */*\r\nX-Request-Id: 5f3c7a9e-2b1d-4c3a-8f00-000000000017\r\n${more}\r\n`,
  )

interface Traced {
  /** What the caller sends. */
  readonly sent?: string
  readonly percent?: number
  readonly isOn?: boolean
  readonly direction?: 'inbound' | 'outbound'
}

/**
 * All that traces do for one request: the filter, what the attempt adds to the head, and the end. What parsing a head
 * takes is in it, for each request has one of its own: `codec parseSmallRequest` says how much that is.
 */
function request({ sent = '', percent = 0, isOn = true, direction = 'outbound' }: Traced): PreparedCase {
  return {
    setup() {
      const tracing = new Tracing()
      tracing.configure({
        isOn,
        isExported: isOn,
        batchSpans: 512,
        samplePercent: percent,
        failed: true,
        slow: true,
        propagate: ['w3c', 'b3'],
      })
      const counter = { values: new Float64Array(2), index: 0 }
      const queue = spanQueue({
        tracing,
        clock: systemClock,
        recorded: counter,
        dropped: counter,
        send: ({ length }) => queue.credit(length),
      })
      const made = tracer({ clock: systemClock, random: systemRandom, tracing, queue })
      const filter = traceContext(systemRandom, tracing)
      const overlay = new HeadOverlay()
      const stream = { head() {} } as never
      const head = new Http1Head()
      const raw = bytes(sent)
      const peer = { address: '10.0.0.1', port: 5000, local: '10.0.0.2', localPort: 80 }
      const exchange = new Exchange(peer, direction, 'http/1.1', head)
      const spec = { address: '10.0.0.7', port: 8080, weight: 1, priority: 0, zone: 'a', metadata: {} } as never
      const endpoint = new Endpoint(spec, '10.0.0.7:8080', null as never, null as never)
      const route = { name: '/api/*', stats: {} } as Route
      return () => {
        head.clear()
        parseRequest(head, raw, raw.length, limits)
        const now = systemClock.now()
        exchange.begin(head, now)
        filter.onRequest!(exchange, 0)
        const { decision } = exchange
        const record = decision.nextTry(now)
        record.endpoint = endpoint
        record.policy = 'least_request'
        if (exchange.trace.sends !== 0) {
          overlay.clear()
          overlayTrace(overlay, exchange.trace, record, systemRandom)
          overlay.write(stream, head, true)
        }
        record.status = 200
        record.headAt = now + 1
        record.endedAt = now + 1.5
        exchange.status = 200
        exchange.route = route
        exchange.endpoint = endpoint
        exchange.requestId = '5f3c7a9e-2b1d-4c3a-8f00-000000000017'
        decision.service = 'orders'
        decision.by = 'host'
        decision.route = '/api/*'
        decision.destination = 'orders'
        exchange.completedAt = now + 1.5
        made.exchange(exchange, 'outbound 127.0.0.1:15001')
        return exchange.trace.recordedBy
      }
    },
  }
}

export const off = request({ isOn: false })
export const unsampledAnew = request({})
export const unsampledByCaller = request({ sent: parent('00') })
export const sampledOutbound = request({ sent: parent('01') })
export const sampledInbound = request({ sent: parent('01'), direction: 'inbound' })
export const sampledAnew = request({ percent: 100 })
