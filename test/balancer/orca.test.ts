import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseReport, readReport } from '../../proxy/balancer/orca.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import '../support/seed.ts'

const none = { qps: 0, eps: 0, cpuUtilization: 0, memUtilization: 0, applicationUtilization: 0 }
const example = { ...none, cpuUtilization: 0.3, memUtilization: 0.8, qps: 10, eps: 1 }

describe('text', () => {
  test.each([
    'TEXT cpu_utilization=0.3, mem_utilization=0.8, rps_fractional=10.0, eps=1, named_metrics.custom_metric_util=0.4',
    'TEXT cpu_utilization=0.3,mem_utilization=0.8,rps_fractional=10.0,eps=1',
    'cpu_utilization=0.3, mem_utilization=0.8, qps=10, eps=1',
    'TEXT cpu_utilization:0.3,mem_utilization:0.8,rps_fractional:1e1,eps:1',
    '  TEXT   cpu_utilization = 0.3 , mem_utilization=0.8,rps_fractional=10,eps=1.0  ',
    'TEXT cpu_utilization=0.3, whatever=x, mem_utilization=0.8, rps_fractional=10, eps=1, __proto__=7, toString=8',
  ])('%s', value => {
    expect(parseReport(value)).toEqual(example)
  })

  test('more than 1 is overload, and allowed', () => {
    expect(parseReport('TEXT cpu_utilization=1.7, application_utilization=2.5')).toEqual({
      ...none,
      cpuUtilization: 1.7,
      applicationUtilization: 2.5,
    })
  })

  test.each([
    'TEXT',
    'TEXT ',
    '',
    'cpu_utilization',
    'cpu_utilization=',
    'cpu_utilization=x',
    'cpu_utilization=0.3x',
    'cpu_utilization=0x1',
    'cpu_utilization=-0.1',
    'cpu_utilization=NaN',
    'cpu_utilization=Infinity',
    'cpu_utilization=1e999',
    'cpu_utilization=1e13',
    'cpu_utilization=0.3,,eps=1',
    'cpu_utilization=0.3;eps=1',
    'cpu_utilization=0.3, eps=1, rps_fractional=-5',
    `cpu_utilization=0.3${','.repeat(5000)}`,
    `cpu_utilization=0.3, ${'x=1,'.repeat(2000)}eps=1`,
  ])('malformed: %j', value => {
    expect(parseReport(value)).toBeNull()
  })
})

describe('JSON', () => {
  test.each([
    'JSON {"cpu_utilization": 0.3, "mem_utilization": 0.8, "rps_fractional": 10.0, "eps": 1, "named_metrics": {"custom-metric-util": 0.4}}',
    'JSON {"cpuUtilization":0.3,"memUtilization":0.8,"rpsFractional":10,"eps":1}',
    '{"cpu_utilization":0.3,"mem_utilization":0.8,"qps":10,"eps":1,"__proto__":{"eps":9},"constructor":1}',
  ])('%s', value => {
    expect(parseReport(value)).toEqual(example)
  })

  test.each([
    'JSON',
    'JSON {',
    'JSON []',
    'JSON null',
    'JSON 7',
    'JSON "x"',
    '{"cpu_utilization": "0.3"}',
    '{"cpu_utilization": null}',
    '{"cpu_utilization": -1}',
    '{"cpu_utilization": 1e400}',
    `JSON ${'{"a":'.repeat(900)}1${'}'.repeat(900)}`,
    `JSON {"cpu_utilization":0.3,"x":"${'x'.repeat(5000)}"}`,
  ])('malformed: %.60s', value => {
    expect(parseReport(value)).toBeNull()
  })
})

/** A protocol-buffer message, by hand: what protoc would write. */
const double = (field: number, value: number) => {
  const bytes = Buffer.alloc(9)
  bytes[0] = (field << 3) | 1
  bytes.writeDoubleLE(value, 1)
  return bytes
}
const whole = (field: number, value: number) => {
  const bytes = [field << 3]
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) | 128)
  }
}
const block = (field: number, content: Buffer) =>
  Buffer.concat([Buffer.from([(field << 3) | 2, content.length]), content])
const bin = (...parts: Buffer[]) => `BIN ${Buffer.concat(parts).toString('base64')}`

describe('binary', () => {
  test('the example of gRFC A51', () => {
    // cpu_utilization 0.1, mem_utilization 2, and two named metrics: as in the ORCA design.
    expect(parseReport('BIN CZqZmZmZmbk/MQAAAAAAAABAQg4KA2ZvbxGamZmZmZm5P0IOCgNiYXIRmpmZmZmZyT8=')).toEqual({
      ...none,
      cpuUtilization: 0.1,
      qps: 2,
    })
  })

  test('all fields that are used, in any order, among others that are not', () => {
    const named = block(8, Buffer.concat([block(1, Buffer.from('gpu')), double(2, 0.5)]))
    const parts = [
      double(9, 0.6),
      named,
      double(7, 1),
      whole(3, 999),
      double(6, 10),
      block(4, Buffer.from('abc')),
      double(2, 0.8),
      double(1, 0.3),
      double(15, 7),
    ]
    expect(parseReport(bin(...parts))).toEqual({ ...example, applicationUtilization: 0.6 })
  })

  test('the whole rps of old, where there is no other', () => {
    expect(parseReport(bin(double(1, 0.3), whole(3, 300)))).toEqual({ ...none, cpuUtilization: 0.3, qps: 300 })
  })

  test('an empty message says nothing', () => {
    expect(parseReport(bin(double(1, 0)))).toEqual(none)
  })

  test.each([
    ['no base64', 'BIN ????'],
    ['nothing', 'BIN '],
    ['cut in a double', `BIN ${double(1, 0.3).subarray(0, 5).toString('base64')}`],
    ['cut in a block', bin(Buffer.from([(8 << 3) | 2, 50, 1]))],
    ['a length that goes far beyond', bin(Buffer.from([(8 << 3) | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]))],
    ['a varint without an end', bin(Buffer.alloc(20, 0xff))],
    ['a group', bin(Buffer.from([(8 << 3) | 3]))],
    ['a negative number', bin(double(1, -0.1))],
    ['not a number', bin(double(1, Number.NaN))],
    ['infinite', bin(double(6, Number.POSITIVE_INFINITY))],
    ['too long', bin(block(8, Buffer.alloc(100)), ...Array.from({ length: 60 }, () => block(8, Buffer.alloc(100))))],
  ])('malformed: %s', (_what, value) => {
    expect(parseReport(value)).toBeNull()
  })
})

describe('the head', () => {
  test('either field; the first one wins', () => {
    const bytes = Buffer.concat([double(1, 0.5), double(6, 10)]).toString('base64')
    expect(readReport(new HeaderList(['Endpoint-Load-Metrics-Bin', bytes]))).toEqual({
      ...none,
      cpuUtilization: 0.5,
      qps: 10,
    })
    expect(readReport(new HeaderList(['endpoint-load-metrics', 'eps=2', 'endpoint-load-metrics-bin', bytes]))).toEqual({
      ...none,
      eps: 2,
    })
    expect(readReport(new HeaderList(['content-length', '0']))).toBeNull()
    expect(readReport(new HeaderList(['endpoint-load-metrics-bin', bytes.repeat(2000)]))).toBeNull()
    expect(
      readReport(
        new HeaderList(['endpoint-load-metrics-bin', Buffer.alloc(9 * 1000, double(1, 0.5)).toString('base64')]),
      ),
    ).toBeNull()
  })
})

test('whatever comes, it is a report of sane numbers, or none', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'TEXT ',
      'JSON ',
      'BIN ',
      'cpu_utilization',
      'eps',
      '=',
      ',',
      '{"eps":',
      '}',
      '0.5',
      '1e308',
      '-',
      'CZqZmZmZmbk/',
    ),
    fc.string({ maxLength: 5 }),
    fc.base64String({ maxLength: 40 }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      const report = parseReport(pieces.join(''))
      if (report === null) return
      for (const value of Object.values(report)) expect(value >= 0 && value <= 1e12).toBe(true)
    }),
    { numRuns: 500 },
  )
})
