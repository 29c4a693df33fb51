import { describe, expect, test } from 'vitest'
import type { ToControl } from '../../proxy/core/channel.ts'
import type { Exchange } from '../../proxy/core/exchange.ts'
import { MOST_SOURCES, peerNames } from '../../proxy/telemetry/peer-names.ts'
import { prometheusPage } from '../../proxy/telemetry/prometheus.ts'
import { type RequestLabels, requestStats } from '../../proxy/telemetry/request-stats.ts'
import { seriesStore } from '../../proxy/telemetry/series-store.ts'
import { statsWriter } from '../../proxy/telemetry/stats.ts'
import { finishedExchange } from '../support/finished-exchange.ts'

const IDLE_MS = 600_000
const inbound: RequestLabels = { direction: 'inbound', service: 'local_app:3000', path: '/*' }
const outbound: RequestLabels = { direction: 'outbound', service: 'orders', path: '/api/*' }

/** The series of data threads, and what a scrape shows of them. */
function sidecar() {
  const store = seriesStore()
  const thread = (index: number) => {
    const take = (message: ToControl) => {
      if (message.kind === 'page') store.page(index, message.page, message.memory)
      else if (message.kind === 'series') store.add(index, message.id, message.series)
      else if (message.kind === 'retire') store.retire(index, message.ids)
      else if (message.kind === 'expire') store.expire(index, message.ids, message.values)
    }
    const stats = statsWriter(take)
    stats.expireAfter(IDLE_MS)
    const peers = peerNames()
    peers.self = 'web'
    return {
      stats,
      peers,
      of: (labels: RequestLabels) => requestStats({ stats, peers, exemplars: { offer() {} } }, labels),
    }
  }
  const samples = async (name: string) => {
    let page = ''
    for await (const piece of prometheusPage(store)({ openMetrics: false, aliases: [] }).body) page += piece
    return page.split('\n').filter(line => line.startsWith(`${name}{`))
  }
  return { store, thread, samples }
}

function from(source: string): Exchange {
  const exchange = finishedExchange()
  exchange.request = { ...exchange.request, source }
  return exchange
}

describe('labels', () => {
  test('of an outbound request: our service, the one it was routed to, and its subset', async () => {
    const { thread, samples } = sidecar()
    thread(0).of(outbound).count(finishedExchange(), 5)
    expect(await samples('http_requests_total')).toEqual([
      'http_requests_total{direction="outbound",source="web",destination="orders",subset="v2",service="orders",path="/api/*",protocol="http1",method="GET",status="200",flags="-"} 1',
    ])
  })

  test('of an inbound request: the service that the calling sidecar says, or unknown', async () => {
    const { thread, samples } = sidecar()
    const stats = thread(0).of(inbound)
    for (const said of ['shop', '', 'shop']) stats.count(from(said), 5)
    expect((await samples('http_response_time_seconds_count')).sort()).toEqual([
      'http_response_time_seconds_count{direction="inbound",source="shop",destination="web",service="local_app:3000",path="/*"} 2',
      'http_response_time_seconds_count{direction="inbound",source="unknown",destination="web",service="local_app:3000",path="/*"} 1',
    ])
  })

  test('of gRPC: its status, which is a metric of its own too', async () => {
    const { thread, samples } = sidecar()
    const call = finishedExchange()
    call.grpc = 'grpc'
    call.grpcStatus = 14
    thread(0).of(outbound).count(call, 5)
    expect(await samples('http_requests_total')).toEqual([
      expect.stringContaining('protocol="grpc",method="GET",status="200",grpc_status="14",flags="-"} 1'),
    ])
    expect(await samples('grpc_requests_total')).toEqual([
      'grpc_requests_total{direction="outbound",service="orders",path="/api/*",grpc_status="14",flags="-"} 1',
    ])
  })
})

describe('a caller that makes names up', () => {
  test('takes no more labels than there are, and what is no name is none', async () => {
    const { thread, store } = sidecar()
    const stats = thread(0).of(inbound)
    stats.count(from('shop'), 5)
    for (let i = 0; i < 5_000; i++) stats.count(from(`made-up-${i}`), 5)
    for (const said of ['Bad Name', 'x'.repeat(64), 'other', 'a"b\n']) stats.count(from(said), 5)
    stats.count(from('shop'), 5)
    const [counters] = [...store.families()].filter(({ name }) => name === 'http_requests_total')
    const sources = [...counters!.series.values()].map(({ labels }) => labels.source)
    expect(sources).toHaveLength(MOST_SOURCES + 1)
    expect(sources).toEqual(expect.arrayContaining(['shop', 'other']))
  })

  test('gives them back when they are idle: another caller has a name again', async () => {
    const { thread, samples } = sidecar()
    const one = thread(0)
    const stats = one.of(inbound)
    for (let i = 0; i < MOST_SOURCES; i++) stats.count(from(`made-up-${i}`), 5)
    stats.count(from('shop'), 5)
    expect((await samples('http_requests_total')).join()).not.toContain('shop')
    one.stats.sweep(IDLE_MS)
    one.stats.sweep(2 * IDLE_MS)
    stats.count(from('shop'), 5)
    expect(await samples('http_requests_total')).toEqual([expect.stringContaining('source="shop"')])
  })
})

describe('idle series', () => {
  test('go, histogram and all, and begin at 0 when they come back; busy ones stay', async () => {
    const { thread, samples } = sidecar()
    const one = thread(0)
    const [quiet, busy] = [one.of(outbound), one.of({ ...outbound, path: '/busy' })]
    for (let i = 0; i < 3; i++) quiet.count(finishedExchange(), 5)
    for (let at = 0; at <= IDLE_MS; at += IDLE_MS / 10) {
      busy.count(finishedExchange(), 5)
      one.stats.sweep(at + 1)
    }
    // First seen with its value at the first sweep: not idle for long enough yet.
    expect(await samples('http_requests_total')).toHaveLength(2)
    busy.count(finishedExchange(), 5)
    one.stats.sweep(1 + IDLE_MS + IDLE_MS / 10)
    expect(await samples('http_requests_total')).toEqual([expect.stringContaining('path="/busy"')])
    expect(await samples('http_response_time_seconds_count')).toEqual([expect.stringContaining('path="/busy"')])
    quiet.count(finishedExchange(), 5)
    expect(await samples('http_requests_total')).toContainEqual(expect.stringMatching(/path="\/api\/\*".* 1$/))
  })

  test('of one data thread do not take away what another one counts', async () => {
    const { thread, samples } = sidecar()
    const [one, two] = [thread(0), thread(1)]
    const [idle, busy] = [one.of(outbound), two.of(outbound)]
    for (let i = 0; i < 5; i++) idle.count(finishedExchange(), 5)
    busy.count(finishedExchange(), 5)
    one.stats.sweep(IDLE_MS)
    one.stats.sweep(2 * IDLE_MS)
    // The slots are used again at once.
    one.of({ ...outbound, path: '/new' }).count(finishedExchange(), 5)
    expect(await samples('http_requests_total')).toContainEqual(expect.stringMatching(/path="\/api\/\*".* 6$/))
    expect(await samples('http_response_time_seconds_count')).toContainEqual(
      expect.stringMatching(/path="\/api\/\*".* 6$/),
    )
    idle.count(finishedExchange(), 5)
    expect(await samples('http_requests_total')).toContainEqual(expect.stringMatching(/path="\/api\/\*".* 7$/))
  })

  test('a route that is gone counts nothing, and its slots are given back', async () => {
    const { thread, samples, store } = sidecar()
    const one = thread(0)
    const stats = one.of(outbound)
    stats.count(finishedExchange(), 5)
    one.stats.retire(stats.end())
    stats.count(finishedExchange(), 5)
    one.stats.sweep(IDLE_MS)
    one.stats.sweep(2 * IDLE_MS)
    expect(await samples('http_requests_total')).toEqual([])
    expect(store.size()).toBe(0)
  })
})
