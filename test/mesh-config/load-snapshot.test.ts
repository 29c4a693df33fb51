import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type LoadedSnapshot, loadSnapshot, loadTexts } from '../../mesh-config/load-snapshot.ts'
import { keysOf, schemaAt, schemaOf } from '../../mesh-config/schema.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const threeLines =
  'outbound: [{ listen: 127.0.0.1:9101, service: orders }]\ndiscovery:\n  endpoints: { orders: [127.0.0.1:9001] }\n'

async function good(...texts: string[]): Promise<LoadedSnapshot> {
  const loaded = await loadTexts(
    texts.map((text, index) => ({ file: `${index}.yaml`, text })),
    {},
  )
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded
}

describe('the smallest file that works', () => {
  test('has three lines, no warnings, and every default', async () => {
    const { bootstrap, discovery, snapshot, warnings } = await good(threeLines)
    expect(warnings).toEqual([])
    expect(bootstrap).toEqual({
      service: 'unnamed',
      admin: { address: '127.0.0.1', port: 15_000 },
      metrics: null,
      adminHosts: [],
      workers: 1,
      state: expect.stringMatching(/\/outrigger\/unnamed-9101$/),
      register: null,
      dns: null,
      traces: {
        url: null,
        secretHeaders: [],
        gzip: false,
        timeoutMs: 10_000,
        batchSpans: 512,
        batchMs: 1_000,
        queueSpans: 4096,
        attributes: ['service.name', 'unnamed'],
      },
    })
    expect(discovery).toEqual({
      files: [],
      dns: [],
      consul: null,
      kubernetes: null,
      massRemovalPercent: 50,
      startTimeoutMs: 3_000,
    })
    expect(snapshot).toEqual({
      version: expect.stringMatching(/^[0-9a-f]{12}$/),
      service: 'unnamed',
      applications: [],
      zone: '',
      onDemandMs: 0,
      clusterDomain: null,
      listeners: [
        {
          name: 'outbound 127.0.0.1:9101',
          direction: 'outbound',
          listen: { address: '127.0.0.1', port: 9101 },
          service: 'orders',
          connect: null,
          multiplex: 0,
          protocol: 'http',
          timeouts: { headMs: 10_000, bodyMs: 30_000, idleMs: 300_000, connectionAgeMs: 0, detectMs: 5_000 },
          limits: {
            headers: 100,
            headBytes: 61_440,
            targetBytes: 16_384,
            connections: 10_000,
            streams: 256,
            bufferBytes: 1_048_576,
          },
          h2cUpgrade: true,
        },
      ],
      services: {
        orders: {
          name: 'orders',
          kind: 'named',
          protocol: null,
          multiplex: true,
          hosts: [],
          endpoints: [
            {
              address: '127.0.0.1',
              port: 9001,
              weight: 1,
              priority: 0,
              zone: '',
              metadata: {},
              health: 'passing',
              healthReason: '',
            },
          ],
          balancer: {
            type: 'least_request',
            choices: 2,
            fullScan: 0,
            activeRequestBias: 1,
            hashOn: [],
            minimumRingSize: 1024,
            maximumRingSize: 1_048_576,
            tableSize: 65_537,
            hashBalanceFactor: 0,
            decayMs: 10_000,
            defaultRttMs: 30,
            failurePenaltyMs: 5_000,
            slowStart: { windowMs: 0, aggression: 1, minWeightPercent: 10 },
            zoneAware: { on: true, minEndpoints: 6 },
            overprovisioning: 1.4,
            panic: { health: 50, ejected: 0 },
            sticky: null,
            subsetSize: 0,
          },
          timeouts: {
            connectMs: 1000,
            requestMs: 15_000,
            perTryMs: 0,
            idleMs: 300_000,
            grpcTimeout: 'enforce',
            grpcTimeoutMaxMs: 0,
            grpcTimeoutOffsetMs: 0,
            tunnelMs: 3_600_000,
          },
          retries: {
            on: ['connect-failure', 'refused-stream', 'reset-before-response'],
            attempts: 2,
            replayBytes: 65_536,
            budget: { percent: 20, minPerSecond: 10 },
          },
          limits: {
            connections: 10_000,
            pending: 10_000,
            requests: 10_000,
            responseHeaders: 200,
            responseHeadBytes: 81_920,
            bufferBytes: 1_048_576,
          },
          connections: { ageMs: 0, keepAliveMs: 0 },
          outliers: {
            consecutiveGatewayFailures: 5,
            baseEjectionMs: 10_000,
            maxEjectionMs: 300_000,
            maxEjectedPercent: 50,
          },
          upgrades: ['websocket'],
          subsets: {},
          subsetFallback: 'none',
          routes: [
            {
              name: '/*',
              match: { path: { kind: 'prefix', value: '/' }, methods: [], headers: [], query: [] },
              to: [{ service: 'orders', subset: null, weight: 1 }],
              timeouts: null,
              retries: null,
            },
          ],
        },
      },
      accessLog: { mode: 'errors', only: [], format: 'text', template: null, fields: null, path: null },
      metrics: { aliases: [], idleMs: 600_000 },
      flights: { recent: 256, failed: 256 },
      traces: {
        isOn: true,
        isExported: false,
        batchSpans: 512,
        samplePercent: 1,
        failed: true,
        slow: true,
        propagate: ['w3c', 'b3'],
      },
      drain: { timeoutMs: 20_000, delayMs: 5000 },
      buffersBytes: 268_435_456,
      overload: {
        heap: { closeAt: 85, shedAt: 92, refuseAt: 95 },
        lag: { closeAt: 0, shedAt: 1000, refuseAt: 5000 },
        descriptors: { closeAt: 85, shedAt: 92, refuseAt: 95 },
      },
      places: { 'outbound 127.0.0.1:9101': '0.yaml:1:22' },
    })
  })
})

/** Section 6 of the design, as it stands there. */
const design = `
service: web
admin: 127.0.0.1:15000
inbound:
  - listen: 0.0.0.0:20000
    forward: 127.0.0.1:3000
outbound:
  - listen: 127.0.0.1:15001
  - listen: 127.0.0.1:9101
    service: orders
  - listen: 127.0.0.1:15006
    transparent: true
    timeouts: { head: 10s, body: 30s, idle: 5m }
    limits: { headers: 100, headBytes: 60KiB, targetBytes: 16KiB, connections: 10000 }
discovery:
  consul: { address: http://127.0.0.1:8500 }
  endpoints:
    orders: [ 127.0.0.1:9001, { address: 127.0.0.1:9002, weight: 3, zone: b, meta: { version: v2 } } ]
agent: unix:/run/outrigger/agent.sock
state: /var/lib/outrigger
workers: 1
services:
  orders:
    protocol: http
    balancer: { type: least_request }
    timeouts: { connect: 1s, request: 15s, perTry: 5s, idle: 5m }
    retries: { on: [connect-failure, refused-stream, reset-before-response], attempts: 2, budget: { percent: 20, minPerSecond: 10 } }
    limits: { connections: 10000, pending: 10000, requests: 10000 }
    outliers: { consecutiveGatewayFailures: 5, interval: 10s, baseEjection: 10s, maxEjection: 5m, maxEjectedPercent: 50 }
    health: { http: { path: /healthz, expect: [200] }, interval: 5s, timeout: 1s }
    subsets: { v1: { version: v1 }, v2: { version: v2 } }
    routes:
      - match: { path: { prefix: /api/ }, methods: [GET], headers: { x-tester: { present: true } } }
        to: [ { subset: v2, weight: 5 }, { subset: v1, weight: 95 } ]
`

describe('the example of the design', () => {
  test('is understood', async () => {
    const { snapshot } = await good(design.replace(/^ *(agent|consul):.*\n/gm, ''))
    expect(snapshot.services.orders!.health).toMatchObject({
      check: {
        kind: 'http',
        protocol: 'http/1.1',
        method: 'GET',
        path: '/healthz',
        host: 'orders',
        expect: [[200, 200]],
      },
      intervalMs: 5_000,
      noTrafficMs: 60_000,
      timeoutMs: 1_000,
      unhealthyAfter: 3,
      healthyAfter: 2,
    })
    expect(snapshot.listeners.map(({ name, service }) => [name, service])).toEqual([
      ['inbound 0.0.0.0:20000', 'local_app:3000'],
      ['outbound 127.0.0.1:15001', null],
      ['outbound 127.0.0.1:9101', 'orders'],
      ['outbound 127.0.0.1:15006', null],
    ])
    expect(snapshot.services.orders!.endpoints[1]).toEqual({
      address: '127.0.0.1',
      port: 9002,
      weight: 3,
      priority: 0,
      zone: 'b',
      metadata: { version: 'v2' },
      health: 'passing',
      healthReason: '',
    })
    expect(snapshot.services.orders!.routes).toEqual([
      {
        name: '/api/*',
        match: {
          path: { kind: 'prefix', value: '/api/' },
          methods: ['GET'],
          headers: [{ name: 'x-tester', kind: 'present', value: '' }],
          query: [],
        },
        to: [
          { service: 'orders', subset: 'v2', weight: 5 },
          { service: 'orders', subset: 'v1', weight: 95 },
        ],
        timeouts: null,
        retries: null,
      },
    ])
  })
})

describe('files', () => {
  const folder = temporaryFolder()
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }

  test('are read in order, later ones over earlier ones', async () => {
    const loaded = await loadSnapshot(
      [
        write('a.yaml', threeLines),
        write('b.yaml', 'service: web\nservices: { orders: { timeouts: { request: "${T}" } } }'),
      ],
      {
        T: '3s',
      },
    )
    expect(loaded).toMatchObject({
      ok: true,
      bootstrap: { service: 'web' },
      snapshot: { services: { orders: { timeouts: { requestMs: 3000 } } } },
    })
  })

  test('that cannot be read are all named', async () => {
    const missing = join(folder, 'missing.yaml')
    expect(await loadSnapshot([missing, folder], {})).toEqual({
      ok: false,
      errors: [
        `${missing}: there is no such file: check the path given with -c`,
        `${folder}: this is a folder: name the files in it, -c takes several`,
      ],
    })
    expect(await loadSnapshot([], {})).toMatchObject({ ok: false, errors: [expect.stringContaining('-c')] })
  })

  test('with syntax errors are told nothing more than those', async () => {
    const loaded = await loadTexts(
      [
        { file: 'a.yaml', text: 'servce: [\n' },
        { file: 'b.yaml', text: 'workers: none\n' },
      ],
      {},
    )
    expect(loaded).toMatchObject({ ok: false, errors: [expect.stringMatching(/^a.yaml:/)] })
  })
})

test('whatever a file says, there is an answer and nothing is thrown', async () => {
  const schema = schemaOf('sidecar')
  const names = new Set<string>()
  const collect = (path: string[]): void => {
    for (const key of keysOf(schemaAt(schema, path)!)) {
      names.add(key)
      if (path.length < 4) collect([...path, key])
    }
  }
  collect([])
  collect(['services', 'orders'])
  const key = fc.constantFrom('orders', 'a', 'v1', ...names)
  const leaf = fc.oneof(
    fc.constantFrom<unknown>(
      'off',
      'on',
      '5s',
      '1MiB',
      '127.0.0.1:80',
      '/x/*',
      'orders',
      '(?=a)',
      '',
      null,
      true,
      0,
      1,
      -1,
      1.5,
      1e300,
      [],
      {},
    ),
    fc.string(),
  )
  const tree = fc.letrec<{ node: unknown }>(tie => ({
    node: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      leaf,
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(key, tie('node'), { maxKeys: 4 }),
    ),
  })).node
  await fc.assert(
    fc.asyncProperty(fc.dictionary(key, tree, { maxKeys: 6 }), async document => {
      const loaded = await loadTexts([{ file: 'a.yaml', text: JSON.stringify(document) }], { a: '1' })
      if (!loaded.ok) {
        expect(loaded.errors.length).toBeGreaterThan(0)
        for (const error of loaded.errors) expect(error).toMatch(/^a\.yaml:\d+:\d+: ./)
      }
    }),
    { numRuns: 500 },
  )
})
