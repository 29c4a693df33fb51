import { afterAll, beforeAll, expect, test } from 'vitest'
import { isNodeLost } from '../../proxy/discovery/consul/health.ts'
import { type ConsulAgent, leaderOf, startCluster, startConsul } from './support/consul.ts'
import { type Followed, type Ours, ours } from './support/consul-source.ts'
import { until } from './support/until.ts'

// Three servers, a client agent on our host, and whatever can happen to them. Nothing here may lose an endpoint that is
// registered.

const LONG_MS = 600_000
let servers: ConsulAgent[]
let agent: ConsulAgent
let mesh: Ours

beforeAll(async () => {
  servers = await startCluster(3)
  agent = await startConsul({
    node: 'client-1',
    servers: 0,
    join: servers.map(({ ports }) => `127.0.0.1:${ports.serfLan}`),
  })
  await agent.ready()
  mesh = ours(agent)
}, LONG_MS)
afterAll(async () => {
  mesh[Symbol.dispose]()
  await Promise.all([agent, ...servers].map(each => each.stop()))
})

const define = (name: string, port: number, by = agent) =>
  by.api('PUT', '/v1/agent/service/register', { Name: name, ID: `${name}-${port}`, Port: port })
/** From here on each of them shows every set it says. */
async function settled(watched: readonly Followed[], expected: string): Promise<void> {
  await Promise.all(watched.map(each => each.reads(expected)))
  for (const { said } of watched) said.splice(0, said.length, expected)
}
const sets = (said: readonly string[]) => [...new Set(said.filter(line => !line.startsWith('trouble')))]

test('through a client agent, changes arrive as through a server', async () => {
  const orders = mesh.watch('client')
  await orders.reads('')
  await define('client', 9001)
  await orders.reads('9001')
  await agent.api('PUT', '/v1/agent/service/maintenance/client-9001?enable=true&reason=x')
  await orders.reads('9001 maintenance (x)')
  await agent.api('PUT', '/v1/agent/service/deregister/client-9001')
  await orders.reads('')
})

test(
  'the leader is killed and comes back: nothing is lost, and what changes afterwards arrives',
  async () => {
    await define('led', 9001)
    const watched = [mesh.watch('led'), ...servers.map(server => ours(server, { waitMs: 2_000 }).watch('led'))]
    await settled(watched, '9001')
    const leader = await leaderOf(servers)
    await leader.kill()
    await until('another leader', async () => (await leaderOf(servers.filter(server => server !== leader))) !== leader)
    await until(
      'the new leader takes writes',
      () =>
        define('led', 9002).then(() =>
          agent.api('GET', '/v1/health/service/led').then(
            all => (all as unknown[]).length === 2,
            () => false,
          ),
        ),
      300_000,
    )
    const alive = watched.filter((_, i) => servers[i - 1] !== leader)
    await Promise.all(alive.map(each => each.reads('9001, 9002')))
    await leader.restart()
    await leader.ready()
    await Promise.all(watched.map(each => each.reads('9001, 9002')))
    for (const { said } of watched) expect(sets(said)).toEqual(['9001', '9001, 9002'])
    for (const each of watched) each.stop()
  },
  LONG_MS,
)

test(
  'all servers die and come back with nothing: what was known stays, until they say what there is now',
  async () => {
    await define('lost', 9001)
    await servers[0]!.api('PUT', '/v1/catalog/register', {
      Node: 'outside',
      Address: '10.0.0.7',
      Service: { ID: 'lost-x', Service: 'lost', Port: 9009 },
    })
    const watched = [mesh.watch('lost'), ...servers.map(server => ours(server, { waitMs: 2_000 }).watch('lost'))]
    await settled(watched, '9009, 9001')
    // So that the old index is far ahead of the new one.
    for (let i = 0; i < 50; i++) await servers[0]!.api('PUT', `/v1/kv/x/${i}`, i)
    await Promise.all(servers.map(server => server.kill()))
    await until('everybody has noticed', () => watched.every(each => each.inTrouble()))
    for (const { said } of watched) expect(sets(said)).toEqual(['9009, 9001'])
    await Promise.all(servers.map(server => server.restart(false)))
    await Promise.all(servers.map(server => server.ready()))
    // What was registered in the catalog only is gone; the client agent registers again what it has. Left alone it may
    // take minutes to do so, and what is not new to it is not told at once.
    let time = 0
    await until(
      'the agent has told them',
      async () => {
        const again = { Name: 'lost', ID: 'lost-9001', Port: 9001, Meta: { time: `${time++}` } }
        await agent.api('PUT', '/v1/agent/service/register', again).catch(() => {})
        const known = await servers[0]!.api('GET', '/v1/health/service/lost').catch(() => [])
        return (known as unknown[]).length === 1
      },
      300_000,
    )
    await Promise.all(watched.map(each => each.reads('9001')))
    await define('lost', 9002)
    await Promise.all(watched.map(each => each.reads('9001, 9002')))
    for (const each of watched) each.stop()
  },
  LONG_MS,
)

test(
  'without a quorum nothing is lost, and that is said',
  async () => {
    await define('alone', 9001)
    const [survivor, ...others] = servers as [ConsulAgent, ConsulAgent, ConsulAgent]
    using patient = ours(survivor, { waitMs: 1_000, maxStaleMs: 2_000 })
    using strict = ours(survivor, { waitMs: 1_000, maxStaleMs: 0 })
    const watched = [patient.watch('alone'), strict.watch('alone')]
    await settled(watched, '9001')
    await Promise.all(others.map(server => server.kill()))
    await until('those that ask the leader have noticed', () => watched[1]!.inTrouble())
    // A sidecar that starts now takes what the survivor remembers.
    using late = ours(survivor, { waitMs: 1_000, maxStaleMs: 2_000 })
    const newcomer = late.watch('alone')
    await newcomer.reads('9001')
    await newcomer.troubled(/No cluster leader|has not answered/, 60_000)
    for (const each of [...watched, newcomer]) expect(sets(each.said)).toEqual(['9001'])
    await Promise.all(others.map(server => server.restart()))
    await until('all is well again', () => [...watched, newcomer].every(each => !each.inTrouble()))
  },
  LONG_MS,
)

test(
  'a node that nobody hears of any more is told from an instance that is ill',
  async () => {
    const far = await startConsul({ node: 'client-2', servers: 0, join: [`127.0.0.1:${agent.ports.serfLan}`] })
    await far.ready()
    await define('far', 9001, far)
    const watched = mesh.watch('far')
    await watched.reads('9001')
    await far.kill()
    await until('it is critical', () => watched.latest()?.[0]?.health === 'critical')
    const { healthReason } = watched.latest()![0]!
    expect(healthReason).toBe('node lost: client-2: Agent not live or unreachable')
    expect(isNodeLost(healthReason)).toBe(true)
    await far.restart()
    await watched.reads('9001')
    await far.stop()
  },
  LONG_MS,
)

test(
  'another datacenter is where requests go when there are too few here',
  async () => {
    const wan = servers.map(({ ports }) => `127.0.0.1:${ports.serfWan}`)
    const there = await startConsul({ node: 'server-eu', datacenter: 'eu', joinWan: wan })
    await there.ready()
    await define('spread', 9001)
    await define('spread', 9002, there)
    await until(
      'the datacenters know each other',
      () =>
        agent.api('GET', '/v1/health/service/spread?dc=eu').then(
          all => (all as unknown[]).length === 1,
          () => false,
        ),
      300_000,
    )
    const spread = mesh.watch('spread', { failover: ['eu'] })
    const only = mesh.watch('spread', { datacenter: 'eu' })
    await settled([spread], '9001, 9002 p1')
    await only.reads('9002')
    await define('spread', 9003, there)
    await spread.reads('9001, 9002 p1, 9003 p1')
    const nowhere = mesh.watch('spread', { failover: ['nowhere'] })
    await nowhere.reads('9001')
    expect(await nowhere.troubled(/./)).toMatch(/No path to datacenter/)
    await there.kill()
    await until('it is missed', () => spread.inTrouble())
    expect(sets(spread.said)).toEqual(['9001, 9002 p1', '9001, 9002 p1, 9003 p1'])
    await agent.api('PUT', '/v1/agent/service/deregister/spread-9001')
    await spread.reads('9002 p1, 9003 p1')
  },
  LONG_MS,
)
