import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agentZone, catalogNames } from '../../proxy/discovery/consul/agent.ts'
import { type ConsulAgent, startConsul } from './support/consul.ts'
import { deps, type Ours, ours } from './support/consul-source.ts'
import { until } from './support/until.ts'

// Our discovery beside a real Consul: one server, which is a whole cluster.

let consul: ConsulAgent
let mesh: Ours

beforeAll(async () => {
  consul = await startConsul({ config: { node_meta: { zone: 'zone-of-node' } } })
  await consul.ready()
  mesh = ours(consul)
})
afterAll(async () => {
  mesh[Symbol.dispose]()
  await consul.stop()
})

async function register(definition: Readonly<Record<string, unknown>>): Promise<void> {
  await consul.api('PUT', '/v1/agent/service/register?replace-existing-checks=true', definition)
}

const deregister = (id: string) => consul.api('PUT', `/v1/agent/service/deregister/${id}`)
const ttl = { Check: { TTL: '10m', Status: 'passing' } }

/** Neither a bound nor a promise: a figure for who reads the output. */
function measured(what: string, milliseconds: readonly number[]): void {
  const sorted = [...milliseconds].sort((a, b) => a - b)
  console.info(`${what}: ${Math.round(sorted[sorted.length >> 1]!)} ms, at most ${Math.round(sorted.at(-1)!)} ms`)
}

test('instances come, warn, fail, are in maintenance and go', async () => {
  const orders = mesh.watch('orders')
  await orders.reads('')
  await register({ Name: 'orders', ID: 'o1', Port: 9001, Weights: { Passing: 10, Warning: 2 }, ...ttl })
  await orders.reads('9001 x10')
  await register({ Name: 'orders', ID: 'o2', Port: 9002 })
  await orders.reads('9001 x10, 9002')
  const say = (status: string, output: string) =>
    consul.api('PUT', '/v1/agent/check/update/service:o1', { Status: status, Output: output })
  await say('warning', 'disk nearly full')
  await orders.reads("9001 x2 (warning: Service 'orders' check: disk nearly full), 9002")
  await say('critical', 'disk full\nvery')
  await orders.reads("9001 x10 critical (Service 'orders' check: disk full), 9002")
  await say('passing', '')
  await orders.reads('9001 x10, 9002')
  await consul.api('PUT', '/v1/agent/service/maintenance/o1?enable=true&reason=new+disk')
  await orders.reads('9001 x10 maintenance (new disk), 9002')
  await consul.api('PUT', '/v1/agent/service/maintenance/o1?enable=false')
  await orders.reads('9001 x10, 9002')
  await consul.api('PUT', '/v1/agent/maintenance?enable=true&reason=kernel')
  await orders.reads('9001 x10 maintenance (kernel), 9002 maintenance (kernel)')
  await consul.api('PUT', '/v1/agent/maintenance?enable=false')
  await orders.reads('9001 x10, 9002')
  await deregister('o1')
  await orders.reads('9002')
  await deregister('o2')
  await orders.reads('')
  expect(orders.said.filter(line => line.startsWith('trouble'))).toEqual([])
})

test('what is registered is there within a second, and what fails is out', async () => {
  const fast = mesh.watch('fast')
  await fast.reads('')
  const times: Record<string, number[]> = {
    'from registration to the set': [],
    'from critical to the set': [],
    'from deregistration to the set': [],
  }
  const took = async (what: string, act: () => Promise<unknown>, expected: string) => {
    const from = performance.now()
    await act()
    await fast.reads(expected)
    times[what]!.push(performance.now() - from)
    // As things are, mostly: nothing has happened for a while.
    await new Promise(done => setTimeout(done, 250))
  }
  for (let port = 9001; port <= 9010; port++) {
    await took('from registration to the set', () => register({ Name: 'fast', ID: 'f', Port: port, ...ttl }), `${port}`)
    const fail = () => consul.api('PUT', '/v1/agent/check/fail/service:f?note=x')
    await took('from critical to the set', fail, `${port} critical (Service 'fast' check: x)`)
    await took('from deregistration to the set', () => deregister('f'), '')
  }
  for (const [what, all] of Object.entries(times)) measured(what, all)
})

describe('what an instance says of itself', () => {
  test('tags and meta are metadata; zones come from it, its locality, or its node', async () => {
    await register({ Name: 'facts', ID: 'f1', Port: 9001, Tags: ['v2', 'eu'], Meta: { zone: 'own', version: '2' } })
    await register({
      Name: 'facts',
      ID: 'f2',
      Port: 9002,
      Tags: ['v2'],
      Locality: { Region: 'r', Zone: 'of-locality' },
    })
    await register({ Name: 'facts', ID: 'f3', Port: 9003 })
    const facts = mesh.watch('facts')
    await facts.reads('9001, 9002, 9003')
    expect(facts.latest()!.map(({ zone, metadata }) => [zone, metadata])).toEqual([
      ['own', { zone: 'own', version: '2', 'tag.v2': 'true', 'tag.eu': 'true' }],
      ['of-locality', { 'tag.v2': 'true' }],
      ['zone-of-node', {}],
    ])
    const tagged = mesh.watch('facts', { tags: ['v2', 'eu'] })
    await tagged.reads('9001')
    await register({ Name: 'facts', ID: 'f2', Port: 9002, Tags: ['v2', 'eu'] })
    await tagged.reads('9001, 9002')
  })

  test('addresses: its own, a tagged one, that of its node; IPv4 and IPv6', async () => {
    const TaggedAddresses = {
      lan: { Address: '10.0.0.9', Port: 9101 },
      wan: { Address: '203.0.113.9', Port: 443 },
      virtual: { Address: '2001:db8::9', Port: 9201 },
    }
    await register({ Name: 'places', ID: 'p1', Address: '2001:db8::1', Port: 9001, TaggedAddresses })
    const places = async (addressKind: 'service' | 'lan' | 'wan' | 'virtual', ports: string) => {
      const watched = mesh.watch('places', { addressKind })
      await watched.reads(ports)
      return watched.latest()!.map(({ address, port }) => `${address} ${port}`)
    }
    expect(await places('service', '9001')).toEqual(['2001:db8::1 9001'])
    expect(await places('lan', '9101')).toEqual(['10.0.0.9 9101'])
    expect(await places('wan', '443')).toEqual(['203.0.113.9 443'])
    expect(await places('virtual', '9201')).toEqual(['2001:db8::9 9201'])
    await register({ Name: 'no-address', ID: 'p2', Port: 9002 })
    const node = mesh.watch('no-address')
    await node.reads('9002')
    expect(node.latest()![0]!.address).toBe('127.0.0.1')
  })

  test('external services, of nodes without an agent, with a check or without', async () => {
    const external = (id: string, port: number, checks: readonly object[] = []) =>
      consul.api('PUT', '/v1/catalog/register', {
        Node: 'legacy',
        Address: 'legacy.example.com',
        NodeMeta: { 'external-node': 'true', zone: 'cellar' },
        Service: { ID: id, Service: 'legacy', Port: port },
        Checks: checks,
        SkipNodeUpdate: false,
      })
    await external('l1', 9001)
    const legacy = mesh.watch('legacy')
    await legacy.reads('9001')
    expect(legacy.latest()![0]).toMatchObject({ address: 'legacy.example.com', zone: 'cellar' })
    await external('l2', 9002, [
      { CheckID: 'esm', Name: 'ping', ServiceID: 'l2', Status: 'critical', Output: 'no answer' },
    ])
    await legacy.reads('9001, 9002 critical (ping: no answer)')
  })

  test('sidecars of Consul itself are no endpoints', async () => {
    await register({
      Name: 'web-sidecar-proxy',
      ID: 'wsp',
      Kind: 'connect-proxy',
      Port: 21_000,
      Proxy: { DestinationServiceName: 'web' },
    })
    const sidecars = mesh.watch('web-sidecar-proxy')
    await until('an answer', () => sidecars.latest() !== null)
    expect(sidecars.latest()).toEqual([])
  })

  test('one without a port is left out and named', async () => {
    await register({ Name: 'portless', ID: 'no-port' })
    const portless = mesh.watch('portless')
    expect(await portless.troubled(/called/)).toContain(
      'no instance of portless in Consul can be called: no-port has no port or no address',
    )
    await register({ Name: 'portless', ID: 'with-port', Port: 9001 })
    await portless.reads('9001')
    expect(mesh.log.lines()).toContain(
      'warn instances in Consul that cannot be called: no-port has no port or no address service=portless',
    )
  })

  test('a name in Consul that is not the name callers use', async () => {
    await register({ Name: 'orders_v2.internal', ID: 'alias', Port: 9001 })
    await mesh.watch('alias', { name: 'orders_v2.internal' }).reads('9001')
  })
})

test('what the agent says: its zone, how many connections it takes, the names of services', async () => {
  expect(await agentZone(mesh.client, { ...deps, log: mesh.log })).toBe('zone-of-node')
  expect(mesh.client.parking.limit()).toBe(100)
  await register({ Name: 'a-name', ID: 'a-name', Port: 1 })
  expect(await until('the name', async () => (await catalogNames(mesh.client, mesh.client.closed)).has('a-name'))).toBe(
    true,
  )
})

test('a wait that is over confirms the set', async () => {
  using patient = ours(consul, { waitMs: 300 })
  await register({ Name: 'calm', ID: 'calm', Port: 9001 })
  const calm = patient.watch('calm')
  await until('five confirmations', () => calm.said.length > 5)
  expect(new Set(calm.said)).toEqual(new Set(['9001']))
})

test('an agent that is restarted, with its data or without, is found again', async () => {
  await using other = await startConsul()
  await other.ready()
  using own = ours(other)
  const define = () => other.api('PUT', '/v1/agent/service/register', { Name: 'orders', ID: 'o1', Port: 9001 })
  await define()
  const orders = own.watch('orders')
  await orders.reads('9001')
  await other.kill()
  await orders.troubled(/refuses connections: does an agent run there\?/)
  await other.restart()
  await other.ready()
  await until('it is asked again', () => !orders.inTrouble())
  expect(new Set(orders.said.filter(line => !line.startsWith('trouble')))).toEqual(new Set(['9001']))
  await other.restart(false)
  await other.ready()
  await orders.reads('')
  await define()
  await orders.reads('9001')
}, 300_000)

test('more services than the agent takes connections for: each change arrives, and it refuses none', async () => {
  await using small = await startConsul({ config: { limits: { http_max_conns_per_client: 60 } } })
  await small.ready()
  const define = (name: string, id: string, port: number, more: object = {}) =>
    small.api('PUT', '/v1/agent/service/register', { Name: name, ID: `${name}-${id}`, Port: port, ...more })
  const names = Array.from({ length: 150 }, (_, i) => `s${i}`)
  for (const name of names) await define(name, 'a', 9001, ttl)
  using own = ours(small)
  await agentZone(own.client, { ...deps, log: own.log })
  expect(own.client.parking.limit()).toBe(30)
  const watched = names.map(name => own.watch(name))
  await Promise.all(watched.map(each => each.reads('9001')))
  const times: number[] = []
  for (let i = 0; i < names.length; i += 7) {
    const from = performance.now()
    if (i % 2 === 0) await define(names[i]!, 'b', 9002)
    else await small.api('PUT', `/v1/agent/check/fail/service:${names[i]}-a?note=x`)
    await watched[i]!.reads(i % 2 === 0 ? '9001, 9002' : `9001 critical (Service '${names[i]}' check: x)`)
    times.push(performance.now() - from)
  }
  measured('from a change to the set, with 150 services on 30 connections', times)
  expect(watched.flatMap(({ said }) => said.filter(line => line.startsWith('trouble')))).toEqual([])
})

test('when others on the host hold the connections of the agent, fewer questions wait, and all goes on', async () => {
  await using small = await startConsul({ config: { limits: { http_max_conns_per_client: 40 } } })
  await small.ready()
  const names = Array.from({ length: 30 }, (_, i) => `s${i}`)
  for (const name of names) await small.api('PUT', '/v1/agent/service/register', { Name: name, ID: name, Port: 9001 })
  // Not asked what it allows: it would be taken for 200.
  using own = ours(small)
  using others = ours(small)
  const watched = [own, others].flatMap(each => names.map(name => each.watch(name)))
  await Promise.all(watched.map(each => each.reads('9001')))
  await until('questions give way', () => own.client.parking.limit() + others.client.parking.limit() < 200)
  for (const name of names)
    await small.api('PUT', '/v1/agent/service/register', { Name: name, ID: name, Port: 9002 }).catch(() => {})
  await until(
    'every change',
    async () => {
      const late = names.filter((_, i) => watched[i]!.latest()![0]!.port !== 9002)
      // The test itself may have been refused.
      for (const name of late)
        await small.api('PUT', '/v1/agent/service/register', { Name: name, ID: name, Port: 9002 }).catch(() => {})
      return late.length === 0
    },
    300_000,
  )
}, 300_000)
