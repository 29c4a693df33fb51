import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type Backend, startBackend, startBackends } from './support/backend.ts'
import { temporaryFolder } from './support/child.ts'
import { type ConsulAgent, leaderOf, startCluster, startConsul } from './support/consul.ts'
import { startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

// The whole proxy against real Consul: who is in the registry gets requests, who is not does not, and what happens to
// the registry is nobody's trouble.

const NO_FAILURES = new Map()
const LONG_MS = 600_000

async function register(
  consul: ConsulAgent,
  backend: Backend,
  more: Readonly<Record<string, unknown>> = {},
  service = 'orders',
): Promise<void> {
  await consul.api('PUT', '/v1/agent/service/register', {
    Name: service,
    ID: idOf(backend, service),
    Address: '127.0.0.1',
    Port: backend.port,
    ...more,
  })
}

const idOf = ({ port }: Backend, service = 'orders') => `${service}-${port}`
const ttl = { Check: { TTL: '10m', Status: 'passing' } }

/** `[state]`: passing, warning, critical. */
async function say(consul: ConsulAgent, backend: Backend, state: string, note = ''): Promise<void> {
  await consul.api('PUT', `/v1/agent/check/update/service:${idOf(backend)}`, { Status: state, Output: note })
}

async function endpointOf(proxy: RunningProxy, { address }: Backend, service = 'orders') {
  return (await proxy.endpoints(service)).find(endpoint => endpoint.address === address)
}

const healthOf = async (proxy: RunningProxy, backend: Backend) => (await endpointOf(proxy, backend))?.health ?? 'gone'
const requestsOf = async (proxy: RunningProxy, backend: Backend) => (await endpointOf(proxy, backend))?.requests ?? 0

async function discovery(proxy: RunningProxy): Promise<string> {
  return (await proxy.admin('/endpoints?service=orders&format=text')).body
}

function sidecar(
  consul: ConsulAgent,
  port: number,
  more: Readonly<Record<string, unknown>> = {},
  ofConsul: Readonly<Record<string, unknown>> = {},
) {
  return {
    service: 'web',
    outbound: [{ listen: `127.0.0.1:${port}` }],
    discovery: { consul: { address: consul.address, services: { orders: {} }, ...ofConsul } },
    ...more,
  }
}

const toOrders = { headers: { host: 'orders' } }

describe('a mesh with three Consul servers, under 1,000 requests a second', () => {
  test(
    'instances come, warn, fail, are in maintenance and go; a leader dies; all servers die for a minute and come back empty: no request fails',
    async () => {
      const servers = await startCluster(3)
      const agent = await startConsul({
        node: 'client-1',
        servers: 0,
        join: servers.map(({ ports }) => `127.0.0.1:${ports.serfLan}`),
      })
      await agent.ready()
      const [first, second, third, ...later] = (await startBackends(5)) as [Backend, Backend, Backend, ...Backend[]]
      await register(agent, first, ttl)
      await register(agent, second, ttl)
      const port = await freePort()
      await using proxy = await startProxy(sidecar(agent, port))
      expect(proxy.out()).toContain('-> by Host: orders')
      const load = startLoad({ port, path: '/', rate: 1000, ...toOrders })
      await until(
        'both in use',
        async () => (await requestsOf(proxy, first)) > 100 && (await requestsOf(proxy, second)) > 100,
      )

      // Registered: in use.
      await register(agent, third, { ...ttl, Meta: { version: 'v2' }, Tags: ['blue'] })
      await until('the third in use', async () => (await requestsOf(proxy, third)) > 50)
      expect((await endpointOf(proxy, third))!.metadata).toMatchObject({ version: 'v2', 'tag.blue': 'true' })

      // Warning: in use, by its lower weight.
      await register(agent, third, { ...ttl, Weights: { Passing: 10, Warning: 1 } })
      await until('its weight', async () => (await endpointOf(proxy, third))!.weight === 10)
      await say(agent, third, 'warning', 'disk nearly full')
      await until('its lower weight', async () => (await endpointOf(proxy, third))!.weight === 1)
      await say(agent, third, 'passing')

      // Critical: not in use, and /endpoints says why.
      await say(agent, first, 'critical', 'cannot reach its database')
      await until('it to be critical', async () => (await healthOf(proxy, first)) === 'critical')
      const stopped = await requestsOf(proxy, first)
      await sleep(300)
      expect(await requestsOf(proxy, first)).toBe(stopped)
      expect(await discovery(proxy)).toContain('cannot reach its database')
      await say(agent, first, 'passing')
      await until('it in use again', async () => (await requestsOf(proxy, first)) > stopped)

      // Maintenance: the same.
      await agent.api('PUT', `/v1/agent/service/maintenance/${idOf(second)}?enable=true&reason=upgrade`)
      await until('it in maintenance', async () => (await healthOf(proxy, second)) === 'maintenance')
      const kept = await requestsOf(proxy, second)
      await sleep(300)
      expect(await requestsOf(proxy, second)).toBe(kept)
      expect(await discovery(proxy)).toContain('upgrade')
      await agent.api('PUT', `/v1/agent/service/maintenance/${idOf(second)}?enable=false`)
      await until('it in use again', async () => (await requestsOf(proxy, second)) > kept)

      // Deregistered: gone.
      for (const backend of later) await register(agent, backend, ttl)
      await until('all five in use', async () =>
        (await Promise.all(later.map(backend => requestsOf(proxy, backend)))).every(requests => requests > 20),
      )
      await agent.api('PUT', `/v1/agent/service/deregister/${idOf(later[0]!)}`)
      await until('it gone', async () => (await healthOf(proxy, later[0]!)) === 'gone')
      await later[0]!.stop()

      // The leader dies; the others elect one, and news still come.
      const leader = await leaderOf(servers)
      await leader.kill()
      const left = servers.filter(server => server !== leader)
      await until('another leader', async () => (await leaderOf(left)) !== leader)
      await until('news again', async () => {
        await say(agent, first, 'warning', 'after the election').catch(() => {})
        return (await discovery(proxy)).includes('after the election')
      })
      await say(agent, first, 'passing')

      // All of it is gone for a minute: everything serves on, and says so.
      for (const server of left) await server.kill()
      await agent.kill()
      const goodBefore = load.good()
      await until('that it is stale', async () => (await discovery(proxy)).includes('STALE'))
      expect((await proxy.admin('/ready')).status).toBe(200)
      expect((await proxy.admin('/ready?verbose')).body).toMatch(/warn\s+discovery\s+1 sources do not answer/)
      await sleep(60_000)
      expect((await proxy.metrics()).value('outrigger_discovery_age_seconds', { service: 'orders' })).toBeGreaterThan(
        55,
      )
      expect((await proxy.metrics()).value('outrigger_discovery_stale', { service: 'orders' })).toBe(1)
      expect(load.good()).toBeGreaterThan(goodBefore + 1_000)

      // It comes back with nothing: the index goes backwards, and nobody is registered. They still answer, so they
      // stay.
      for (const server of servers) await server.restart(false)
      await agent.restart(false)
      await agent.ready()
      await until(
        'an answer',
        async () => (await proxy.metrics()).value('outrigger_discovery_suspects', { service: 'orders' }) === 4,
      )
      expect(await discovery(proxy)).toContain('still answering')
      for (const backend of [first, second, third, later[1]!]) await register(agent, backend, ttl)
      await until(
        'that nothing is doubted',
        async () => (await proxy.metrics()).value('outrigger_discovery_suspects', { service: 'orders' }) === 0,
      )
      expect(await Promise.all([first, second, third, later[1]!].map(backend => healthOf(proxy, backend)))).toEqual([
        'passing',
        'passing',
        'passing',
        'passing',
      ])

      // A process is killed: with retries not even those under way fail, as they are GET.
      third.signal('SIGKILL')
      await until('its ejection', async () => (await endpointOf(proxy, third))?.state === 'ejected')
      const { good, failures } = await load.stop()
      expect(failures).toEqual(NO_FAILURES)
      expect(good).toBeGreaterThan(50_000)
      await Promise.all([first, second, later[1]!, agent, ...servers].map(each => each.stop()))
    },
    LONG_MS,
  )
})

describe('a cold start', () => {
  test('without Consul goes on with what was known last, kept for its owner only; without that it starts all the same', async () => {
    await using consul = await startConsul()
    await consul.ready()
    await using backend = await startBackend()
    await register(consul, backend, { Meta: { version: 'v1' } })
    await register(consul, backend, {}, 'cart')
    const state = temporaryFolder()
    const port = await freePort()
    {
      await using proxy = await startProxy(sidecar(consul, port, { state }))
      expect((await get(port, '/', { headers: { host: 'cart' } })).status).toBe(200)
      const file = join(state, 'last-known.json')
      await until('the file', () => existsSync(file) && readFileSync(file, 'utf8').includes('"cart"'))
      expect(statSync(file).mode & 0o777).toBe(0o600)
      expect(proxy.running()).toBe(true)
    }
    await consul.kill()
    await using proxy = await startProxy(sidecar(consul, port, { state }))
    expect((await get(port, '/', toOrders)).status).toBe(200)
    // Also one that no file names.
    expect((await get(port, '/', { headers: { host: 'cart' } })).status).toBe(200)
    expect(await discovery(proxy)).toMatch(/from consul: STALE, .* \(read from the disk\): 1 endpoint kept/)
    const unknown = await get(port, '/', { headers: { host: 'nix' } })
    expect([unknown.status, JSON.parse(unknown.body).flag]).toEqual([503, 'NC'])

    const fresh = await freePort()
    await using nothing = await startProxy(sidecar(consul, fresh))
    expect((await get(fresh, '/', toOrders)).status).toBe(503)
    expect(await discovery(nothing)).toContain('no answer yet')
    await consul.restart()
    await consul.ready()
    await register(consul, backend)
    await until('its endpoints', async () => (await get(fresh, '/', toOrders)).status === 200)
  })
})

describe('services on demand', () => {
  test('are looked up at their first request, and let go of when nobody asks any more', async () => {
    await using consul = await startConsul()
    await consul.ready()
    await using backend = await startBackend()
    await register(consul, backend, {}, 'cart')
    const port = await freePort()
    await using proxy = await startProxy(sidecar(consul, port, {}, { idle: '3s', services: {} }))
    const cart = { headers: { host: 'cart.service.consul' } }
    // Also by an explanation, which is that of the request.
    const explained = async (url: string) => JSON.parse((await proxy.admin(`/explain?url=${url}`)).body).record
    expect((await explained('http://cart/')).attempts[0].endpoint).toBe(backend.address)
    expect(await explained('http://nix/')).toMatchObject({ status: 404, detail: 'Consul knows no instance of "nix"' })
    expect((await get(port, '/', cart)).status).toBe(200)
    const missing = await get(port, '/', { headers: { host: 'nix' } })
    expect([missing.status, JSON.parse(missing.body).detail]).toEqual([404, 'Consul knows no instance of "nix"'])
    expect(JSON.parse((await proxy.admin('/explain?url=http://cart/')).body).record.attempts[0].endpoint).toBe(
      backend.address,
    )
    // A reload keeps it.
    proxy.write({ ...sidecar(consul, port, { flights: { recent: 10 } }, { idle: '3s', services: {} }) })
    await until('the reload', () => proxy.err().includes('is in force'))
    expect((await proxy.endpoints('cart')).map(({ requests }) => requests)).toEqual([1])
    await until('its end', async () => (await proxy.endpoints('cart')).length === 0)
    expect((await get(port, '/', cart)).status).toBe(200)
  })
})

describe('many first requests at once', () => {
  const names = Array.from({ length: 8 }, (_, i) => `real-${i}`)

  test('for services that exist, beside a scanner with made-up names: each has its own answer', async () => {
    await using consul = await startConsul()
    await consul.ready()
    await using backend = await startBackend()
    for (const name of names) await register(consul, backend, {}, name)
    const port = await freePort()
    await using proxy = await startProxy(sidecar(consul, port, {}, { services: {}, firstUse: '30s' }))
    const statusOf = async (host: string) => (await get(port, '/', { headers: { host } })).status
    // Before anything else was asked for.
    expect(
      await Promise.all([
        statusOf('real-0'),
        statusOf('real-1'),
        statusOf('nix'),
        statusOf('real-2'),
        statusOf('real-3'),
      ]),
    ).toEqual([200, 200, 404, 200, 200])
    const scan = Array.from({ length: 2_000 }, (_, i) => `made-up-${i}`)
    const all = await Promise.all(
      [...scan.slice(0, 1_000), 'real-4', 'real-5', ...scan.slice(1_000), 'real-6', 'real-7'].map(
        async host => [host, await statusOf(host)] as const,
      ),
    )
    expect(all.filter(([host, status]) => status !== (host.startsWith('real') ? 200 : 404))).toEqual([])
    expect((await proxy.admin('/metrics')).body).not.toContain('made-up')
    // Registered after it was said not to exist.
    await register(consul, backend, {}, 'nix')
    await until('it is found', async () => (await statusOf('nix')) === 200)
  })
})

describe('registration', () => {
  test('the service beside the sidecar is found by others while it serves, and out of their lists before it stops listening', async () => {
    await using consul = await startConsul()
    await consul.ready()
    await using application = await startBackend()
    const inbound = await freePort()
    const outbound = await freePort()
    await using orders = await startProxy({
      service: 'orders',
      zone: 'a',
      inbound: [{ listen: `127.0.0.1:${inbound}`, forward: application.address }],
      discovery: { consul: { address: consul.address } },
      register: {
        address: '127.0.0.1',
        tags: ['blue'],
        meta: { version: 'v7' },
        weights: { passing: 3 },
        check: { ttl: '2s' },
      },
      drain: { delay: '1s', timeout: '2s' },
    })
    await using web = await startProxy(sidecar(consul, outbound))
    const found = await until('the instance', async () => (await web.endpoints('orders'))[0])
    expect(found).toMatchObject({
      address: `127.0.0.1:${inbound}`,
      weight: 3,
      zone: 'a',
      health: 'passing',
      metadata: { version: 'v7', 'tag.blue': 'true' },
    })
    expect((await get(outbound, '/', toOrders)).status).toBe(200)
    // An agent that lost its state is told again.
    await consul.restart(false)
    await consul.ready()
    await until(
      'that it is registered anew',
      async () => ((await consul.api('GET', '/v1/health/service/orders?passing')) as unknown[]).length === 1,
    )

    const load = startLoad({ port: outbound, path: '/', rate: 200, ...toOrders, expect: 200 })
    await until('traffic', () => load.good() > 50)
    orders.signal('SIGTERM')
    await until(
      'that it is gone from Consul',
      async () => ((await consul.api('GET', '/v1/health/service/orders')) as unknown[]).length === 0,
    )
    // Whoever still has it in a list can still connect.
    expect((await get(inbound, '/')).status).toBe(200)
    expect(await orders.ended).toMatchObject({ code: 0 })
    await load.stop()
  })

  test('follows the application; sidecars with addresses of their own share a port, and port 0 is the one that was opened', async () => {
    await using consul = await startConsul()
    await consul.ready()
    const [inbound, application] = [await freePort(), await freePort()]
    const beside = (listen: string, address: string) =>
      startProxy({
        service: 'orders',
        inbound: [{ listen, forward: `localhost:${application}` }],
        discovery: { consul: { address: consul.address } },
        register: { address },
        state: temporaryFolder(),
      })
    await using _first = await beside(`127.0.0.1:${inbound}`, '127.0.0.1')
    await using _second = await beside(`127.0.0.2:${inbound}`, '127.0.0.2')
    await using _third = await beside('127.0.0.3:0', '127.0.0.3')
    type Said = {
      Service: { ID: string; Address: string; Port: number }
      Checks: { CheckID: string; Status: string; Output: string }[]
    }
    const said = async (status: string) => {
      const all = (await consul.api('GET', '/v1/health/service/orders')) as Said[]
      return all.filter(({ Checks }) =>
        Checks.some(check => check.CheckID.startsWith('service:') && check.Status === status),
      )
    }
    // Nothing listens yet.
    const critical = await until(
      'three that are critical',
      async () => ((await said('critical')).length === 3 ? await said('critical') : null),
      LONG_MS,
    )
    expect(
      critical
        .map(({ Service }) => Service.ID)
        .slice(0, 2)
        .sort(),
    ).toEqual([`orders-127.0.0.1-${inbound}`, `orders-127.0.0.2-${inbound}`])
    const opened = critical.find(({ Service }) => Service.Address === '127.0.0.3')!.Service.Port
    const server = createServer((_request, response) => void response.end('here'))
    await new Promise<void>(resolve => server.listen(application, '127.0.0.1', resolve))
    await until('all passing', async () => (await said('passing')).length === 3, LONG_MS)
    const answer = await fetch(`http://127.0.0.3:${opened}/`)
    expect(await answer.text()).toBe('here')
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
    await until('all critical again', async () => (await said('critical')).length === 3, LONG_MS)
    expect((await said('critical'))[0]!.Checks.find(({ CheckID }) => CheckID.startsWith('service:'))!.Output).toBe(
      `the application takes no connections at localhost:${application}`,
    )
  })

  test('is refused with the reason where the token may not; the sidecar serves on', async () => {
    const management = '11111111-2222-3333-4444-555555555555'
    await using consul = await startConsul({
      token: management,
      config: {
        acl: { enabled: true, default_policy: 'deny', tokens: { initial_management: management, agent: management } },
      },
    })
    await consul.ready()
    await using backend = await startBackend()
    await register(consul, backend)
    const read = (await consul.api('PUT', '/v1/acl/token', { Policies: [] })) as { SecretID: string }
    const file = join(temporaryFolder(), 'token')
    writeFileSync(file, management)
    const [inbound, outbound] = [await freePort(), await freePort()]
    await using proxy = await startProxy({
      ...sidecar(consul, outbound, {}, { tokenFile: file, wait: '2s' }),
      inbound: [{ listen: `127.0.0.1:${inbound}`, forward: backend.address }],
      register: { check: { ttl: '2s' } },
    })
    expect((await get(outbound, '/', toOrders)).status).toBe(200)
    // Who asks with a token that may see nothing is not answered before its wait is over, so this one is short.
    // Rotated to one without rights: everything serves on, and says what is wrong.
    writeFileSync(`${file}.new`, read.SecretID)
    renameSync(`${file}.new`, file)
    await until('that it says so', async () => /STALE.*(token|ACL|[Pp]ermission)/.test(await discovery(proxy)))
    expect((await get(outbound, '/', toOrders)).status).toBe(200)
    expect((await proxy.endpoints('orders')).map(({ health }) => health)).toEqual(['passing'])
    // And to a good one.
    writeFileSync(`${file}.new`, management)
    renameSync(`${file}.new`, file)
    await until('that it is fresh', async () => !(await discovery(proxy)).includes('STALE'))
    for (const text of [proxy.out(), proxy.err(), (await proxy.admin('/config')).body, (await proxy.metrics()).text]) {
      expect(text).not.toContain(management)
      expect(text).not.toContain(read.SecretID)
    }
  })
})

test('a reload may bring Consul, another Consul, or take it away', async () => {
  await using one = await startConsul()
  await using other = await startConsul()
  await Promise.all([one.ready(), other.ready()])
  const [a, b, c] = (await startBackends(3)) as [Backend, Backend, Backend]
  await register(one, a)
  await register(other, b)
  const port = await freePort()
  const fixed = {
    service: 'web',
    outbound: [{ listen: `127.0.0.1:${port}` }],
    discovery: { endpoints: { orders: [c.address] } },
  }
  await using proxy = await startProxy(fixed)
  const body = async () => (await get(port, '/', toOrders)).body.trim()
  expect(await body()).toBe(String(c.port))
  proxy.write(sidecar(one, port))
  await until('the one', async () => (await body()) === String(a.port))
  proxy.write(sidecar(other, port))
  await until('the other', async () => (await body()) === String(b.port))
  proxy.write(fixed)
  await until('the fixed one', async () => (await body()) === String(c.port))
  expect((await proxy.admin('/ready?verbose')).body).not.toContain('discovery')
  await Promise.all([a, b, c].map(each => each.stop()))
})
