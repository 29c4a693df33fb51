import { describe, expect, test } from 'vitest'
import type { EdgeSums } from '../../../agent/stats/edge-sums.ts'
import { BUCKETS, boundOf, quantileOf } from '../../../agent/stats/histogram.ts'
import { history, type ProxyHistory } from '../../../agent/stats/history.ts'
import { isFailure, readSummary, type Summary } from '../../../agent/stats/summary.ts'
import { localTop, mergeTops } from '../../../agent/stats/top.ts'
import { bucketBound, bucketOf, HISTOGRAM_BUCKETS } from '../../../proxy/core/slots.ts'

const START = 1_700_000_000_000

function second(edges: number, more: object = {}): Summary {
  return readSummary({
    lengthMs: 1000,
    edges: Array.from({ length: edges }, (_, i) => ({
      source: 'web',
      destination: 'orders',
      route: `/${i}`,
      counts: [{ status: 200, flag: '-', count: 2 }],
      buckets: [bucketOf(5)],
      bucketCounts: [2],
      totalMs: 10,
    })),
    endpoints: [],
    ...more,
  })
}

function requestsOf(proxy: ProxyHistory, ms: number): number {
  const sums: EdgeSums = new Map()
  proxy.sumUp(sums, ms)
  return [...sums.values()].reduce((sum, { requests }) => sum + requests, 0)
}

describe('an hour of one proxy', () => {
  test('seconds of the last minute, then ten seconds at a time; nothing is lost and nothing is older', () => {
    let now = START
    const kept = history(() => now)
    for (let i = 0; i < 4_000; i++) {
      now += 1000
      kept.add('web-1', 'web', second(1))
    }
    const [proxy] = kept.proxies()
    expect(requestsOf(proxy!, 10_000)).toBe(20)
    expect(requestsOf(proxy!, 60_000)).toBeGreaterThanOrEqual(118)
    const all = requestsOf(proxy!, Number.MAX_SAFE_INTEGER)
    expect(all).toBeGreaterThan(7_150)
    expect(all).toBeLessThanOrEqual(7_240)
    // 70 seconds, and 353 or 354 times ten seconds; an edge has 12 numbers in each.
    expect(kept.size()).toBeLessThan(430 * (60 + 12))
  })

  test('a summary after a pause has no time of its own, and its endpoints count', () => {
    const kept = history(() => START)
    const endpoints = [{ service: 'orders', endpoint: '10.0.0.1:80', state: 'ejected' }]
    kept.add('web-1', 'web', second(1, { lengthMs: 0, endpoints }))
    const top = localTop(kept, 10_000, START)
    expect(top.edges).toEqual([])
    expect(top.endpoints).toMatchObject([{ endpoint: '10.0.0.1:80', ejected: 1, proxies: 1 }])
  })

  test('what discovery says of an endpoint is counted apart from ejections, also over several agents', () => {
    const kept = history(() => START)
    const say = (proxy: string, state: string, reason = '') =>
      kept.add(proxy, 'web', second(1, { endpoints: [{ service: 'orders', endpoint: '10.0.0.1:80', state, reason }] }))
    say('web-1', 'admitting')
    say('web-2', 'critical', 'disk full')
    say('web-3', 'ejected')
    const top = localTop(kept, 10_000, START)
    const one = { health: 'critical', unhealthy: 1, reason: 'disk full', ejected: 1, proxies: 3 }
    expect(top.endpoints).toMatchObject([one])
    expect(mergeTops([top, top], []).endpoints).toMatchObject([{ ...one, unhealthy: 2, ejected: 2, proxies: 6 }])
  })
})

test('a proxy with 500 routes shortens its own history, and not that of its neighbour', () => {
  let now = START
  const kept = history(() => now)
  const much = second(500)
  const little = second(2)
  for (let i = 0; i < 900; i++) {
    now += 1000
    kept.add('noisy', 'batch', much)
    kept.add('quiet', 'web', little)
  }
  const [noisy, quiet] = ['noisy', 'quiet'].map(name => kept.proxies().find(({ proxy }) => proxy === name)!)
  expect(requestsOf(quiet!, Number.MAX_SAFE_INTEGER)).toBe(3_600)
  expect(kept.size()).toBeLessThanOrEqual(500_000 + 500 * 200)
  expect(requestsOf(noisy!, 10_000)).toBe(10_000)
})

test('all proxies together stay within the bound, and each keeps its newest', () => {
  let now = START
  const kept = history(() => now)
  const much = second(400)
  for (let i = 0; i < 40; i++) {
    now += 1000
    for (let proxy = 0; proxy < 40; proxy++) kept.add(`p${proxy}`, 'web', much)
    expect(kept.size()).toBeLessThanOrEqual(8_000_000)
  }
  for (const proxy of kept.proxies()) expect(requestsOf(proxy, 1_000)).toBe(800)
})

test('a proxy that names new endpoints without end keeps the last ones', () => {
  let now = START
  const kept = history(() => now)
  for (let i = 0; i < 10; i++) {
    const endpoints = Array.from({ length: 2_000 }, (_, n) => ({ service: 'a', endpoint: `${i}-${n}`, state: '' }))
    kept.add('odd', 'web', second(0, { endpoints }))
    now += 100
  }
  const [proxy] = kept.proxies()
  expect(proxy!.endpoints.size).toBe(10_000)
  expect([...proxy!.endpoints.keys()].at(-1)).toBe('a 9-1999')
})

test('proxies that are gone are forgotten after an hour', () => {
  let now = START
  const kept = history(() => now)
  kept.add('web-1', 'web', second(3))
  now += 3_700_000
  expect(kept.proxies()).toEqual([])
  kept.sweep()
  expect(kept.size()).toBe(0)
})

describe('what a proxy says is bounded', () => {
  test('numbers that are none, lists without end, names without end', () => {
    const summary = readSummary({
      lengthMs: Number.NaN,
      edges: Array.from({ length: 600 }, () => ({
        source: 'x'.repeat(9_999),
        destination: 7,
        counts: Array.from({ length: 100 }, () => ({ status: -1, count: 1 })),
        buckets: [3, 999, 4],
        bucketCounts: [1, 1],
        retries: Number.POSITIVE_INFINITY,
      })),
      endpoints: Array.from({ length: 9_999 }, () => ({})),
    })
    expect(summary.lengthMs).toBe(0)
    expect(summary.edges).toHaveLength(500)
    expect(summary.endpoints).toHaveLength(2_000)
    const [edge] = summary.edges
    expect(edge!.source).toHaveLength(256)
    expect(edge!.destination).toBe('')
    expect(edge!.counts).toHaveLength(64)
    expect(edge!.buckets).toEqual([3])
    expect(edge!.retries).toBe(0)
  })

  test('what counts as a failure of the service', () => {
    expect(isFailure({ status: 503, grpc: 0 })).toBe(true)
    expect(isFailure({ status: 404, grpc: 0 })).toBe(false)
    // UNAVAILABLE, and NOT_FOUND.
    expect(isFailure({ status: 200, grpc: 15 })).toBe(true)
    expect(isFailure({ status: 200, grpc: 6 })).toBe(false)
    // The caller hung up.
    expect(isFailure({ status: 0, grpc: 0 })).toBe(false)
  })
})

test('the buckets are those of the proxy', () => {
  expect(BUCKETS).toBe(HISTOGRAM_BUCKETS)
  for (let bucket = 0; bucket < BUCKETS - 1; bucket++) expect(boundOf(bucket)).toBe(bucketBound(bucket))
  const histogram = new Map([
    [bucketOf(5), 99],
    [bucketOf(80), 1],
  ])
  expect(quantileOf(histogram, 0.5)).toBeCloseTo(5, 0)
  expect(quantileOf(histogram, 0.995)).toBeGreaterThan(79)
  expect(quantileOf(new Map(), 0.5)).toBeNull()
})

test('the answers of two agents add up, by edge and endpoint', () => {
  const make = (status: number) => {
    const kept = history(() => START)
    const endpoints = [{ service: 'orders', endpoint: '10.0.0.1:80', state: 'admitting', requests: 4 }]
    const edges = [
      {
        source: 'web',
        destination: 'orders',
        counts: [{ status, flag: '-', count: 2 }],
        buckets: [3],
        bucketCounts: [2],
      },
    ]
    kept.add('web-1', 'web', readSummary({ lengthMs: 1000, edges, endpoints }))
    return localTop(kept, 10_000, START)
  }
  const merged = mergeTops([make(200), make(503), make(200)], ['b: gone'])
  expect(merged).toMatchObject({ proxies: 3, troubles: ['b: gone'], endpoints: [{ requests: 12, proxies: 3 }] })
  expect(merged.edges).toHaveLength(1)
  expect(merged.edges[0]).toMatchObject({ buckets: [3], bucketCounts: [6] })
  expect(merged.edges[0]!.counts).toEqual([
    { status: 200, flag: '-', count: 4, grpc: 0 },
    { status: 503, flag: '-', count: 2, grpc: 0 },
  ])
})
