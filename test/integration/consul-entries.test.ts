import { describe, expect, test } from 'vitest'
import { startAgent } from './support/agent.ts'
import { type ConsulAgent, startConsul } from './support/consul.ts'
import { startLoad } from './support/load.ts'
import { type MeshedApp, type Seen, startMeshedApp } from './support/meshed-app.ts'
import { freePort } from './support/ports.ts'
import { type Answer, get, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

// Config entries of a real Consul, followed by a sidecar through its agent, under load.

const NO_FAILURES = new Map()

const put = (consul: ConsulAgent, Kind: string, Name: string, entry: object) =>
  consul.api('PUT', '/v1/config', { Kind, Name, ...entry })

const version = (name: string) => ({ Filter: `Service.Meta.version == ${name}` })

async function seen(port: number, path = '/', headers: Readonly<Record<string, string>> = {}): Promise<Seen & Answer> {
  const answer = await get(port, path, { headers })
  const body = answer.status === 200 ? (JSON.parse(answer.body) as Seen) : { instance: '', path: '', headers: {} }
  return { ...answer, ...body, headers: { ...body.headers, ...(answer.headers as Record<string, string>) } }
}

describe('each kind of config entry, changed under load', () => {
  test('takes effect, and no request fails', async () => {
    await using consul = await startConsul()
    await consul.ready()
    await using one = await startMeshedApp(consul, 'web', 'web-1', { meta: { version: 'v1' }, tags: ['primary'] })
    await using two = await startMeshedApp(consul, 'web', 'web-2', { meta: { version: 'v2' } })
    await using admin = await startMeshedApp(consul, 'admin', 'admin-1')
    await using backup = await startMeshedApp(consul, 'backup', 'backup-1', { meta: { size: 'big' } })
    await using agent = await startAgent({ consul: { address: consul.address } })
    const port = await freePort()
    await using proxy = await startProxy({
      service: 'client',
      agent: `unix:${agent.socket}`,
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'web' }],
      discovery: { consul: { address: consul.address, services: { web: {} } } },
    })
    const load = startLoad({ port, path: '/', rate: 200 })
    const only = (app: MeshedApp) =>
      until(`only ${app.id}`, async () => {
        for (let i = 0; i < 8; i++) if ((await seen(port)).instance !== app.id) return false
        return true
      })
    const both = () =>
      until('both', async () => {
        const before = [one.count(), two.count()] as const
        await until('some', () => load.good() > 0 && one.count() + two.count() > before[0] + before[1] + 50)
        return one.count() > before[0] && two.count() > before[1]
      })
    await both()

    // service-resolver: a default subset by a filter, then another one.
    await put(consul, 'service-resolver', 'web', {
      DefaultSubset: 'v1',
      Subsets: { v1: version('v1'), v2: { Filter: '"primary" not in Service.Tags and Node.Node == "server-1"' } },
    })
    await only(one)
    await put(consul, 'service-resolver', 'web', {
      DefaultSubset: 'v2',
      Subsets: { v1: version('v1'), v2: { Filter: '"primary" not in Service.Tags and Node.Node == "server-1"' } },
    })
    await only(two)

    // service-defaults, without which Consul takes no routes; service-splitter.
    for (const name of ['web', 'admin', 'backup']) await put(consul, 'service-defaults', name, { Protocol: 'http' })
    await put(consul, 'service-splitter', 'web', {
      Splits: [
        { Weight: 100, ServiceSubset: 'v1', RequestHeaders: { Set: { 'x-split': '1' } } },
        { Weight: 0, ServiceSubset: 'v2' },
      ],
    })
    await only(one)
    expect((await seen(port)).headers).toMatchObject({ 'x-split': '1' })
    await put(consul, 'service-splitter', 'web', {
      Splits: [
        { Weight: 50.5, ServiceSubset: 'v1' },
        { Weight: 49.5, ServiceSubset: 'v2' },
      ],
    })
    await both()

    // service-router: to another service, with another path.
    await put(consul, 'service-router', 'web', {
      Routes: [
        {
          Match: { HTTP: { PathPrefix: '/admin' } },
          Destination: { Service: 'admin', PrefixRewrite: '/', ResponseHeaders: { Remove: ['x-internal'] } },
        },
      ],
    })
    const routed = await until('the route', async () => {
      const answer = await seen(port, '/admin/users?id=1')
      return answer.instance === 'admin-1' && answer
    })
    expect(routed).toMatchObject({ path: '/users?id=1', headers: { 'x-envoy-original-path': '/admin/users?id=1' } })
    expect(routed.headers).not.toHaveProperty('x-internal')
    expect((await seen(port)).headers).toHaveProperty('x-internal')
    const explained = (await proxy.admin('/explain?url=http://web/admin/users')).body
    expect(explained).toContain('path /admin/users -> /users')

    // Failover, of a subset, to another service.
    await put(consul, 'service-splitter', 'web', { Splits: [{ Weight: 100, ServiceSubset: 'v1' }] })
    await put(consul, 'service-resolver', 'backup', { Subsets: { big: { Filter: 'Service.Meta.size == big' } } })
    await put(consul, 'service-resolver', 'web', {
      Subsets: { v1: version('v1'), v2: version('v2') },
      Failover: { v1: { Targets: [{ Service: 'backup', ServiceSubset: 'big' }] } },
    })
    await only(one)
    await until('the failover to be known', async () =>
      (await proxy.endpoints('web')).some(({ address }) => address === `127.0.0.1:${backup.port}`),
    )
    await one.say('critical')
    await only(backup)
    await one.say('passing')
    await only(one)

    // A redirect; and nothing left.
    await consul.api('DELETE', '/v1/config/service-router/web')
    await consul.api('DELETE', '/v1/config/service-splitter/web')
    await put(consul, 'service-resolver', 'web', { Redirect: { Service: 'admin' } })
    await only(admin)
    await consul.api('DELETE', '/v1/config/service-resolver/web')
    await both()

    // proxy-defaults is the policy of all that say nothing else.
    await consul.api('DELETE', '/v1/config/service-defaults/web')
    await put(consul, 'proxy-defaults', 'global', { Config: { protocol: 'http' } })
    await until('the policy of all', async () =>
      (await proxy.admin('/config')).body.includes('consul proxy-defaults/global'),
    )
    const result = await load.stop()
    expect(result.failures, (await proxy.admin('/flights?failed')).body).toEqual(NO_FAILURES)
    expect(result.good).toBeGreaterThan(100)
    expect(agent.running()).toBe(true)
  })

  test('failover and a redirect to another datacenter; and how one caller calls', async () => {
    await using consul = await startConsul()
    await using away = await startConsul({
      node: 'server-2',
      datacenter: 'dc2',
      joinWan: [`127.0.0.1:${consul.ports.serfWan}`],
      config: { primary_datacenter: 'dc1' },
    })
    await Promise.all([consul.ready(), away.ready()])
    await until('dc2 to be known in dc1', async () =>
      ((await consul.api('GET', '/v1/catalog/datacenters')) as string[]).includes('dc2'),
    )
    await using here = await startMeshedApp(consul, 'web', 'web-here')
    await using there = await startMeshedApp(away, 'web', 'web-there')
    await using agent = await startAgent({ consul: { address: consul.address } })
    const port = await freePort()
    await using proxy = await startProxy({
      service: 'client',
      agent: `unix:${agent.socket}`,
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'web' }],
      discovery: { consul: { address: consul.address, services: { web: {} } } },
    })
    const only = (app: MeshedApp) =>
      until(`only ${app.id}`, async () => {
        for (let i = 0; i < 8; i++) if ((await seen(port)).instance !== app.id) return false
        return true
      })
    await only(here)
    await put(consul, 'service-resolver', 'web', { Failover: { '*': { Datacenters: ['dc2'] } } })
    await until('the other one', async () =>
      (await proxy.endpoints('web')).some(({ address }) => address === `127.0.0.1:${there.port}`),
    )
    await only(here)
    await here.say('critical')
    await only(there)
    await here.say('passing')
    await only(here)
    const load = startLoad({ port, path: '/', rate: 100 })
    await put(consul, 'service-resolver', 'web', { Redirect: { Datacenter: 'dc2' } })
    await only(there)
    await consul.api('DELETE', '/v1/config/service-resolver/web')
    await only(here)
    expect((await load.stop()).failures).toEqual(NO_FAILURES)

    // UpstreamConfig of the caller, and of another service, which does not count here.
    await put(consul, 'service-defaults', 'other', { UpstreamConfig: { Defaults: { ConnectTimeoutMs: 111 } } })
    await put(consul, 'service-defaults', 'client', {
      UpstreamConfig: {
        Defaults: { ConnectTimeoutMs: 222 },
        Overrides: [{ Name: 'web', Limits: { MaxConcurrentRequests: 1 } }],
      },
    })
    await until('what the caller says', async () => {
      const all = await Promise.all([1, 2, 3].map(() => seen(port, '/slow')))
      return (
        all
          .map(({ status }) => status)
          .sort()
          .join() === '200,503,503'
      )
    })
    const { body } = await proxy.admin('/config')
    expect(body).toContain('consul service-defaults/client')
    expect(body).not.toContain('service-defaults/other')
  })

  test('a circle that Consul would not take itself, and Consul away: what is in force stays', async () => {
    await using consul = await startConsul()
    await consul.ready()
    await using one = await startMeshedApp(consul, 'web', 'web-1', { meta: { version: 'v1' } })
    await using two = await startMeshedApp(consul, 'web', 'web-2', { meta: { version: 'v2' } })
    await using agent = await startAgent({ consul: { address: consul.address } })
    const port = await freePort()
    await using proxy = await startProxy({
      service: 'client',
      agent: `unix:${agent.socket}`,
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'web' }],
      discovery: { consul: { address: consul.address, services: { web: {} } } },
    })
    await put(consul, 'service-resolver', 'web', { DefaultSubset: 'v2', Subsets: { v2: version('v2') } })
    await until('the subset', async () => {
      for (let i = 0; i < 8; i++) if ((await seen(port)).instance !== two.id) return false
      return true
    })
    await consul.kill()
    await until('the agent to say so', () => agent.err().includes('a source of policies is in trouble'))
    const before = one.count()
    for (let i = 0; i < 20; i++) expect((await seen(port)).instance).toBe(two.id)
    expect(one.count()).toBe(before)
    expect(proxy.running()).toBe(true)
  })
})
