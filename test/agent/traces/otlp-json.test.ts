import { describe, expect, test } from 'vitest'
import { traceRequest } from '../../../agent/traces/messages.ts'
import { encodeAnswer, encodeStatus, jsonToProtobuf } from '../../../agent/traces/otlp-json.ts'
import { checkMessage } from '../../../agent/traces/wire.ts'
import { decode, decodeAnswer } from './support/otlp.ts'

/** The example of opentelemetry-proto (examples/trace.json), with something of every kind of value. */
const example = {
  resourceSpans: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'my.service' } }] },
      scopeSpans: [
        {
          scope: { name: 'my.library', version: '1.0.0', attributes: [] },
          spans: [
            {
              traceId: '5B8EFFF798038103D269B633813FC60C',
              spanId: 'EEE19B7EC3C1B174',
              parentSpanId: 'EEE19B7EC3C1B173',
              flags: 769,
              name: "I'm a server span ü",
              startTimeUnixNano: '1544712660000000000',
              endTimeUnixNano: 1544712661,
              kind: 'SPAN_KIND_SERVER',
              attributes: [
                { key: 'int', value: { intValue: '-9223372036854775808' } },
                { key: 'small', value: { intValue: 7 } },
                { key: 'double', value: { doubleValue: -0.5 } },
                { key: 'nan', value: { doubleValue: 'NaN' } },
                { key: 'yes', value: { boolValue: true } },
                { key: 'bytes', value: { bytesValue: 'AQID' } },
                { key: 'list', value: { arrayValue: { values: [{ stringValue: 'a' }, {}] } } },
                { key: 'map', value: { kvlistValue: { values: [{ key: 'k', value: { stringValue: 'v' } }] } } },
              ],
              events: [{ timeUnixNano: '1', name: 'e' }],
              links: [{ traceId: '5b8efff798038103d269b633813fc60c', spanId: 'eee19b7ec3c1b174' }],
              status: { code: 2, message: 'no' },
              unknown: { is: 'passed over' },
              droppedEventsCount: null,
            },
          ],
        },
      ],
    },
  ],
}

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

describe('OTLP in JSON', () => {
  test('becomes the same in protobuf', () => {
    const encoded = jsonToProtobuf(bytes(example))
    checkMessage(traceRequest, encoded, 0, encoded.length)
    const [only] = decode(encoded).resourceSpans
    expect(only!.resource!.attributes[0]).toMatchObject({ key: 'service.name', value: { stringValue: 'my.service' } })
    const span = only!.scopeSpans[0]!.spans[0]!
    expect(span.traceId.toString('hex')).toBe('5b8efff798038103d269b633813fc60c')
    expect(span).toMatchObject({
      name: "I'm a server span ü",
      kind: 2,
      flags: 769,
      startTimeUnixNano: '1544712660000000000',
      endTimeUnixNano: '1544712661',
      status: { code: 2, message: 'no' },
      events: [{ name: 'e', timeUnixNano: '1' }],
    })
    const values = Object.fromEntries(span.attributes!.map(({ key, value }) => [key, value]))
    expect(values).toMatchObject({
      int: { intValue: '-9223372036854775808' },
      small: { intValue: '7' },
      double: { doubleValue: -0.5 },
      nan: { doubleValue: Number.NaN },
      yes: { boolValue: true },
      bytes: { bytesValue: Buffer.of(1, 2, 3) },
      list: { arrayValue: { values: [{ stringValue: 'a' }, {}] } },
      map: { kvlistValue: { values: [{ key: 'k', value: { stringValue: 'v' } }] } },
    })
  })

  test('may have the names of the proto files', () => {
    const encoded = jsonToProtobuf(bytes({ resource_spans: [{ scope_spans: [{ spans: [{ name: 'a' }] }] }] }))
    expect(decode(encoded).resourceSpans[0]!.scopeSpans[0]!.spans[0]!.name).toBe('a')
  })

  const inSpan = (fields: object) => ({ resourceSpans: [{ scopeSpans: [{ spans: [fields] }] }] })
  let deep: object = { stringValue: 'end' }
  for (let level = 0; level < 100; level++) deep = { arrayValue: { values: [deep] } }
  const wrong: [unknown, RegExp][] = [
    [[], /the request is no object/],
    [{ resourceSpans: {} }, /the request.resourceSpans is no list/],
    [inSpan({ traceId: 'xyz' }), /spans\[0\].traceId is not written in hexadecimal digits/],
    [inSpan({ name: 7 }), /spans\[0\].name is no text/],
    [inSpan({ startTimeUnixNano: '-1' }), /startTimeUnixNano is out of range/],
    [inSpan({ startTimeUnixNano: '1e3' }), /startTimeUnixNano is no whole number/],
    [inSpan({ kind: 'SERVER' }), /kind is no whole number/],
    [inSpan({ status: 'OK' }), /status is no object/],
    [inSpan({ attributes: [{ key: 'deep', value: deep }] }), /nested deeper/],
  ]
  test.each(wrong)('%j is refused with its place', (value, message) => {
    expect(() => jsonToProtobuf(bytes(value))).toThrow(message)
  })

  test('that is none is refused', () => {
    expect(() => jsonToProtobuf(Buffer.from('{'))).toThrow(/it is not JSON/)
    expect(() => jsonToProtobuf(Buffer.of(0x22, 0xff, 0x22))).toThrow(/it is not UTF-8/)
  })
})

describe('an answer', () => {
  test('is empty where all are taken', () => {
    expect(encodeAnswer(false, 0, '').length).toBe(0)
    expect(encodeAnswer(true, 0, '').toString()).toBe('{}')
  })

  test('says how many are not, and why', () => {
    const wanted = { partialSuccess: { rejectedSpans: '3', errorMessage: 'why' } }
    expect(decodeAnswer(encodeAnswer(false, 3, 'why'))).toMatchObject(wanted)
    expect(JSON.parse(encodeAnswer(true, 3, 'why').toString())).toEqual(wanted)
  })

  test('of an error is a google.rpc.Status', () => {
    expect([...encodeStatus(false, 3, 'no')]).toEqual([0x08, 3, 0x12, 2, 0x6e, 0x6f])
    expect(JSON.parse(encodeStatus(true, 3, 'no').toString())).toEqual({ code: 3, message: 'no' })
  })
})
