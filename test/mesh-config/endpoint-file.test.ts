import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readEndpointFile } from '../../mesh-config/endpoint-file.ts'
import { endpointsOfJson } from '../../mesh-config/endpoint-json.ts'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import '../support/seed.ts'

const read = (text: string) => {
  const file = readEndpointFile('f.yaml', text)
  return file.ok ? file.endpoints : file.problems
}

const endpoint = (address: string, overrides: Partial<EndpointSpec> = {}): EndpointSpec => ({
  address,
  port: 80,
  weight: 1,
  priority: 0,
  zone: '',
  metadata: {},
  health: 'passing',
  healthReason: '',
  ...overrides,
})

describe('file_sd of Prometheus', () => {
  const groups = [
    {
      targets: ['10.0.0.1:80', '10.0.0.2:80'],
      labels: { version: 'v1', zone: 'b', __meta_filepath: '/x', raw: '${HOME} $${HOME}' },
    },
    { targets: [], labels: { version: 'v3' } },
    { targets: ['[::1]:80'] },
    { targets: ['c:80'], labels: { zone: '' } },
  ]
  const metadata = { version: 'v1', zone: 'b', raw: '${HOME} $${HOME}' }
  const expected = [
    endpoint('10.0.0.1', { zone: 'b', metadata }),
    endpoint('10.0.0.2', { zone: 'b', metadata }),
    endpoint('::1'),
    endpoint('c', { metadata: { zone: '' } }),
  ]

  test('labels are metadata, zone is the zone too, those of Prometheus itself are dropped', () => {
    expect(read(JSON.stringify(groups))).toEqual(expected)
    expect(endpointsOfJson(JSON.stringify(groups))).toEqual(expected)
  })

  test('in YAML', () => {
    expect(read('- targets: [ "a:80" ]\n  labels:\n    version: v1\n- targets:\n    - b:80\n')).toEqual([
      endpoint('a', { metadata: { version: 'v1' } }),
      endpoint('b'),
    ])
  })

  test('what is wrong is said where it stands', () => {
    expect(read('- targets: a:80\n  labels: [x]\n  lables: {}')).toEqual([
      'f.yaml:1:12: targets is a list: write [ "host:port", ... ]',
      'f.yaml:2:11: labels is a map: write { "name": "value" }',
      'f.yaml:3:3: unknown key "lables": a group of file_sd has targets and labels',
    ])
    expect(read('- targets:\n    - a:80\n    - b\n    - { address: c }\n')).toEqual([
      'f.yaml:4:7: a target is a text: write "host:port"',
    ])
    expect(read('- targets:\n    - a:80\n    - b\n')).toEqual([
      'f.yaml:3:7: address: "b" has no port: write host:port, such as 127.0.0.1:3000',
    ])
    expect(read('- targets: [ "a:80" ]\n  labels:\n    build: 7\n    zone: "b c"\n')).toEqual([
      'f.yaml:3:12: build: 7 is a number, and a value is a text: write "7"',
      'f.yaml:4:11: zone: "b c" is not a zone: write letters, digits, - _ and . such as v2',
    ])
  })
})

describe('a list of ours', () => {
  test('both forms of an endpoint', () => {
    expect(read('- A:80\n- { address: b:80, weight: 2, meta: { version: v1 } }\n')).toEqual([
      endpoint('a'),
      endpoint('b', { weight: 2, metadata: { version: 'v1' } }),
    ])
    expect(read('[]')).toEqual([])
  })

  test('what is wrong is said where it stands, all of it', () => {
    expect(read('- a:80\n- 5\n- b\n- { address: c:80, weight: 0 }\n- { address: d:80, zome: a }\n- {}\n-\n')).toEqual([
      'f.yaml:2:3: [1]: 5 is a port without a host: write 127.0.0.1:5',
      'f.yaml:3:3: [2]: "b" has no port: write host:port, such as 127.0.0.1:3000',
      'f.yaml:4:28: weight: 0 is out of range: write a number from 1 to 1000000',
      'f.yaml:5:20: unknown key "zome": did you mean "zone"?',
      'f.yaml:6:3: "address" is missing (host:port): write address: 127.0.0.1:3000',
      'f.yaml:7:2: an empty item: give it a value, or remove it',
    ])
  })

  test('no list, no endpoints', () => {
    expect(read('')).toEqual(['f.yaml: the file is empty: write [] where there are no endpoints'])
    expect(read('# later\n')).toEqual([
      'f.yaml:1:1: a list of endpoints belongs here: begin each with "- ", or write []',
    ])
    expect(read('orders:\n  - a:80\n')).toEqual([
      'f.yaml:1:1: a list of endpoints belongs here: begin each with "- ", or write []',
    ])
    expect(read('a:80')).toEqual(['f.yaml:1:1: a list of endpoints belongs here: begin each with "- ", or write []'])
  })

  test('variables mean nothing', () => {
    expect(read('- { address: a:80, meta: { home: "${HOME}" } }')).toEqual([
      endpoint('a', { metadata: { home: '${HOME}' } }),
    ])
    expect(read('- "${HOST}:80"')).toEqual([expect.stringContaining('f.yaml:1:3: [0]: "${HOST}:80" is not an address')])
  })
})

describe('the way without libraries', () => {
  /** Mostly right: a value that is wrong is to be the only one. */
  const mostly = <Value>(right: fc.Arbitrary<Value>, ...wrong: unknown[]): fc.Arbitrary<unknown> =>
    fc.oneof(
      { weight: 9, arbitrary: right },
      { weight: 1, arbitrary: wrong.length === 0 ? fc.jsonValue() : fc.constantFrom(...wrong) },
    )
  const address = mostly(
    fc.oneof(
      fc.constantFrom('a:80', 'A:80', '[::1]:80', '[FD00::A]:80', '10.0.0.1:65535'),
      fc.domain().map(name => `${name}:1`),
    ),
    ...['a:0', 'a', ':80', '80', '[::1]', '1.2.3:4', 'a b:80', 'a:80000', '-a:1', '[::g]:1', '::1:80', 80, null, []],
  )
  const texts = mostly(
    fc.dictionary(
      fc.constantFrom('version', 'zone', '__x', 'a b', ''),
      fc.oneof(fc.string(), fc.constantFrom('a', '', '${X}', 'é', '\n', 'eu-west-1', '-a')),
    ),
    ...[{ version: 1 }, { version: null }, { version: {} }, [], 'a', null],
  )
  const item = fc.record(
    {
      address,
      weight: mostly(fc.integer({ min: 1, max: 1_000_000 }), 0, -1, 1_000_001, 1.5, '1', null, true),
      priority: mostly(fc.integer({ min: 0, max: 127 }), 128, -1, 0.5, '0', null),
      zone: mostly(fc.constantFrom('a', 'eu-west-1'), '', 'a b', '-a', 7, null),
      meta: texts,
      health: mostly(fc.constantFrom('passing', 'failing', 'draining'), 'critical', '', null, 1),
    },
    { requiredKeys: ['address'] },
  )
  const group = fc.record(
    { targets: mostly(fc.array(address, { maxLength: 3 }), 'a:80', null, {}), labels: texts },
    { requiredKeys: ['targets'] },
  )
  const extra = (of: fc.Arbitrary<object>) =>
    fc
      .tuple(of, mostly(fc.constant({}), { extra: 1 }, { weigth: 1 }))
      .map(([fields, more]) => ({ ...fields, ...(more as object) }))
  const file = mostly(fc.array(mostly(fc.oneof(address, extra(item), extra(group))), { maxLength: 3 }))

  test('takes nothing but what the other way takes, with the same result', () => {
    let taken = 0
    fc.assert(
      fc.property(file, fc.constantFrom(undefined, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        const endpoints = endpointsOfJson(text)
        if (endpoints === null) return
        taken++
        expect(readEndpointFile('f.json', text)).toEqual({ ok: true, endpoints })
      }),
      { numRuns: 2_000 },
    )
    expect(taken).toBeGreaterThan(500)
  })

  test('takes what such files usually are', () => {
    expect(
      endpointsOfJson(
        '["a:80", { "address": "b:80", "weight": 2, "priority": 1, "zone": "a", "meta": { "version": "v1" }, "health": "failing" }]',
      ),
    ).toEqual([
      endpoint('a'),
      endpoint('b', {
        weight: 2,
        priority: 1,
        zone: 'a',
        metadata: { version: 'v1' },
        health: 'failing',
        healthReason: 'as listed',
      }),
    ])
    expect(endpointsOfJson(' []\n')).toEqual([])
  })

  test('leaves what only looks like it', () => {
    for (const text of [
      '',
      '{}',
      'null',
      '- a:80',
      '["a"]',
      '[1]',
      '[[]]',
      '[null]',
      '[{"targets":["a:80"],"labels":{"__proto__":"x"}}]',
      '[{"address":"a:80","__proto__":{}}]',
    ])
      expect(endpointsOfJson(text), text).toBe(null)
  })
})
