import { describe, expect, test } from 'vitest'
import { describeSource, effectiveLines } from '../../mesh-config/effective-yaml.ts'
import { type LoadedSnapshot, loadTexts } from '../../mesh-config/load-snapshot.ts'
import { hidden } from '../../mesh-config/secret.ts'

async function load(texts: Record<string, string>, env: Record<string, string> = {}): Promise<LoadedSnapshot> {
  const loaded = await loadTexts(
    Object.entries(texts).map(([file, text]) => ({ file, text })),
    env,
  )
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded
}

const minimal = `outbound:
  - listen: 127.0.0.1:9101
    service: orders
discovery:
  endpoints:
    orders: [127.0.0.1:9001]
`

describe('the effective config', () => {
  test('says of each value where it comes from', async () => {
    const { effective } = await load({
      'a.yaml': minimal,
      'b.yaml': 'services: { orders: { timeouts: { request: 3s } } }\naccessLog: on\n',
    })
    const { files, config, sources } = await effective()
    expect(files).toEqual(['a.yaml', 'b.yaml'])
    expect(config).toMatchObject({
      services: { orders: { timeouts: { request: '3s', connect: '1s' } } },
      accessLog: { mode: 'on', format: 'text' },
    })
    expect(sources['outbound[0].listen']).toEqual({ at: 'a.yaml:2' })
    expect(sources['discovery.endpoints.orders[0].address']).toEqual({ at: 'a.yaml:6' })
    expect(sources['discovery.endpoints.orders[0].weight']).toEqual({ at: null, why: 'equal shares' })
    expect(sources['services.orders.timeouts.request']).toEqual({ at: 'b.yaml:1' })
    expect(sources['services.orders.timeouts.connect']).toEqual({
      at: null,
      why: expect.stringContaining('milliseconds'),
    })
    expect(sources['accessLog.mode']).toEqual({ at: 'b.yaml:2' })
    expect(sources['accessLog.format']).toMatchObject({ at: null })
  })

  test('gives a reason for every default that is not simply empty', async () => {
    const { effective } = await load({
      'a.yaml': `${minimal}inbound: [{ listen: 0.0.0.0:20000, forward: 127.0.0.1:3000 }]\n`,
    })
    const { config, sources } = await effective()
    const lines = effectiveLines({ files: [], config, sources })
    const silent = lines.filter(
      ({ text, source }) => source?.at === null && source.why === undefined && !/ (\[\]|\{\})$/.test(text),
    )
    expect(silent).toEqual([])
    expect(lines.length).toBeGreaterThan(60)
  })

  test('reads as YAML, a line for each value', async () => {
    const { effective } = await load({ 'a.yaml': minimal })
    const text = effectiveLines(await effective()).map(({ text: line, source }) =>
      source === null ? line : `${line} # ${describeSource(source)}`,
    )
    const from = text.indexOf('inbound: [] # default')
    expect(text.slice(from, from + 8)).toEqual([
      'inbound: [] # default',
      'outbound:',
      '  - listen: 127.0.0.1:9101 # a.yaml:2',
      '    service: orders # a.yaml:3',
      '    passThrough: allow # default: an application must not lose what it could reach before the sidecar came',
      expect.stringMatching(/^ {4}opaquePorts: \[21, .*\] # default: the servers of FTP/),
      expect.stringMatching(/^ {4}firstByte: 300ms # default: /),
      '    timeouts:',
    ])
  })

  test('can be loaded again, as YAML and as JSON, and is the same config then', async () => {
    const first = await load(
      {
        'a.yaml': `service: web
admin: "[::1]:15000"
accessLog: { mode: on, template: "%START_TIME% 'x': \\"y\\" # no comment\\n" }
inbound: [{ listen: 0.0.0.0:20000, forward: localhost:3000 }]
outbound: [{ listen: 127.0.0.1:1, timeouts: { head: 0, idle: off } }]
discovery: { endpoints: { orders: [{ address: 127.0.0.1:9001, zone: b, meta: { version: "1.10", odd: "a: b", "key: odd": "true", empty: "" } }], "123": ["[::1]:80"] } }
services:
  orders:
    hosts: ["*.example.com"]
    subsets: { v1: { version: "1.10" } }
    routes:
      - match: { path: /a/*, methods: [GET], headers: { x-a: "5", x-b: { regex: "^\\\\d+$\${X}" }, x-c: { present: false } } }
        to: [{ subset: v1, weight: 5 }, { service: "123" }]
`,
      },
      { X: '' },
    )
    const effective = await first.effective()
    // Not where it stands in the files.
    const content = ({ snapshot: { places: _places, ...rest } }: LoadedSnapshot) => rest
    const yaml = effectiveLines(effective).map(({ text }) => text)
    expect(content(await load({ 'again.yaml': yaml.join('\n') }))).toEqual(content(first))
    expect(
      content(await load({ 'again.json': JSON.stringify(effective.config).replaceAll('${', () => '$${') })),
    ).toEqual(content(first))
  })

  test('never shows what a variable with the name of a secret holds', async () => {
    const text = `${minimal}services: { orders: { subsets: { a: { key: "\${API_TOKEN}", zone: "x-\${ZONE}" } } } }\n`
    const { effective } = await load({ 'a.yaml': text }, { API_TOKEN: 's3cr3t', ZONE: 'b' })
    const shown = await effective()
    expect(JSON.stringify(shown)).not.toContain('s3cr3t')
    expect(shown.config).toMatchObject({ services: { orders: { subsets: { a: { key: hidden, zone: 'x-b' } } } } })
    expect(describeSource(shown.sources['services.orders.subsets.a.zone']!)).toBe('a.yaml:7 x-${ZONE}')
  })
})
