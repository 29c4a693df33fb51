import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { obtain } from '../peers/obtain.ts'
import { startAgent } from './support/agent.ts'
import { startChild, temporaryFolder } from './support/child.ts'
import { type ConsulAgent, startConsul } from './support/consul.ts'
import { type MeshedApp, type MeshedOptions, type Seen, startMeshedApp } from './support/meshed-app.ts'
import { freePort } from './support/ports.ts'
import { get, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

// The examples of Consul's pages on service-router, service-splitter and service-resolver: the same requests through a
// real Envoy that Consul drives, and through a sidecar that follows the same entries.

const UPSTREAMS = ['web', 'api', 'old', 'pay', 'shop'] as const
type Upstream = (typeof UPSTREAMS)[number]

let consul: ConsulAgent
const apps: MeshedApp[] = []
const ports: Record<'envoy' | 'ours', Record<string, number>> = { envoy: {}, ours: {} }
const running: AsyncDisposable[] = []

async function app(service: string, id: string, options: MeshedOptions = {}): Promise<MeshedApp> {
  const started = await startMeshedApp(consul, service, id, options)
  apps.push(started)
  running.push(started)
  return started
}

const put = (Kind: string, Name: string, entry: object) => consul.api('PUT', '/v1/config', { Kind, Name, ...entry })

async function startEnvoyOfConsul(): Promise<void> {
  const [consulBinary, envoyBinary] = [await obtain('consul'), await obtain('envoy')]
  const adminPort = await freePort()
  for (const upstream of UPSTREAMS) ports.envoy[upstream] = await freePort()
  await consul.api('PUT', '/v1/agent/service/register', {
    Name: 'client',
    ID: 'client-1',
    Port: await freePort(),
    Connect: {
      SidecarService: {
        Port: await freePort(),
        Proxy: {
          Upstreams: UPSTREAMS.map(name => ({ DestinationName: name, LocalBindPort: ports.envoy[name] })),
        },
      },
    },
  })
  const { stdout, stderr, status } = spawnSync(
    consulBinary,
    [
      ...['connect', 'envoy', '-bootstrap', '-sidecar-for', 'client-1', '-ignore-envoy-compatibility'],
      ...['-http-addr', consul.address, '-grpc-addr', `http://127.0.0.1:${consul.ports.grpc}`],
      ...['-admin-bind', `127.0.0.1:${adminPort}`, '-envoy-binary', envoyBinary],
    ],
    { encoding: 'utf8' },
  )
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
  const file = join(temporaryFolder(), 'bootstrap.json')
  writeFileSync(file, stdout)
  running.push(startChild(envoyBinary, ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'warn']))
}

/** What a caller can tell. */
interface Outcome {
  readonly status: number
  readonly instance: string
  readonly path: string
  readonly request: Readonly<Record<string, string | undefined>>
  readonly response: Readonly<Record<string, string | undefined>>
}

/** Headers that entries of this test edit. */
const REQUEST = ['x-added', 'x-set', 'x-removed', 'x-split', 'x-envoy-original-path'] as const
const RESPONSE = ['x-internal', 'x-answer', 'x-app'] as const

interface Asked {
  readonly upstream: Upstream
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

async function ask(through: 'envoy' | 'ours', { upstream, path = '/', method, headers = {} }: Asked): Promise<Outcome> {
  const answer = await get(ports[through][upstream]!, path, { ...(method === undefined ? {} : { method }), headers })
  const seen: Seen = answer.body.startsWith('{"instance"')
    ? (JSON.parse(answer.body) as Seen)
    : { instance: '', path: '', headers: {} }
  const pick = (names: readonly string[], from: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(names.map(name => [name, from[name] as string | undefined]))
  return {
    status: answer.status,
    instance: seen.instance,
    path: seen.path,
    request: pick(REQUEST, seen.headers),
    response: pick(RESPONSE, answer.headers),
  }
}

beforeAll(async () => {
  consul = await startConsul({ grpc: true })
  running.push(consul)
  await consul.ready()
  await app('web', 'web-1', { meta: { version: 'v1' } })
  await app('web', 'web-2', { meta: { version: 'v2' }, tags: ['canary'] })
  await app('admin', 'admin-1')
  await app('coffees', 'coffees-1')
  await app('flaky', 'flaky-1', { fails: { status: 503, times: 1_000_000 } })
  await app('api', 'api-1', { meta: { version: '1' } })
  await app('api', 'api-2', { meta: { version: '2' } })
  await app('pay', 'pay-1')
  await app('pay-backup', 'pay-backup-1', { meta: { tier: 'gold' } })
  await app('shop', 'shop-1')
  for (const name of [...UPSTREAMS, 'admin', 'coffees', 'flaky', 'pay-backup', 'shop-split'])
    await put('service-defaults', name, { Protocol: 'http' })

  await put('service-resolver', 'web', {
    DefaultSubset: 'v1',
    Subsets: {
      v1: { Filter: 'Service.Meta.version == v1' },
      v2: { Filter: 'Service.Meta.version == v2 and "canary" in Service.Tags', OnlyPassing: true },
    },
  })
  await put('service-router', 'web', {
    Routes: [
      { Match: { HTTP: { PathPrefix: '/admin' } }, Destination: { Service: 'admin' } },
      {
        Match: { HTTP: { Header: [{ Name: 'x-debug', Exact: '1' }] } },
        Destination: { Service: 'web', ServiceSubset: 'v2' },
      },
      {
        Match: { HTTP: { QueryParam: [{ Name: 'x-debug', Exact: '1' }] } },
        Destination: { Service: 'web', ServiceSubset: 'v2' },
      },
      {
        Match: { HTTP: { PathPrefix: '/Coffees', CaseInsensitive: true } },
        Destination: { Service: 'coffees', PrefixRewrite: '/' },
      },
      {
        Match: { HTTP: { PathPrefix: '/v2/coffees', Methods: ['GET', 'PUT'] } },
        Destination: { Service: 'coffees', PrefixRewrite: '/api' },
      },
      { Match: { HTTP: { PathExact: '/exact' } }, Destination: { Service: 'admin', PrefixRewrite: '/replaced' } },
      { Match: { HTTP: { PathRegex: '/item/[0-9]+' } }, Destination: { Service: 'admin' } },
      {
        Match: { HTTP: { PathPrefix: '/inverted', Header: [{ Name: 'x-kind', Prefix: 'a', Invert: true }] } },
        Destination: { Service: 'admin' },
      },
      {
        Match: { HTTP: { PathPrefix: '/absent', Header: [{ Name: 'x-kind', Present: true, Invert: true }] } },
        Destination: { Service: 'admin' },
      },
      {
        Match: { HTTP: { PathPrefix: '/ends', Header: [{ Name: 'x-kind', Suffix: 'z' }] } },
        Destination: { Service: 'admin' },
      },
      {
        Match: { HTTP: { PathPrefix: '/edited' } },
        Destination: {
          RequestHeaders: { Add: { 'x-added': 'two' }, Set: { 'x-set': '100%%' }, Remove: ['x-removed'] },
          ResponseHeaders: { Set: { 'x-answer': 'yes' }, Remove: ['x-internal'] },
        },
      },
      { Match: { HTTP: { PathPrefix: '/slow' } }, Destination: { RequestTimeout: '200ms' } },
      {
        Match: { HTTP: { PathPrefix: '/flaky' } },
        Destination: { Service: 'flaky', NumRetries: 3, RetryOnStatusCodes: [503] },
      },
    ],
  })
  await put('service-resolver', 'api', {
    Subsets: { one: { Filter: 'Service.Meta.version == 1' }, two: { Filter: 'Service.Meta.version == 2' } },
  })
  await put('service-splitter', 'api', {
    Splits: [
      { Weight: 75, ServiceSubset: 'one', RequestHeaders: { Set: { 'x-split': 'one' } } },
      { Weight: 25, ServiceSubset: 'two', ResponseHeaders: { Set: { 'x-answer': 'two' } } },
    ],
  })
  await put('service-resolver', 'old', { Redirect: { Service: 'web', ServiceSubset: 'v2' } })
  await put('service-resolver', 'pay-backup', { Subsets: { gold: { Filter: 'Service.Meta.tier == gold' } } })
  await put('service-resolver', 'pay', {
    Failover: { '*': { Targets: [{ Service: 'pay-backup', ServiceSubset: 'gold' }] } },
  })
  await put('service-splitter', 'shop-split', {
    Splits: [
      { Weight: 50, Service: 'api' },
      { Weight: 50, Service: 'admin' },
    ],
  })
  await put('service-router', 'shop', {
    Routes: [{ Match: { HTTP: { PathPrefix: '/split' } }, Destination: { Service: 'shop-split' } }],
  })

  await startEnvoyOfConsul()
  const agent = await startAgent({ consul: { address: consul.address } })
  running.push(agent)
  for (const upstream of UPSTREAMS) ports.ours[upstream] = await freePort()
  running.push(
    await startProxy({
      service: 'client',
      agent: `unix:${agent.socket}`,
      outbound: UPSTREAMS.map(service => ({ listen: `127.0.0.1:${ports.ours[service]}`, service })),
      discovery: {
        consul: { address: consul.address, services: Object.fromEntries(UPSTREAMS.map(name => [name, {}])) },
      },
    }),
  )
  for (const through of ['envoy', 'ours'] as const)
    for (const [upstream, path, instance] of [
      ['web', '/admin', 'admin-1'],
      ['old', '/', 'web-2'],
      ['pay', '/', 'pay-1'],
      ['shop', '/', 'shop-1'],
    ] as const)
      await until(`${through} to know ${upstream}`, async () => {
        const answer = await ask(through, { upstream, path }).catch(() => null)
        return answer?.instance === instance
      })
})

afterAll(async () => {
  for (const each of running.reverse()) await each[Symbol.asyncDispose]()
})

const requests: readonly (readonly [what: string, asked: Asked, instance: string])[] = [
  ['anything else goes to the default subset', { upstream: 'web', path: '/other?a=b' }, 'web-1'],
  ['a path prefix', { upstream: 'web', path: '/admin/users' }, 'admin-1'],
  ['a path prefix is no segment', { upstream: 'web', path: '/administration' }, 'admin-1'],
  ['a header', { upstream: 'web', headers: { 'x-debug': '1' } }, 'web-2'],
  ['another value of it', { upstream: 'web', headers: { 'x-debug': '2' } }, 'web-1'],
  ['a query parameter', { upstream: 'web', path: '/?x-debug=1' }, 'web-2'],
  ['a prefix in any case, and / in its place', { upstream: 'web', path: '/cOFFEES/latte?size=1' }, 'coffees-1'],
  ['the prefix alone', { upstream: 'web', path: '/coffees' }, 'coffees-1'],
  ['the prefix in the middle of a segment', { upstream: 'web', path: '/coffeesX' }, 'coffees-1'],
  ['methods and a rewrite', { upstream: 'web', path: '/v2/coffees/1', method: 'PUT' }, 'coffees-1'],
  ['another method', { upstream: 'web', path: '/v2/coffees/1', method: 'DELETE' }, 'web-1'],
  ['an exact path, replaced', { upstream: 'web', path: '/exact?q=1' }, 'admin-1'],
  ['nearly that', { upstream: 'web', path: '/exact/' }, 'web-1'],
  ['an expression', { upstream: 'web', path: '/item/12' }, 'admin-1'],
  ['an expression matches the whole path', { upstream: 'web', path: '/item/12x' }, 'web-1'],
  [
    'an inverted prefix of another value',
    { upstream: 'web', path: '/inverted', headers: { 'x-kind': 'b' } },
    'admin-1',
  ],
  ['an inverted prefix that is there', { upstream: 'web', path: '/inverted', headers: { 'x-kind': 'ab' } }, 'web-1'],
  ['an inverted prefix of nothing', { upstream: 'web', path: '/inverted' }, 'web-1'],
  ['a header that must not be there, and is not', { upstream: 'web', path: '/absent' }, 'admin-1'],
  [
    'a header that must not be there, and is',
    { upstream: 'web', path: '/absent', headers: { 'x-kind': 'a' } },
    'web-1',
  ],
  ['a suffix', { upstream: 'web', path: '/ends', headers: { 'x-kind': 'a-z' } }, 'admin-1'],
  [
    'headers added, set and removed',
    { upstream: 'web', path: '/edited', headers: { 'x-added': 'one', 'x-set': 'old', 'x-removed': 'x' } },
    'web-1',
  ],
  ['headers where there were none', { upstream: 'web', path: '/edited' }, 'web-1'],
  ['a time limit', { upstream: 'web', path: '/slow' }, ''],
  ['a redirect to a subset', { upstream: 'old', path: '/x' }, 'web-2'],
  ['a service without a failure', { upstream: 'pay' }, 'pay-1'],
  ['what no route of a router takes', { upstream: 'shop', path: '/else' }, 'shop-1'],
]

describe('the same requests through Envoy under Consul, and through us', () => {
  test.each(requests)('%s', async (_what, asked, instance) => {
    const [envoy, ours] = [await ask('envoy', asked), await ask('ours', asked)]
    expect(ours).toEqual(envoy)
    expect(ours.instance).toBe(instance)
  })

  test('a status that is tried again is tried as often', async () => {
    const flaky = apps.find(({ id }) => id === 'flaky-1')!
    const tries = async (through: 'envoy' | 'ours') => {
      const before = flaky.count()
      const { status } = await ask(through, { upstream: 'web', path: '/flaky' })
      return { status, tries: flaky.count() - before }
    }
    expect([await tries('envoy'), await tries('ours')]).toEqual([
      { status: 503, tries: 4 },
      { status: 503, tries: 4 },
    ])
  })

  const shares = async (through: 'envoy' | 'ours', asked: Asked) => {
    const counts: Record<string, number> = {}
    const edits = new Set<string>()
    for (let i = 0; i < 400; i++) {
      const { instance, request, response } = await ask(through, asked)
      counts[instance] = (counts[instance] ?? 0) + 1
      edits.add(`${instance} ${request['x-split'] ?? '-'} ${response['x-answer'] ?? '-'}`)
    }
    return { counts, edits: [...edits].sort() }
  }

  test('a split: shares, and what each destination edits', async () => {
    const [envoy, ours] = [await shares('envoy', { upstream: 'api' }), await shares('ours', { upstream: 'api' })]
    expect(ours.edits).toEqual(envoy.edits)
    for (const { counts } of [envoy, ours]) expect(Math.abs(counts['api-2']! - 100)).toBeLessThan(50)
  })

  test('a route to a split within a split', async () => {
    const asked: Asked = { upstream: 'shop', path: '/split' }
    const [envoy, ours] = [await shares('envoy', asked), await shares('ours', asked)]
    expect(Object.keys(ours.counts).sort()).toEqual(Object.keys(envoy.counts).sort())
    for (const { counts } of [envoy, ours]) {
      expect(Math.abs(counts['admin-1']! - 200)).toBeLessThan(60)
      expect(Math.abs(counts['api-2']! - 50)).toBeLessThan(40)
    }
  })

  test('failover when the last healthy instance is gone, and back', async () => {
    const pay = apps.find(({ id }) => id === 'pay-1')!
    const both = (instance: string) =>
      until(`both at ${instance}`, async () => {
        const all = [await ask('envoy', { upstream: 'pay' }), await ask('ours', { upstream: 'pay' })]
        return all.every(answer => answer.instance === instance)
      })
    await pay.say('critical')
    await both('pay-backup-1')
    await pay.say('passing')
    await both('pay-1')
  })
})
