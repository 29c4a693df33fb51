import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import type { SeriesSpec } from '../../proxy/core/channel.ts'
import { bucketOf, HISTOGRAM_BUCKETS, HISTOGRAM_SLOTS, PAGE_SLOTS } from '../../proxy/core/slots.ts'
import { ownSeries } from '../../proxy/telemetry/own-series.ts'
import { prometheusPage } from '../../proxy/telemetry/prometheus.ts'
import { type SeriesStore, seriesStore } from '../../proxy/telemetry/series-store.ts'
import { statsWriter } from '../../proxy/telemetry/stats.ts'
import { obtain } from '../peers/obtain.ts'

/** A data thread's side: its messages go straight to the store. */
function threadOn(store: SeriesStore, thread: number) {
  return statsWriter(message => {
    if (message.kind === 'page') store.page(thread, message.page, message.memory)
    else if (message.kind === 'series') store.add(thread, message.id, message.series)
    else if (message.kind === 'retire') store.retire(thread, message.ids)
  })
}

async function page(store: SeriesStore): Promise<string> {
  let body = ''
  for await (const piece of prometheusPage(store)({ openMetrics: false, aliases: [] }).body) body += piece
  return body
}

async function samples(store: SeriesStore): Promise<string[]> {
  return (await page(store)).split('\n').filter(line => line !== '' && !line.startsWith('#'))
}

describe('sums over data threads', () => {
  test('series of one name and labels are one, whatever the order of the labels', async () => {
    const store = seriesStore()
    threadOn(store, 0).counter('a_total', 'A', { x: '1', y: '2' }).values[0] = 3
    threadOn(store, 1).counter('a_total', 'A', { y: '2', x: '1' }).values[0] = 4
    expect(await samples(store)).toEqual(['a_total{x="1",y="2"} 7'])
  })

  test('a counter never goes back when a thread ends; a gauge forgets it', async () => {
    const store = seriesStore()
    for (const thread of [0, 1]) {
      const writer = threadOn(store, thread)
      const counter = writer.counter('a_total', 'A', {})
      counter.values[counter.index] = 10
      const gauge = writer.gauge('b', 'B', {})
      gauge.values[gauge.index] = 5
      writer.histogram('c_seconds', 'C', {}).record(1)
    }
    store.ended(0)
    const again = threadOn(store, 0)
    const counter = again.counter('a_total', 'A', {})
    counter.values[counter.index] = 1
    const after = await samples(store)
    expect(after).toContain('a_total 21')
    expect(after).toContain('b 5')
    expect(after).toContain('c_seconds_count 2')
  })

  test('what only ended threads counted stays until the next snapshot', async () => {
    const store = seriesStore()
    const counter = threadOn(store, 0).counter('a_total', 'A', {})
    counter.values[counter.index] = 10
    store.own('own', 'Own', 'gauge', {}, () => 1)
    store.ended(0)
    expect(await samples(store)).toEqual(['a_total 10', 'own 1'])
    store.forgetEnded()
    expect(await samples(store)).toEqual(['own 1'])
  })

  test('a retired series is gone once no thread has it', async () => {
    const store = seriesStore()
    const [one, two] = [threadOn(store, 0), threadOn(store, 1)]
    const [a, b] = [one.counter('a_total', 'A', {}), two.counter('a_total', 'A', {})]
    one.retire([a])
    expect(await samples(store)).toEqual(['a_total 0'])
    two.retire([b])
    expect(await page(store)).toBe('')
    expect(store.size()).toBe(0)
  })
})

describe('the exposition', () => {
  test('a histogram has cumulative bounds at powers of two of microseconds, its sum in seconds and its count', async () => {
    const store = seriesStore()
    const histogram = threadOn(store, 0).histogram('t_seconds', 'T', { service: 'orders' })
    for (const milliseconds of [0.01, 0.1, 0.128, 1, 1, 20, 200_000]) histogram.record(milliseconds)
    const lines = await samples(store)
    const bucket = (le: string) =>
      Number(lines.find(line => line.startsWith(`t_seconds_bucket{le="${le}",service="orders"}`))?.split(' ')[1])
    expect(lines).toHaveLength(21 + 1 + 2)
    expect(lines[0]).toBe('t_seconds_bucket{le="0.000128",service="orders"} 2')
    expect([bucket('0.000256'), bucket('0.001024'), bucket('0.032768'), bucket('134.217728'), bucket('+Inf')]).toEqual([
      3, 5, 6, 6, 7,
    ])
    expect(Number(lines.at(-2)!.replace('t_seconds_sum{service="orders"} ', ''))).toBeCloseTo(200.022238, 9)
    expect(lines.at(-1)).toBe('t_seconds_count{service="orders"} 7')
  })

  test('every duration is counted below the first bound that is not below it', async () => {
    for (const us of [1, 63, 64, 127, 128, 255, 256, 1_000, 65_535, 65_536, 134_217_727, 134_217_728]) {
      const store = seriesStore()
      threadOn(store, 0)
        .histogram('t_seconds', 'T', {})
        .record(us / 1000)
      const first = (await samples(store)).find(line => line.endsWith(' 1'))
      const bound = Number(/le="([^"]+)"/.exec(first!)![1]!.replace('+Inf', 'Infinity')) * 1e6
      expect(bound, `${us} us`).toBeGreaterThan(us)
      if (us >= 128)
        expect(bound / 2, `${us} us`).toBeLessThanOrEqual(us === 134_217_728 ? Number.POSITIVE_INFINITY : us)
    }
  })

  test('a large family comes in pieces, with one header and every series once', async () => {
    const store = seriesStore()
    const writer = threadOn(store, 0)
    for (let i = 0; i < 1_024; i++) writer.counter('a_total', 'A', { i: String(i) })
    writer.gauge('b', 'B', {})
    const lines = (await page(store)).split('\n')
    expect(lines.filter(line => line.startsWith('#'))).toEqual([
      '# HELP a_total A',
      '# TYPE a_total counter',
      '# HELP b B',
      '# TYPE b gauge',
    ])
    expect(new Set(lines.filter(line => line.startsWith('a_total{'))).size).toBe(1_024)
    expect(lines).toHaveLength(4 + 1_024 + 1 + 1)
  })

  test('promtool finds nothing to say, with awkward label values and all our own series', async () => {
    const store = seriesStore()
    const writer = threadOn(store, 0)
    writer.counter('http_requests_total', 'Requests', { path: '/"quoted"\\back\nline' })
    writer.histogram('http_response_time_seconds', 'Duration', { path: '/*' }).record(3)
    const own = ownSeries(store, {
      version: '0.1.0',
      threads: 2,
      restarts: () => 0,
      running: () => 2,
      utilization: () => 0.25,
      heapUsed: () => 1e6,
      controlLag: () => 0,
      configVersion: () => 'abc',
      lastReloadSuccessful: () => true,
      lastReloadSuccess: () => 1_700_000_000_000,
      droppedLogLines: () => 0,
      spans: () => ({ sent: 0, full: 0, rejected: 0, waiting: 0 }),
      ready: () => true,
      startedAt: 1_700_000_000_000,
    })
    own.setVersion()
    const body = await page(store)
    expect(body).toContain('outrigger_config_version_info{version="abc"} 1')
    expect(body).toContain('outrigger_config_last_reload_success_timestamp_seconds 1700000000')
    const promtool = spawn(await obtain('promtool'), ['check', 'metrics'])
    promtool.stdin.end(body)
    const said = (await text(promtool.stdout)) + (await text(promtool.stderr))
    expect(said).toBe('')
  })

  test('the version of the configuration is one series, the present one', async () => {
    const store = seriesStore()
    let version = 'one'
    const own = ownSeries(store, {
      ...({} as Parameters<typeof ownSeries>[1]),
      threads: 0,
      version: 'x',
      configVersion: () => version,
    })
    own.setVersion()
    version = 'two'
    own.setVersion()
    const infos = [...store.families()].find(({ name }) => name === 'outrigger_config_version_info')!
    expect([...infos.series.values()].map(({ labels }) => labels.version)).toEqual(['two'])
  })
})

test('the layout of a histogram is the one that the writer has', () => {
  expect(HISTOGRAM_SLOTS).toBe(HISTOGRAM_BUCKETS + 1)
  expect(bucketOf(1e9)).toBe(HISTOGRAM_BUCKETS - 1)
  expect(PAGE_SLOTS % 1).toBe(0)
})

test('a series in a page that was never sent is a broken invariant', () => {
  const spec: SeriesSpec = { name: 'a_total', help: 'A', type: 'counter', labels: {}, page: 3, index: 0 }
  expect(() => seriesStore().add(0, 0, spec)).toThrow('page 3')
})
