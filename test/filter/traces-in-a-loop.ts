import { Http1Head } from '../../proxy/codec/h1/head.ts'
import { parseRequest } from '../../proxy/codec/h1/parse.ts'
import { NO_BODY, writeRequest } from '../../proxy/codec/h1/serialize.ts'
import { Exchange } from '../../proxy/core/exchange.ts'
import type { Route } from '../../proxy/core/route.ts'
import { Tracing } from '../../proxy/core/tracing.ts'
import { traceContext } from '../../proxy/filter/trace-context.ts'
import { flights } from '../../proxy/telemetry/flights.ts'
import { spanQueue } from '../../proxy/telemetry/span-queue.ts'
import { tracer } from '../../proxy/telemetry/tracer.ts'
import { tracesSpec } from '../support/specs.ts'

/**
 * Prints how many bytes the trace of a request that is not recorded leaves on the heap: the filter, the head as it
 * leaves, the end, and the flight. Chance is made beforehand: what Math.random gives is an object, 16 bytes.
 */

const CALLS = 100_000
const fractions = Array.from({ length: 1021 }, (_, i) => ((i * 617) % 1021) / 1021)
let at = 0
const random = () => fractions[at++ % 1021]!
const clock = { now: () => 1, wallTime: () => 0, timer: () => ({ arm() {}, cancel() {} }) }
const limits = { maxHeaders: 100, maxHeadBytes: 61_440, maxTargetBytes: 16_384 }
const peer = { address: '10.0.0.1', port: 5000, local: '10.0.0.2', localPort: 80 }

function bytesOf(run: () => unknown): number {
  for (let i = 0; i < 3 * CALLS; i++) run()
  const grown: number[] = []
  for (let probe = 0; probe < 7; probe++) {
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < CALLS; i++) run()
    grown.push((process.memoryUsage().heapUsed - before) / CALLS)
  }
  // The collector may run, and a compiler finish, in one probe or another.
  return grown.toSorted((a, b) => a - b)[3]!
}

function request(fields: string, direction: 'inbound' | 'outbound'): () => string {
  const raw = Buffer.from(`GET /a HTTP/1.1\r\nHost: orders\r\nAccept: */*\r\n${fields}\r\n`)
  const head = new Http1Head()
  parseRequest(head, raw, raw.length, limits)
  const tracing = new Tracing()
  tracing.configure(tracesSpec({ isExported: true, samplePercent: 0 }))
  const counter = { values: new Float64Array(1), index: 0 }
  const queue = spanQueue({ tracing, clock, recorded: counter, dropped: counter, send() {} })
  const filter = traceContext(random, tracing)
  const { exchange: ended } = tracer({ clock, random, tracing, queue })
  const recorder = flights({ recent: 100, failed: 100 }, clock)
  const exchange = new Exchange(peer, direction, 'http/1.1', head)
  const route = { name: '/*', stats: {} } as Route
  const out = Buffer.alloc(1024)
  return () => {
    exchange.begin(head, 1)
    head.tellTrace(null)
    filter.onRequest!(exchange, 0)
    writeRequest(head, NO_BODY, out)
    exchange.route = route
    exchange.status = 200
    exchange.completedAt = 2
    ended(exchange, 'outbound')
    recorder.add(exchange, 'outbound')
    return exchange.trace.recordedBy
  }
}

let sink: unknown
const parent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}`
const results: Record<string, number> = {
  'an object each time': bytesOf(() => {
    sink = { at }
    return sink
  }),
  'a new trace, outbound': bytesOf(request('', 'outbound')),
  'a new trace, inbound': bytesOf(request('', 'inbound')),
  'the trace of a caller': bytesOf(request(`traceparent: ${parent}-00\r\n`, 'inbound')),
}
console.log(JSON.stringify(results))
