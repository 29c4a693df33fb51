import { expect, test } from 'vitest'
import { grpcService } from '../../agent/sync/protos.ts'
import { ProtoWriter } from '../../proxy/core/protobuf.ts'
import { bucketOf } from '../../proxy/core/slots.ts'
import { seriesStore } from '../../proxy/telemetry/series-store.ts'
import { statsWriter } from '../../proxy/telemetry/stats.ts'
import { summaries } from '../../proxy/telemetry/summary.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'

interface Decoded {
  readonly edges: readonly { readonly route: string; readonly counts: unknown; readonly [field: string]: unknown }[]
  readonly endpoints: readonly unknown[]
}

/** As the agent reads it. */
function decoded(bytes: Uint8Array): Decoded {
  const writer = new ProtoWriter(64, 4 * 1024 * 1024)
  writer.bytes(4, bytes)
  const { requestDeserialize } = grpcService('Sync').service.Follow!
  return (requestDeserialize(writer.copy()) as { summary: Decoded }).summary
}

function setUp() {
  const loop = new EventLoop()
  const clock = manualClock(loop)
  const store = seriesStore()
  const thread = (index: number) =>
    statsWriter(message => {
      if (message.kind === 'page') store.page(index, message.page, message.memory)
      else if (message.kind === 'series') store.add(index, message.id, message.series)
      else if (message.kind === 'retire') store.retire(index, message.ids)
    })
  const unhealthy = new Map<string, { health: string; healthReason: string }>()
  const make = summaries({ store, self: 'web', unhealthy: () => unhealthy, clock })
  const later = (ms: number) => {
    loop.advance(ms)
    return decoded(make.next()!)
  }
  return { store, thread, make, later, clock, unhealthy }
}

const route = { direction: 'outbound', source: 'web', destination: 'orders', service: 'orders', path: '/api/*' }

test('what both data threads counted since the summary before, with the latency of the same requests', () => {
  const { thread, make, later } = setUp()
  const counters = [0, 1].map(index => {
    const stats = thread(index)
    const labels = { ...route, protocol: 'http2', method: 'GET', status: '200', flags: '-' }
    return {
      count: stats.counter('http_requests_total', '', labels),
      time: stats.histogram('http_response_time_seconds', '', route),
    }
  })
  const once = (index: number, ms: number) => {
    const { count, time } = counters[index]!
    count.values[count.index]!++
    time.record(ms)
  }
  once(0, 3)
  make.next()
  // Of before the first summary nothing is told: it may have been hours.
  expect(later(1000)).toMatchObject({ lengthMs: 1000, edges: [] })
  once(0, 3)
  once(1, 3)
  once(1, 40)
  const edge = later(1000).edges[0]!
  expect(edge).toMatchObject({
    inbound: false,
    source: 'web',
    destination: 'orders',
    route: '/api/*',
    protocol: 'http2',
  })
  expect(edge.counts).toEqual([{ status: 200, flag: '-', count: 3, grpc: 0 }])
  expect(edge.buckets).toEqual([bucketOf(3), bucketOf(40)])
  expect(edge.bucketCounts).toEqual([2, 1])
  expect(edge.totalMs).toBe(46)
  expect(later(1000).edges).toEqual([])
})

test('after a pause nothing is told of the time before, and the next summary begins there', () => {
  const { thread, make, later } = setUp()
  const stats = thread(0)
  const count = stats.counter('http_requests_total', '', { ...route, status: '503', flags: 'UH' })
  const retries = stats.counter('outrigger_retries_total', '', { service: 'orders', path: '/api/*' })
  make.next()
  count.values[count.index]! += 1000
  retries.values[retries.index]! += 7
  expect(later(60_000)).toMatchObject({ lengthMs: 0, edges: [] })
  count.values[count.index]! += 2
  retries.values[retries.index]! += 3
  expect(later(1000).edges).toMatchObject([{ counts: [{ status: 503, flag: 'UH', count: 2 }], retries: 3 }])
})

test('idle endpoints are told of once, and again when their state changes', () => {
  const { thread, make, later } = setUp()
  const stats = thread(0)
  const labels = { service: 'orders', endpoint: '10.0.0.1:80' }
  const ejected = stats.gauge('outrigger_upstream_ejected', '', labels)
  const requests = stats.counter('outrigger_upstream_requests_total', '', labels)
  make.next()
  expect(later(1000).endpoints).toEqual([])
  requests.values[requests.index]! += 2
  expect(later(1000).endpoints).toMatchObject([{ service: 'orders', state: 'admitting', requests: 2 }])
  ejected.values[ejected.index] = 1
  expect(later(1000).endpoints).toMatchObject([{ state: 'ejected', requests: 0 }])
  ejected.values[ejected.index] = 0
  expect(later(1000).endpoints).toMatchObject([{ state: 'admitting' }])
  expect(later(1000).endpoints).toEqual([])
})

test('what discovery says against an endpoint is its state, with the reason, and is told of when it changes', () => {
  const { thread, make, later, unhealthy } = setUp()
  const labels = { service: 'orders', endpoint: '10.0.0.1:80' }
  const ejected = thread(0).gauge('outrigger_upstream_ejected', '', labels)
  make.next()
  expect(later(1000).endpoints).toEqual([])
  unhealthy.set('10.0.0.1:80', { health: 'critical', healthReason: `disk full ${'x'.repeat(2000)}` })
  const [critical] = later(1000).endpoints as { reason: string }[]
  expect(critical).toMatchObject({ state: 'critical', reason: expect.stringMatching(/^disk full x{110}$/) })
  expect(later(1000).endpoints).toEqual([])
  unhealthy.set('10.0.0.1:80', { health: 'critical', healthReason: 'no memory' })
  expect(later(1000).endpoints).toMatchObject([{ state: 'critical', reason: 'no memory' }])
  ejected.values[ejected.index] = 1
  expect(later(1000).endpoints).toMatchObject([{ state: 'critical' }])
  unhealthy.clear()
  expect(later(1000).endpoints).toMatchObject([{ state: 'ejected', reason: '' }])
})

test('ten thousand routes and endpoints: the busiest are told of, and the message stays within its bound', () => {
  const { thread, make } = setUp()
  const stats = thread(0)
  const own = Array.from({ length: 10_000 }, (_, i) => ({
    count: stats.counter('http_requests_total', '', { ...route, path: `/${i}/${'x'.repeat(2000)}`, status: '200' }),
    requests: stats.counter('outrigger_upstream_requests_total', '', {
      service: 'orders',
      endpoint: `10.0.${i >> 8}.${i & 255}:80`,
    }),
  }))
  make.next()
  for (const [i, { count, requests }] of own.entries()) {
    count.values[count.index]! += i === 9_999 ? 5 : 1
    requests.values[requests.index]!++
  }
  const bytes = make.next()!
  expect(bytes.length).toBeLessThan(1024 * 1024)
  const { edges, endpoints } = decoded(bytes)
  expect(edges).toHaveLength(500)
  expect(edges[0]!.route).toMatch(/^\/9999\/x{250}$/)
  expect(endpoints).toHaveLength(2000)
})
