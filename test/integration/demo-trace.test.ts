import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { styleFor } from '../../examples/demo/view/style.ts'
import { traceSvg } from '../../examples/demo/view/trace-picture.ts'
import { traceLines } from '../../examples/demo/view/trace-tree.ts'
import { about, newestOf } from '../../examples/demo/watch/traces.ts'
import type { JaegerSpan, JaegerTrace } from '../../examples/support/jaeger.ts'

function span(id: string, parent: string, service: string, name: string, at: number, tags: object = {}): JaegerSpan {
  return {
    spanID: id,
    operationName: name,
    references: parent === '' ? [] : [{ refType: 'CHILD_OF', spanID: parent }],
    startTime: 1_000_000 + at,
    duration: 10_000 - at,
    tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
    logs: [],
    processID: service,
  }
}

const refused = {
  'span.kind': 'client',
  error: true,
  'error.type': 'connect-refused',
  'outrigger.retry': 'yes: connect-failure',
}
const trace: JaegerTrace = {
  traceID: 'a'.repeat(32),
  processes: Object.fromEntries(['web', 'orders'].map(name => [name, { serviceName: name, tags: [] }])),
  spans: [
    span('5', '4', 'orders', 'GET /*', 6_000, { 'span.kind': 'server', 'http.response.status_code': 200 }),
    span('1', '', 'web', 'GET /<&>', 0, { 'span.kind': 'server', 'http.response.status_code': 200 }),
    span('2', '1', 'web', 'GET /*', 1_000, { 'span.kind': 'internal', 'outrigger.service': 'orders' }),
    span('3', '2', 'web', 'GET /*', 2_000, { ...refused, 'outrigger.endpoint': '10.0.0.1:1' }),
    span('4', '2', 'web', 'GET /*', 4_000, {
      'span.kind': 'client',
      'http.response.status_code': 200,
      'outrigger.endpoint': '10.0.0.2:1',
    }),
  ],
}
const found = about(trace, 16_686)
const style = styleFor({ isTTY: true }, { LANG: 'C.UTF-8' })
const nameOf = (address: string) => (address === '10.0.0.1:1' ? 'orders-1' : address)

/** A request that web sends to orders twice, and that stock answers for orders. `at`: seconds. */
function retried(id: string, at: number): JaegerTrace {
  const begin = (each: JaegerSpan) => ({ ...each, startTime: at * 1e6 + each.startTime })
  return {
    traceID: id.repeat(32),
    processes: Object.fromEntries(
      ['web', 'orders', 'stock', 'prices'].map(name => [name, { serviceName: name, tags: [] }]),
    ),
    spans: [
      ...trace.spans,
      span('6', '5', 'stock', 'GET /*', 7_000, { 'span.kind': 'server' }),
      span('7', '5', 'prices', 'Get', 7_000, { 'span.kind': 'server' }),
    ].map(begin),
  }
}

describe('the trace that the demo shows', () => {
  const lost = span('8', 'c0', 'stock', 'GET /*', 3_000, { 'span.kind': 'server' })
  const late = (seconds: number) => (1 + seconds) * 1000
  const idOf = (traces: readonly JaegerTrace[], now: number) => newestOf(traces, 1, now)?.trace.traceID[0] ?? null

  test('is the newest with a retry and four services', () => {
    expect(idOf([retried('a', 5), retried('b', 7), retried('c', 6)], late(7))).toBe('b')
    expect(idOf([trace], late(99))).toBe(null)
  })

  test('may lack what a killed instance took along, when nothing more is to come', () => {
    const gap = { ...retried('d', 8), spans: [...retried('d', 8).spans, lost] }
    expect(idOf([gap], late(9))).toBe(null)
    expect(idOf([gap], late(19))).toBe('d')
    expect(idOf([gap, retried('a', 5)], late(19))).toBe('a')
  })

  test('has its four services in the part with the retry', () => {
    const whole = retried('e', 5)
    expect(idOf([{ ...whole, spans: whole.spans.filter(({ spanID }) => spanID !== '5') }], late(99))).toBe(null)
  })
})

describe('the tree of a trace', () => {
  test('has a line for each span, its attempts in order, with bars where they were', () => {
    const lines = traceLines(found, { width: 110, style, nameOf, isThere: true }).map(line =>
      stripVTControlCharacters(line),
    )
    expect(lines.slice(0, 2)).toEqual([
      ' a trace with a retry in it   5 spans of 2 services, 1 retry, 10 ms',
      ` http://127.0.0.1:16686/trace/${'a'.repeat(32)}`,
    ])
    const rows = lines.slice(3, 8)
    expect(rows.map(line => line.slice(0, 60).trimEnd())).toEqual([
      ' web       GET /<&>                     200',
      ' web       └ to orders: GET /*',
      ' web         ├ attempt 1 at orders-1    connect-refused, tri',
      ' web         └ attempt 2 at 10.0.0.2:1  200',
      ' orders        └ GET /*                 200',
    ])
    const bars = rows.map(line => line.slice(-20).indexOf('━'))
    expect(bars).toEqual([...bars].sort((a, b) => a - b))
  })

  test.each([60, 80, 100, 160, 240])('fits %i columns', width => {
    const lines = traceLines(found, { width, style, nameOf, isThere: true })
    // The link stays whole: it is there to be copied.
    for (const line of lines.filter(line => !line.includes('http://')))
      expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(width)
  })

  test('ends also where spans are each other’s parents', () => {
    const circle = { ...trace, spans: [...trace.spans, span('8', '9', 'web', 'a', 0), span('9', '8', 'web', 'b', 0)] }
    expect(traceLines(about(circle, 1), { width: 100, style, nameOf, isThere: false })).toHaveLength(8)
  })

  test('as a picture shows the same rows, and text as text', () => {
    const svg = traceSvg(found, nameOf)
    expect(svg.match(/class="service"/g)).toHaveLength(5)
    expect(svg).toContain('GET /&lt;&amp;>')
    expect(svg).toContain('connect-refused, tried again: connect-failure')
  })
})
