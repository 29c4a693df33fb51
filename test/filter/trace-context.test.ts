import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TracesSpec } from '../../mesh-config/snapshot.ts'
import { Exchange } from '../../proxy/core/exchange.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { isTraceparent } from '../../proxy/core/traceparent.ts'
import { Tracing } from '../../proxy/core/tracing.ts'
import { traceContext } from '../../proxy/filter/trace-context.ts'
import { isTracestate } from '../../proxy/filter/tracestate.ts'
import { seeded } from '../support/random.ts'
import { tracesSpec } from '../support/specs.ts'
import '../support/seed.ts'

const T = '12345678901234567890123456789012'
const P = '1234567890123456'
const SAMPLED = `00-${T}-${P}-01`
const UNSAMPLED = `00-${T}-${P}-00`
const peer = { address: '10.0.0.1', port: 1, local: '127.0.0.1', localPort: 2 }

interface Passed {
  readonly exchange: Exchange
  /** As they are behind the filter. */
  readonly fields: Readonly<Record<string, string>>
}

function pass(
  fields: readonly (readonly [string, string])[],
  spec: Partial<TracesSpec> = {},
  direction: 'inbound' | 'outbound' = 'inbound',
  seed = 1,
): Passed {
  const tracing = new Tracing()
  tracing.configure(tracesSpec({ isExported: true, samplePercent: 0, ...spec }))
  const headers = new HeaderList(fields.flat())
  const request = { method: 'GET', scheme: 'http', authority: 'o', path: '/', upgrade: '', headers } as const
  const exchange = new Exchange(peer, direction, 'http/1.1', request)
  exchange.begin(request, 1000)
  traceContext(seeded(seed), tracing).onRequest!(exchange, 0)
  const seen: Record<string, string> = {}
  headers.forEach((name, value) => {
    seen[name.toLowerCase()] = name in seen ? `${seen[name]},${value}` : value
  })
  return { exchange, fields: seen }
}

describe('a caller that decided', () => {
  test.each(['inbound', 'outbound'] as const)('against: what it sent passes as it is (%s)', direction => {
    const sent = [
      ['TraceParent', UNSAMPLED],
      ['tracestate', 'foo=1,bar=2'],
      ['b3', `${T}-${P}-0`],
    ] as const
    const { exchange, fields } = pass(sent, { samplePercent: 100 }, direction)
    expect(fields).toEqual({ traceparent: UNSAMPLED, tracestate: 'foo=1,bar=2', b3: `${T}-${P}-0` })
    expect(exchange.trace).toMatchObject({ traceId: T, parentId: P, sampledBy: 'caller', isSampled: false, sends: 0 })
  })

  test('for: the application is told the span of this sidecar', () => {
    const { exchange, fields } = pass([['traceparent', `00-${T}-${P}-03`]])
    const { spanId } = exchange.trace
    expect(spanId).toMatch(/^[0-9a-f]{16}$/)
    expect(spanId).not.toBe(P)
    expect(fields.traceparent).toBe(`00-${T}-${spanId}-03`)
    expect(exchange.trace).toMatchObject({ parentId: P, sampledBy: 'caller', isSampled: true })
  })

  test('for: an endpoint is told by each attempt, so the head stays as it is', () => {
    const { exchange, fields } = pass([['traceparent', SAMPLED]], {}, 'outbound')
    expect(fields.traceparent).toBe(SAMPLED)
    expect(exchange.trace.sends).not.toBe(0)
  })

  test('of a later version: what is known of it', () => {
    const { exchange, fields } = pass([['traceparent', `cc-${T}-${P}-09-more`]])
    expect(fields.traceparent).toBe(`00-${T}-${exchange.trace.spanId}-01`)
  })
})

describe('a trace that begins here', () => {
  test.each([
    ['no field', []],
    ['one that is not valid', [['traceparent', `00-${T}-${P}-01.`]]],
    [
      'two',
      [
        ['traceparent', SAMPLED],
        ['traceparent', SAMPLED],
      ],
    ],
    ['another name', [['trace-parent', SAMPLED]]],
  ] as [string, [string, string][]][])('%s: its parent is new, and its tracestate is gone', (_what, sent) => {
    const { exchange, fields } = pass([...sent, ['tracestate', 'foo=1']])
    expect(isTraceparent(fields.traceparent!)).toBe(true)
    expect(exchange.trace.traceId).not.toBe(T)
    expect(fields.traceparent).toBe(`00-${exchange.trace.traceId}-${exchange.trace.spanId}-02`)
    expect(fields).not.toHaveProperty('tracestate')
    expect(exchange.trace).toMatchObject({ parentId: '', sampledBy: 'ratio', isSampled: false })
  })

  test('where all are sampled', () => {
    const { exchange, fields } = pass([], { samplePercent: 100 })
    expect(fields.traceparent).toBe(`00-${exchange.trace.traceId}-${exchange.trace.spanId}-03`)
    expect(exchange.trace.isSampled).toBe(true)
  })

  test('an unsampled one is told to endpoints as well', () => {
    const { exchange, fields } = pass([], {}, 'outbound')
    expect(fields.traceparent).toBe(`00-${exchange.trace.traceId}-${exchange.trace.spanId}-02`)
    expect(exchange.trace.sends).toBe(0)
  })
})

describe('nothing takes spans', () => {
  test.each([
    ['no export and no agent', { isExported: false }],
    ['traces are off', { isOn: false }],
  ])('%s: fields pass, and none is made', (_what, spec) => {
    expect(pass([], { samplePercent: 100, ...spec }).fields).toEqual({})
    const { fields, exchange } = pass(
      [
        ['traceparent', 'odd'],
        ['tracestate', 'odd'],
      ],
      { samplePercent: 100, ...spec },
    )
    expect(fields).toEqual({ traceparent: 'odd', tracestate: 'odd' })
    expect(exchange.trace).toMatchObject({ traceId: '', sampledBy: '', isSampled: false })
  })
})

describe('the ratio', () => {
  test('is the same on every hop for one trace, and a higher one has all of a lower one', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(100), fc.nat(100), (seed, one, other) => {
        const decided = (samplePercent: number) => pass([], { samplePercent }, 'inbound', seed).exchange.trace.isSampled
        const [low, high] = [Math.min(one, other), Math.max(one, other)]
        // A hop that gets the decision left to it decides the same.
        const { traceId, isSampled } = pass([], { samplePercent: low }, 'inbound', seed).exchange.trace
        const later = pass([['b3', `${traceId}-${P}`]], { samplePercent: low }, 'inbound', seed + 1).exchange.trace
        expect(later.sampledBy).toBe('ratio')
        return later.isSampled === isSampled && (!decided(low) || decided(high))
      }),
    )
  })

  test('is kept', () => {
    const random = seeded(7)
    let sampled = 0
    for (let i = 0; i < 20_000; i++)
      if (pass([], { samplePercent: 10 }, 'inbound', Math.floor(random() * 2 ** 31)).exchange.trace.isSampled) sampled++
    // Six standard deviations of a binomial.
    expect(Math.abs(sampled - 2000)).toBeLessThan(6 * Math.sqrt(20_000 * 0.1 * 0.9))
  })

  test('looks at the 56 bits on the right, which are random', () => {
    const of = (bits: string) => pass([['b3', `${'f'.repeat(18)}${bits}-${P}`]], { samplePercent: 25 }).exchange.trace
    expect(of('bfffffffffffff').isSampled).toBe(false)
    expect(of('c0000000000000').isSampled).toBe(true)
  })
})

describe('B3', () => {
  const ids = `${T}-${P}`
  test.each([
    ['for', `${ids}-1`, { sampledBy: 'caller', isSampled: true }],
    ['for, with its parent', `${ids}-1-05e3ac9a4f6e3b90`, { sampledBy: 'caller', isSampled: true }],
    ['debug', `${ids}-d`, { sampledBy: 'debug', isSampled: true }],
    ['against', `${ids}-0`, { sampledBy: 'caller', isSampled: false }],
    ['no decision', ids, { sampledBy: 'ratio', isSampled: false }],
  ])('in one field: %s', (_what, b3, expected) => {
    const { exchange, fields } = pass([['b3', b3]])
    expect(exchange.trace).toMatchObject({ traceId: T, parentId: P, ...expected })
    const { spanId } = exchange.trace
    const flags = expected.isSampled ? '01' : '00'
    expect(fields.traceparent).toBe(`00-${T}-${expected.isSampled ? spanId : P}-${flags}`)
    const wish = expected.sampledBy === 'debug' ? 'd' : '1'
    expect(fields.b3).toBe(expected.isSampled ? `${T}-${spanId}-${wish}` : b3)
  })

  test('in several fields, a short trace id', () => {
    const { exchange, fields } = pass([
      ['X-B3-TraceId', P],
      ['X-B3-SpanId', '00f067aa0ba902b7'],
      ['X-B3-Sampled', '1'],
    ])
    const { spanId } = exchange.trace
    expect(fields).toEqual({
      'x-b3-traceid': `${'0'.repeat(16)}${P}`,
      'x-b3-spanid': spanId,
      'x-b3-parentspanid': '00f067aa0ba902b7',
      'x-b3-sampled': '1',
      traceparent: `00-${'0'.repeat(16)}${P}-${spanId}-01`,
    })
  })

  test.each([
    [[['b3', '0']], false, 'caller'],
    [[['b3', '1']], true, 'caller'],
    [[['b3', 'd']], true, 'debug'],
    [[['x-b3-sampled', '0']], false, 'caller'],
  ] as [[string, string][], boolean, string][])('a wish without ids: %j', (sent, isSampled, sampledBy) => {
    const { exchange, fields } = pass(sent, { samplePercent: isSampled ? 0 : 100 })
    expect(exchange.trace).toMatchObject({ isSampled, sampledBy, parentId: '' })
    expect(fields.traceparent).toBe(`00-${exchange.trace.traceId}-${exchange.trace.spanId}-0${isSampled ? 3 : 2}`)
  })

  test.each([
    'x',
    `${T}-${P}-2`,
    `${T}-${P}-1-short`,
    `${T}-${P}-1-05e3ac9a4f6e3b90-more`,
    `${'0'.repeat(32)}-${P}-1`,
    `${T}-${'0'.repeat(16)}-1`,
    `${T.slice(2)}-${P}-1`,
    `${T}-${P.slice(1)}g-1`,
  ])('one that is not valid begins no trace of its ids: %s', b3 => {
    const { exchange } = pass([['b3', b3]])
    expect(exchange.trace).toMatchObject({ parentId: '', sampledBy: 'ratio' })
    expect(exchange.trace.traceId).not.toBe(T)
  })

  test('ids that are not valid leave nothing behind in the fields of the trace that begins', () => {
    const sent = [
      ['x-b3-traceid', 'zz\u000b'],
      ['x-b3-spanid', P],
      ['x-b3-parentspanid', 'of another trace'],
      ['x-b3-flags', '1'],
    ] as const
    const { exchange, fields } = pass(sent)
    const { traceId, spanId, isSampled } = exchange.trace
    expect(isSampled).toBe(false)
    expect(fields).toEqual({
      traceparent: `00-${traceId}-${spanId}-02`,
      'x-b3-traceid': traceId,
      'x-b3-spanid': spanId,
      'x-b3-sampled': '0',
    })
  })

  test('beside W3C: W3C counts, and both are told', () => {
    const { exchange, fields } = pass([
      ['traceparent', SAMPLED],
      ['b3', `${'a'.repeat(32)}-${'b'.repeat(16)}-0`],
    ])
    const { spanId } = exchange.trace
    expect(fields.traceparent).toBe(`00-${T}-${spanId}-01`)
    expect(fields.b3).toBe(`${T}-${spanId}-1`)
  })

  test('alone, where W3C is not wanted', () => {
    const { exchange, fields } = pass([['traceparent', SAMPLED]], { propagate: ['b3'], samplePercent: 100 })
    expect(exchange.trace.traceId).not.toBe(T)
    expect(fields).toEqual({ traceparent: SAMPLED, b3: `${exchange.trace.traceId}-${exchange.trace.spanId}-1` })
  })

  test('not wanted: it passes as any other field', () => {
    const { exchange, fields } = pass([['b3', `${ids}-1`]], { propagate: ['w3c'] })
    expect(exchange.trace.traceId).not.toBe(T)
    expect(fields.b3).toBe(`${ids}-1`)
  })
})

/** The cases of the public test suite (w3c/trace-context, test/test.py). */
describe('tracestate', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => `bar${String(i + 1).padStart(2, '0')}=${i + 1}`).join(',')
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789_-*/'
  const value = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))
    .join('')
    .replace(/[,=]/g, '')

  test.each([
    'foo=1,bar=2',
    'foo=1,',
    ',foo=1',
    'foo=1,bar=2, rojo=1,congo=2, baz=3',
    'foo=1 \t , \t bar=2, \t baz=3',
    `${letters}=${value}`,
    `${letters}@a-z0-9_-*/=${value}`,
    many(32),
    `foo=1,${'z'.repeat(256)}=1`,
    `foo=1,${'t'.repeat(241)}@${'v'.repeat(14)}=1`,
  ])('%s is inherited', state => {
    const { exchange, fields } = pass([
      ['traceparent', SAMPLED],
      ['tracestate', state],
    ])
    expect(fields.tracestate).toBe(state)
    expect(exchange.trace.state).toBe(state)
  })

  test('several fields are one', () => {
    const { exchange } = pass([
      ['traceparent', UNSAMPLED],
      ['tracestate', 'foo=1'],
      ['tracestate', 'bar=2'],
    ])
    expect(exchange.trace.state).toBe('foo=1, bar=2')
    expect(
      pass([
        ['traceparent', UNSAMPLED],
        ['tracestate', 'foo=1'],
        ['tracestate', 'foo=1'],
      ]).fields,
    ).not.toHaveProperty('tracestate')
  })

  test.each([
    '',
    'foo=1,foo=1',
    'foo=1,foo=2',
    'foo =1',
    'FOO=1',
    'foo.bar=1',
    'foo@=1,bar=2',
    '@foo=1,bar=2',
    'foo@@bar=1,bar=2',
    'foo@bar@baz=1,bar=2',
    many(33),
    `foo=1,${'z'.repeat(257)}=1`,
    `foo=1,${'t'.repeat(242)}@v=1`,
    `foo=1,t@${'v'.repeat(15)}=1`,
    'foo=bar=baz',
    'foo=,bar=3',
    'foo',
    '=1',
    `foo=${'v'.repeat(257)}`,
    `a=${'v'.repeat(9000)}`,
  ])('%s is not passed on, and the trace is', state => {
    const { exchange, fields } = pass([
      ['traceparent', UNSAMPLED],
      ['tracestate', state],
    ])
    expect(fields).toEqual({ traceparent: UNSAMPLED })
    expect(exchange.trace).toMatchObject({ traceId: T, state: '' })
  })

  test('nothing takes long to read', () => {
    expect(isTracestate(`${'a'.repeat(8000)}=`)).toBe(false)
    expect(isTracestate(`${'a@'.repeat(4000)}=1`)).toBe(false)
  })
})
