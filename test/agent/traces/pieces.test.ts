import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { enricher } from '../../../agent/traces/enrich.ts'
import { PIECE_BYTES, takeRequest } from '../../../agent/traces/pieces.ts'
import { keeper } from '../../../agent/traces/sampling.ts'
import { delimited, Malformed } from '../../../agent/traces/wire.ts'
import { decode, encode, namesIn, type OtlpRequest, requestOf, spanOf, text } from './support/otlp.ts'

function options({ share = 1, perSecond = 0, attributes = {} as Readonly<Record<string, string>> } = {}) {
  const known = new Map(Object.entries(attributes))
  return { keep: keeper({ share, perSecond, now: () => 0 }), enrich: enricher(() => known) }
}

const joined = (request: Buffer, given = options()) =>
  Buffer.concat(takeRequest(request, given).pieces.map(({ bytes }) => bytes))

/** Something of every field. */
const everything: OtlpRequest = {
  resourceSpans: [
    {
      resource: {
        attributes: [
          text('service.name', 'orders'),
          {
            key: 'list',
            value: { arrayValue: { values: [{ intValue: '-7' }, { doubleValue: 1.5 }, { boolValue: true }] } },
          },
          {
            key: 'map',
            value: { kvlistValue: { values: [text('a', 'ü'), { key: 'b', value: { bytesValue: Buffer.of(1) } }] } },
          },
        ],
      },
      schemaUrl: 'https://opentelemetry.io/schemas/1.37.0',
      scopeSpans: [
        {
          scope: { name: 'one' },
          spans: [
            spanOf({
              traceState: 'a=b',
              parentSpanId: Buffer.alloc(8, 3),
              flags: 257,
              startTimeUnixNano: '1764484515000000001',
              endTimeUnixNano: '1764484516000000002',
              attributes: [text('http.request.method', 'GET')],
              droppedAttributesCount: 300,
              events: [{ timeUnixNano: '1', name: 'retry', attributes: [text('why', 'reset')] }],
              links: [{ traceId: Buffer.alloc(16, 4), spanId: Buffer.alloc(8, 5), flags: 1 }],
              status: { code: 2, message: 'no' },
            }),
            spanOf(),
          ],
        },
        { scope: { name: 'two' }, spans: [spanOf()] },
      ],
    },
    { resource: { attributes: [text('service.name', 'stock')] }, scopeSpans: [{ spans: [spanOf()] }] },
  ],
}

describe('a request', () => {
  test('is passed on as it came where nothing is added or left out', () => {
    const request = encode(everything)
    const taken = takeRequest(request, options())
    expect([taken.received, taken.kept, taken.invalid]).toEqual([4, 4, 0])
    expect(taken.pieces.map(({ spans }) => spans)).toEqual([3, 1])
    expect(decode(joined(request))).toEqual(decode(request))
  })

  test('is cut into pieces that are no larger than a batch, each with its resource and scope', () => {
    const spans = Array.from({ length: 3_000 }, () => spanOf({ attributes: [text('filler', 'x'.repeat(1_000))] }))
    const request = requestOf('orders', spans)
    const { pieces } = takeRequest(request, options())
    expect(pieces.length).toBeGreaterThan(5)
    for (const { bytes, spans } of pieces) {
      expect(bytes.length).toBeLessThan(PIECE_BYTES * 1.2)
      const [only, ...others] = decode(bytes).resourceSpans
      expect(others).toEqual([])
      expect(only!.resource!.attributes[0]).toMatchObject(text('service.name', 'orders'))
      expect(only!.scopeSpans.map(({ scope }) => scope!.name)).toEqual(['test'])
      expect(only!.scopeSpans[0]!.spans.length).toBe(spans)
    }
    expect(pieces.flatMap(({ bytes }) => namesIn(bytes))).toEqual(spans.map(({ name }) => name))
  })

  test('with many large scopes is cut too', () => {
    const scopeSpans = Array.from({ length: 100 }, () => ({ scope: { name: 's'.repeat(60_000) }, spans: [spanOf()] }))
    const { pieces, kept } = takeRequest(encode({ resourceSpans: [{ scopeSpans }] }), options())
    expect(kept).toBe(100)
    expect(Math.max(...pieces.map(({ bytes }) => bytes.length))).toBeLessThan(PIECE_BYTES * 1.3)
  })

  test('whose spans are no spans loses only those, and says why', () => {
    const spans = [
      spanOf({ name: 'good' }),
      spanOf({ traceId: Buffer.alloc(16) }),
      spanOf({ spanId: Buffer.alloc(7, 1) }),
      spanOf({ attributes: [text('long', 'x'.repeat(PIECE_BYTES))] }),
    ]
    const taken = takeRequest(requestOf('a', spans), options())
    expect([taken.received, taken.kept, taken.invalid]).toEqual([4, 1, 3])
    expect(taken.wrong).toBe('its trace id is not 16 bytes, or 0')
    expect(taken.pieces.flatMap(({ bytes }) => namesIn(bytes))).toEqual(['good'])
  })

  test('with a resource that is longer than any loses its spans', () => {
    const taken = takeRequest(requestOf('a', [spanOf()], [text('long', 'x'.repeat(70_000))]), options())
    expect([taken.kept, taken.invalid]).toEqual([0, 1])
    expect(taken.wrong).toMatch(/resource or scope is longer/)
  })

  const bad: [string, Buffer][] = [
    ['text', Buffer.from('this is not protobuf')],
    ['a request cut short', encode(everything).subarray(0, -3)],
    ['a field of another kind', Buffer.from([0x08, 0x01])],
    ['a name that is not UTF-8', requestOf('\u0001\u0001', [spanOf()]).fill(0xff, 24, 25)],
    ['group fields', Buffer.from([0x0b, 0x0c])],
    ['an endless number', Buffer.alloc(11, 0x80)],
    ['a value nested deeper than any', nested(200)],
  ]
  test.each(bad)('that is %s is refused as a whole', (_what, request) => {
    expect(() => takeRequest(request, options())).toThrow(Malformed)
  })

  test('of any bytes is refused or taken, and what is taken can be read', () => {
    const good = encode(everything)
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const request = Buffer.from(good)
        request[at] = byte
        let bytes: Buffer
        try {
          bytes = joined(request)
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed)
          return
        }
        expect(() => decode(bytes)).not.toThrow()
      }),
      { numRuns: 2_000 },
    )
  })
})

/** An attribute of a resource that is a list in a list in a list. */
function nested(depth: number): Buffer {
  let value: Buffer = Buffer.alloc(0)
  for (let level = 0; level < depth; level++) value = delimited(5, [delimited(1, [value])])
  return delimited(1, [delimited(1, [delimited(1, [delimited(2, [value])])])])
}

describe('what the agent knows of its host', () => {
  const attributes = { 'host.name': 'host-1', 'consul.node': 'node-1' }

  test('is added to resources that lack it', () => {
    const request = requestOf('orders', [spanOf()], [text('host.name', 'pod-7')])
    const [{ resource }] = decode(joined(request, options({ attributes }))).resourceSpans as [
      OtlpRequest['resourceSpans'][0],
    ]
    expect(resource!.attributes.map(({ key, value }) => [key, value.stringValue])).toEqual([
      ['service.name', 'orders'],
      ['host.name', 'pod-7'],
      ['consul.node', 'node-1'],
    ])
  })

  test('is added where there is no resource at all', () => {
    const request = encode({ resourceSpans: [{ scopeSpans: [{ spans: [spanOf()] }] }] })
    const [only] = decode(joined(request, options({ attributes }))).resourceSpans
    expect(only!.resource!.attributes.map(({ key }) => key)).toEqual(['host.name', 'consul.node'])
  })
})

describe('sampling', () => {
  const ALL = 2 ** 56
  const spans = Array.from({ length: 1_000 }, (_, index) => spanOf({ name: `at ${index}` }, (index / 1_000) * ALL))

  test('keeps a share of the traces by their last 56 bits, the same share of every service', () => {
    const kept = namesIn(joined(requestOf('a', spans), options({ share: 0.25 })))
    // OpenTelemetry: the highest random values are kept.
    expect(kept).toEqual(spans.slice(750).map(({ name }) => name))
    expect(namesIn(joined(requestOf('b', spans), options({ share: 0.25 })))).toEqual(kept)
    const fewer = namesIn(joined(requestOf('a', spans), options({ share: 0.1 })))
    expect(kept).toEqual(expect.arrayContaining(fewer))
  })

  test('keeps failed spans', () => {
    const mixed = spans.map((span, index) => (index % 100 === 3 ? { ...span, status: { code: 2 } } : span))
    const given = options({ share: 0 })
    expect(namesIn(joined(requestOf('a', mixed), given))).toEqual(
      spans.filter((_, index) => index % 100 === 3).map(({ name }) => name),
    )
    expect(given.keep.dropped.sampled).toBe(990)
  })
})

describe('a service that sends more than its rate', () => {
  test('loses whole traces, and costs others nothing', () => {
    let now = 0
    const keep = keeper({ share: 1, perSecond: 100, now: () => now })
    const kept = new Map<number, number>()
    let quiet = 0
    for (let second = 0; second < 20; second++) {
      now += 1_000
      const noisy = keep.of('noisy')
      // Ten spans of each of a hundred traces, as ten times what may come.
      for (let index = 0; index < 1_000; index++) {
        const trace = (((index * 7919) % 100) / 100) * 2 ** 48
        if (noisy(trace, false) && second >= 10) kept.set(trace, (kept.get(trace) ?? 0) + 1)
      }
      for (let index = 0; index < 50; index++) if (keep.of('quiet')(0, false)) quiet++
    }
    expect(quiet).toBe(1_000)
    const counts = [...kept.values()]
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(1_000)
    // Whole, through all ten seconds.
    expect(counts.filter(count => count === 100).length).toBeGreaterThanOrEqual(9)
    expect(keep.limited()).toEqual(['noisy'])
  })

  test('has another rate, and traces another share, from the moment they are set', () => {
    const keep = keeper({ share: 1, perSecond: 1, now: () => 0 })
    const kept = () => Array.from({ length: 100 }, (_, i) => keep.of('a')((i / 100) * 2 ** 48, false)).filter(Boolean)
    expect(kept()).toHaveLength(2)
    keep.set({ share: 1, perSecond: 40 })
    expect(kept()).toHaveLength(80)
    keep.set({ share: 0.1, perSecond: 0 })
    expect(kept()).toHaveLength(10)
    expect(keep.dropped).toEqual({ sampled: 90, rate: 118 })
  })

  test('may have any name, and names without end share one bucket', () => {
    const keep = keeper({ share: 1, perSecond: 1, now: () => 0 })
    let kept = 0
    for (let index = 0; index < 5_000; index++) if (keep.of(`service-${index}`)(0, false)) kept++
    expect(kept).toBeLessThanOrEqual(1_002)
    expect(keep.of('service-0')(0, false)).toBe(true)
  })
})
