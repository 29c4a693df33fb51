import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseRecord, type RolloutRecord } from '../../agent/rollout/record.ts'
import type { AgentStatus } from '../../agent/stats/status.ts'
import { edge, type FakeProxy, fakeProxy } from '../support/follower.ts'
import { type Agent, startAgent } from './support/agents.ts'
import { node, root, run, startChild } from './support/child.ts'
import { type ConsulAgent, startConsul } from './support/consul.ts'
import { meshCa } from './support/mesh-certificates.ts'
import { until } from './support/until.ts'

const ROLLOUT = 'rollout: { steps: [30, 60, 100], interval: 2s, minRequests: 50 }'
const PROXIES = 20

let consul: ConsulAgent
let agents: Agent[]
let proxies: FakeProxy[]
/** The timeout of the document that is bad: proxies that have it fail. */
let bad = ''
let telling: NodeJS.Timeout

const timeoutOf = (proxy: FakeProxy) => {
  const update = proxy.has.get('orders')
  const spec =
    update === undefined ? {} : (JSON.parse(update.spec.toString() || '{}') as { timeouts?: { requestMs: number } })
  return `${(spec.timeouts?.requestMs ?? 0) / 1000}s`
}
const having = (timeout: string) => proxies.filter(proxy => timeoutOf(proxy) === timeout).length

beforeAll(async () => {
  consul = await startConsul()
  await consul.ready()
  await write('1s', '')
  const ca = await meshCa()
  agents = []
  for (const address of ['127.0.0.2', '127.0.0.3']) {
    const host = { address, start: startChild }
    agents.push(await startAgent({ host, certificates: await ca.issue(address), consul: consul.address }))
  }
  proxies = Array.from({ length: PROXIES }, (_, i) =>
    fakeProxy({ socket: agents[i % 2]!.socket, proxy: `web-${i}`, service: 'web', services: ['orders'] }),
  )
  telling = setInterval(() => {
    for (const proxy of proxies)
      proxy.summary({ edges: [edge('web', 'orders', timeoutOf(proxy) === bad ? { 200: 8, 503: 12 } : { 200: 20 })] })
  }, 500)
  await until('all have the first version', () => having('1s') === PROXIES)
})
afterAll(() => {
  clearInterval(telling)
  for (const proxy of proxies) proxy.end()
})

async function write(timeout: string, rollout = ROLLOUT): Promise<void> {
  const body = `timeouts: { request: ${timeout} }\n${rollout}\n`
  const url = `${consul.address}/v1/kv/outrigger/services/orders`
  expect((await fetch(url, { method: 'PUT', body })).ok).toBe(true)
}

async function record(): Promise<RolloutRecord | null> {
  const response = await fetch(`${consul.address}/v1/kv/outrigger/rollouts/orders?raw`)
  return response.ok ? parseRecord(await response.text()) : null
}

async function status(agent: Agent): Promise<readonly AgentStatus[]> {
  const { out, err } = await run(node, [`${root}/cli/main.ts`, 'status', '--json', '-A', agent.socket])
  if (out === '') throw new Error(err)
  return (JSON.parse(out) as { agents: AgentStatus[] }).agents
}

test('a good version goes to the same share at every agent first, and then to all', async () => {
  await write('2s')
  const shares = new Set<number>()
  let words = ''
  await until('all have it', async () => {
    shares.add(having('2s'))
    if (words === '' && having('2s') > 0) words = (await status(agents[0]!))[0]!.proxies[0]!.policies[0]!.rollout
    return having('2s') === PROXIES
  })
  expect([...shares].some(share => share > 0 && share < PROXIES)).toBe(true)
  expect(words).toMatch(/^step [12] of 3: (30|60) %/)
  expect(await record()).toMatchObject({ state: 'done', step: 2 })
  for (const agent of agents) expect(agent.child.err()).toContain('a staged roll-out')
})

test('a version that fails at the first proxies is taken back, and says why', async () => {
  bad = '3s'
  await write('3s')
  let most = 0
  await until('it is taken back', async () => {
    most = Math.max(most, having('3s'))
    return (await record())?.state === 'reverted'
  })
  await until('nobody has it', () => having('2s') === PROXIES)
  expect(most).toBeGreaterThan(0)
  expect(most).toBeLessThan(PROXIES * 0.9)
  const found = await until('both agents refuse the document', async () => {
    const all = await status(agents[1]!)
    return all.length === 2 && all.every(({ refused }) => refused.length === 1) ? all : null
  })
  expect(found[0]!.refused[0]!.errors[0]).toMatch(/the roll-out was stopped: \d+\.\d\d % of \d+ requests fail with it/)
})

test('the leader is killed in the middle: the other one goes on where it stood', async () => {
  const leading = (await status(agents[0]!)).find(({ leader }) => leader)!.address
  const leader = agents.find(({ address }) => address === leading)!
  await write('4s')
  await until('the second step', async () => {
    const now = await record()
    return now?.state === 'running' && now.step === 1
  })
  leader.child.signal('SIGKILL')
  await leader.child.ended
  const others = proxies.filter((_, i) => agents[i % 2] !== leader)
  const steps: number[] = []
  await until('it is done', async () => {
    const now = (await record())!
    steps.push(now.step)
    return now.state === 'done'
  })
  expect(Math.min(...steps)).toBe(1)
  await until('all that are left have it', () => others.every(proxy => timeoutOf(proxy) === '4s'))
})
