import { afterEach, describe, expect, test } from 'vitest'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import type { Snapshot } from '../../mesh-config/snapshot.ts'

async function snapshotOf(text: string): Promise<Snapshot> {
  const loaded = await loadTexts([{ file: 'a.yaml', text }], {})
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded.snapshot
}

function withOrders(policy: string): Promise<Snapshot> {
  return snapshotOf(`
outbound: [{ listen: 127.0.0.1:9101 }]
discovery: { endpoints: { orders: [127.0.0.1:9001], stock: [127.0.0.1:9002] } }
services:
  orders:
${policy.replace(/^/gm, '    ')}
`)
}

describe('an application behind an inbound listener', () => {
  test('is a service with one endpoint: no timeout of ours, one try, never ejected', async () => {
    const { services, listeners } = await snapshotOf('inbound: [{ listen: 0.0.0.0:20000, forward: 127.0.0.1:3000 }]')
    expect(listeners[0]).toMatchObject({ name: 'inbound 0.0.0.0:20000', service: 'local_app:3000' })
    expect(listeners[0]!.timeouts.connectionAgeMs).toBe(1_800_000)
    expect(services['local_app:3000']).toMatchObject({
      kind: 'local',
      endpoints: [{ address: '127.0.0.1', port: 3000 }],
      protocol: 'http',
      timeouts: { connectMs: 1000, requestMs: 0, perTryMs: 0, idleMs: 300_000 },
      retries: { attempts: 1 },
      outliers: { consecutiveGatewayFailures: 0 },
      limits: { connections: 10_000, pending: 10_000, requests: 10_000 },
    })
  })

  test('can be given limits and timeouts', async () => {
    const { services } = await snapshotOf(
      'inbound: [{ listen: 0.0.0.0:1, forward: app:3000, application: { timeouts: { request: 5s }, limits: { requests: 50 } } }]',
    )
    expect(services['local_app:3000']).toMatchObject({
      timeouts: { requestMs: 5000 },
      limits: { requests: 50, pending: 10_000 },
    })
  })

  test.each(['http', 'http2', 'grpc'])('can be said to speak %s', async protocol => {
    const { services } = await snapshotOf(
      `inbound: [{ listen: 0.0.0.0:1, forward: app:3000, application: { protocol: ${protocol} } }]`,
    )
    expect(services['local_app:3000']).toMatchObject({ protocol })
  })

  test('is one service for several listeners, and two when only the ports are the same', async () => {
    const { listeners, services } = await snapshotOf(`inbound:
  - { listen: 0.0.0.0:1, forward: 127.0.0.1:3000 }
  - { listen: 0.0.0.0:2, forward: 127.0.0.1:3000 }
  - { listen: 0.0.0.0:3, forward: "[::1]:3000" }
`)
    expect(listeners.map(({ service }) => service)).toEqual([
      'local_app:3000',
      'local_app:3000',
      'local_app:[::1]:3000',
    ])
    expect(Object.keys(services)).toEqual(['local_app:3000', 'local_app:[::1]:3000'])
    expect(services['local_app:[::1]:3000']!.endpoints[0]!.address).toBe('::1')
  })
})

describe('listeners', () => {
  test('have names that stay, also when the system chooses the port', async () => {
    const { listeners } = await snapshotOf(
      'outbound: [{ listen: 127.0.0.1:0 }, { listen: 127.0.0.1:0 }, { listen: localhost:0 }]',
    )
    expect(listeners.map(({ name }) => name)).toEqual([
      'outbound 127.0.0.1:0',
      'outbound 127.0.0.1:0 #2',
      'outbound 127.0.0.1:0 #3',
    ])
  })

  test('may have no admin port beside them', async () => {
    expect(await loadTexts([{ file: 'a', text: 'admin: off\noutbound: [{ listen: 127.0.0.1:1 }]' }], {})).toMatchObject(
      {
        ok: true,
        bootstrap: { admin: null },
      },
    )
  })
})

describe('the state folder', () => {
  const given = { ...process.env }
  afterEach(() => {
    for (const name of ['STATE_DIRECTORY', 'XDG_STATE_HOME']) {
      if (given[name] === undefined) delete process.env[name]
      else process.env[name] = given[name]
    }
  })
  const folder = async (env: Record<string, string>, more = '') => {
    for (const name of ['STATE_DIRECTORY', 'XDG_STATE_HOME']) delete process.env[name]
    Object.assign(process.env, env)
    const loaded = await loadTexts(
      [{ file: 'a', text: `${more}service: web\noutbound: [{ listen: 127.0.0.1:8080 }]` }],
      {},
    )
    return loaded.ok ? loaded.bootstrap.state : loaded.errors
  }

  test('is that of the files, else that of systemd, else that of the user; in it each sidecar has its own', async () => {
    const both = { STATE_DIRECTORY: '/var/lib/outrigger:/var/lib/second', XDG_STATE_HOME: '/home/me/.state' }
    expect(await folder(both, 'state: /mine\n')).toBe('/mine')
    expect(await folder(both)).toBe('/var/lib/outrigger/web-8080')
    expect(await folder({ XDG_STATE_HOME: '/home/me/.state' })).toBe('/home/me/.state/outrigger/web-8080')
    expect(await folder({})).toMatch(/\/\.local\/state\/outrigger\/web-8080$/)
    expect(await folder(both, 'state: off\n')).toBeNull()
  })
})

describe('addresses', () => {
  test('are known by where the files have them', async () => {
    const { places } = await snapshotOf(
      'admin: 127.0.0.1:15000\ninbound: [{ listen: 127.0.0.1:1, forward: 127.0.0.1:9 }]\noutbound:\n  - listen: 127.0.0.1:2\n',
    )
    expect(places).toEqual({
      admin: 'a.yaml:1:8',
      'inbound 127.0.0.1:1': 'a.yaml:2:21',
      'outbound 127.0.0.1:2': 'a.yaml:4:13',
    })
  })

  test('that stand elsewhere in the files make no other version', async () => {
    const text = 'outbound: [{ listen: 127.0.0.1:2 }]\n'
    expect((await snapshotOf(`# a comment\n${text}`)).version).toBe((await snapshotOf(text)).version)
  })
})

describe('routes', () => {
  test('have paths, short and long, and are called as they were written', async () => {
    const { services } = await withOrders(`routes:
  - match: { path: /a }
  - match: { path: /a/* }
  - match: { path: { exact: /b } }
  - match: { path: { prefix: /c } }
  - match: { path: { regex: "/d[0-9]+" } }
  - { name: rest, match: {} }
`)
    expect(services.orders!.routes.map(({ name, match }) => [name, match.path.kind, match.path.value])).toEqual([
      ['/a', 'exact', '/a'],
      ['/a/*', 'prefix', '/a/'],
      ['/b', 'exact', '/b'],
      ['/c*', 'prefix', '/c'],
      ['/d[0-9]+', 'regex', '/d[0-9]+'],
      ['rest', 'prefix', '/'],
    ])
  })

  test('match headers without regard to case, query parameters with', async () => {
    const { services } = await withOrders(`routes:
  - match:
      headers: { X-A: one, x-b: { prefix: p }, x-c: { suffix: s }, x-d: { contains: c }, x-e: { regex: "r+" }, x-f: { present: true }, x-g: { present: false } }
      query: { Q: { exact: "" } }
`)
    const { headers, query } = services.orders!.routes[0]!.match
    expect(headers.map(({ name, kind, value }) => `${name} ${kind} ${value}`)).toEqual([
      'x-a exact one',
      'x-b prefix p',
      'x-c suffix s',
      'x-d contains c',
      'x-e regex r+',
      'x-f present ',
      'x-g absent ',
    ])
    expect(query).toEqual([{ name: 'Q', kind: 'exact', value: '' }])
  })

  test('override timeouts and retries of the service one by one, but for connections and the budget, which all share', async () => {
    const { services } = await withOrders(`timeouts: { request: 10s, perTry: 2s }
retries: { attempts: 3, budget: { percent: 5 } }
routes:
  - { match: { path: /slow }, timeouts: { request: off } }
  - { match: { path: /once }, retries: { attempts: 1 }, to: [{ service: stock }] }
`)
    const [slow, once] = services.orders!.routes
    expect(slow).toMatchObject({
      timeouts: { requestMs: 0, perTryMs: 2000, idleMs: 300_000 },
      retries: null,
    })
    expect(slow!.timeouts).not.toHaveProperty('connectMs')
    expect(once).toMatchObject({ timeouts: null, retries: { attempts: 1, replayBytes: 65_536 } })
    expect(once!.retries).not.toHaveProperty('budget')
    expect(once!.to).toEqual([{ service: 'stock', subset: null, weight: 1 }])
  })
})

describe('a snapshot', () => {
  test('is frozen to the last value, and plain data', async () => {
    const snapshot = await withOrders('subsets: { v1: { version: v1 } }')
    expect(structuredClone(snapshot)).toEqual(snapshot)
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      expect(Object.isFrozen(value)).toBe(true)
      for (const inner of Object.values(value)) visit(inner)
    }
    visit(snapshot)
  })

  test('has a version that says what is in it, not how it was written', async () => {
    const one = await withOrders('timeouts: { request: 60s, idle: 5m }\nhosts: [a.example.com]')
    const same = await withOrders('hosts: [a.example.com]\ntimeouts: { idle: 300s, request: 1m }\n# a comment')
    const other = await withOrders('hosts: [a.example.com]\ntimeouts: { request: 61s }')
    expect(one.version).toBe(same.version)
    expect(one.version).not.toBe(other.version)
  })
})

describe('CONNECT', () => {
  test('is refused where nothing is said of it', async () => {
    const { listeners } = await snapshotOf('outbound: [{ listen: 127.0.0.1:15001 }]')
    expect(listeners[0]!.connect).toBeNull()
  })

  test('leads to services, and to hosts, each of which is a service of its own', async () => {
    const { listeners, services } = await snapshotOf(
      'outbound: [{ listen: 127.0.0.1:15001, connect: { hosts: [API.example.com:443, "[::1]:8080"] } }, { listen: 127.0.0.1:15002, connect: { services: false } }]',
    )
    expect(listeners.map(({ connect }) => connect)).toEqual([
      { services: true, hosts: ['api.example.com:443', '[::1]:8080'] },
      { services: false, hosts: [] },
    ])
    expect(Object.keys(services)).toEqual(['connect:api.example.com:443', 'connect:[::1]:8080'])
    expect(services['connect:[::1]:8080']).toMatchObject({
      kind: 'connect',
      hosts: [],
      endpoints: [{ address: '::1', port: 8080 }],
      timeouts: { tunnelMs: 3_600_000 },
    })
  })
})
