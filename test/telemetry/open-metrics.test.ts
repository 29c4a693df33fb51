import { describe, expect, test } from 'vitest'
import type { ToControl } from '../../proxy/core/channel.ts'
import { SAMPLED } from '../../proxy/core/traceparent.ts'
import { exemplars } from '../../proxy/telemetry/exemplars.ts'
import { prefersOpenMetrics, prometheusPage } from '../../proxy/telemetry/prometheus.ts'
import { seriesStore } from '../../proxy/telemetry/series-store.ts'
import { statsWriter } from '../../proxy/telemetry/stats.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { finishedExchange } from '../support/finished-exchange.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'

function sidecar() {
  const store = seriesStore()
  const told: ToControl[] = []
  const send = (message: ToControl) => {
    told.push(message)
    if (message.kind === 'page') store.page(0, message.page, message.memory)
    else if (message.kind === 'series') store.add(0, message.id, message.series)
    else if (message.kind === 'exemplar') store.exemplar(0, message.id, message)
  }
  const stats = statsWriter(send)
  const clock = manualClock(new EventLoop())
  const page = async (openMetrics: boolean) => {
    let text = ''
    for await (const piece of prometheusPage(store)({ openMetrics, aliases: [] }).body) text += piece
    return text
  }
  return { store, told, stats, sink: exemplars({ clock, send }), page }
}

function traced(completedAt: number) {
  const exchange = finishedExchange()
  exchange.completedAt = completedAt
  exchange.trace.traceId = traceId
  exchange.trace.sampledBy = 'ratio'
  exchange.trace.flags = SAMPLED
  return exchange
}

describe('OpenMetrics', () => {
  test('is what a scraper gets that would rather have it', () => {
    const prometheus =
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2'
    expect(prefersOpenMetrics(prometheus)).toBe(true)
    expect(prefersOpenMetrics('text/plain;version=0.0.4;q=1,*/*;q=0.1')).toBe(false)
    expect(prefersOpenMetrics('text/plain, application/openmetrics-text;q=0.5')).toBe(false)
    for (const accept of ['', '*/*', 'text/html']) expect(prefersOpenMetrics(accept)).toBe(false)
  })

  test('names the family of a counter without _total, and ends', async () => {
    const { stats, page } = sidecar()
    stats.counter('a_total', 'A.', { x: '1' })
    stats.gauge('b', 'B.', {})
    expect(await page(true)).toBe(
      '# HELP a A.\n# TYPE a counter\na_total{x="1"} 0\n# HELP b B.\n# TYPE b gauge\nb 0\n# EOF\n',
    )
    expect(await page(false)).toContain('# TYPE a_total counter\na_total{x="1"} 0\n')
  })
})

describe('exemplars', () => {
  test('name the trace of a request in the bucket that counted it', async () => {
    const { stats, sink, page } = sidecar()
    const histogram = stats.histogram('t_seconds', 'T.', {})
    histogram.record(3)
    sink.offer(histogram, traced(1_000), 3)
    const lines = (await page(true)).split('\n').filter(line => line.includes('trace_id'))
    expect(lines).toEqual([
      expect.stringMatching(new RegExp(`^t_seconds_bucket{le="0.004096"} 1 # {trace_id="${traceId}"} 0.003 [\\d.]+$`)),
    ])
    expect(await page(false)).not.toContain('trace_id')
  })

  test('are told of rarely, and never of a request that is not recorded', () => {
    const { stats, sink, told } = sidecar()
    const histogram = stats.histogram('t_seconds', 'T.', {})
    const count = () => told.filter(({ kind }) => kind === 'exemplar').length
    const passedOn = traced(1_000)
    passedOn.trace.flags = 0
    sink.offer(histogram, finishedExchange(), 3)
    sink.offer(histogram, passedOn, 3)
    expect(count()).toBe(0)
    for (let ms = 0; ms < 5_000; ms++) sink.offer(histogram, traced(1_000 + ms), 3)
    expect(count()).toBe(1)
    sink.offer(histogram, traced(6_000), 3)
    sink.offer(histogram, traced(6_000), 30)
    expect(count()).toBe(3)
    // Many histograms at once do not flood the control thread.
    for (let i = 0; i < 1_000; i++) sink.offer(stats.histogram('t_seconds', 'T.', { i: String(i) }), traced(7_000), 3)
    expect(count()).toBeLessThan(60)
  })
})
