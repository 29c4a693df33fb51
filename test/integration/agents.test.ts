import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AgentStatus } from '../../agent/stats/status.ts'
import { edge, type FakeProxy, fakeProxy } from '../support/follower.ts'
import { type Agent, startAgent } from './support/agents.ts'
import { node, root, run } from './support/child.ts'
import { type CertificateFiles, meshCa } from './support/mesh-certificates.ts'
import { type Host, type TwoHosts, twoHosts } from './support/two-hosts.ts'
import { until } from './support/until.ts'

const main = join(root, 'cli/main.ts')

let two: TwoHosts
let agents: [Agent, Agent]
let proxies: FakeProxy[]
let ours: CertificateFiles
let stranger: CertificateFiles

beforeAll(async () => {
  two = await twoHosts()
  const ca = await meshCa()
  stranger = await (await meshCa()).issue(two.hosts[0].address)
  const make = (host: Host, certificates: CertificateFiles) =>
    startAgent({
      host,
      certificates,
      consul: two.consul,
      more: 'policies: { order: [files] }',
      documents: { orders: 'retries: { attempts: 3 }' },
    })
  ours = await ca.issue(two.hosts[0].address)
  agents = [await make(two.hosts[0], ours), await make(two.hosts[1], await ca.issue(two.hosts[1].address))]
  proxies = agents.map(({ socket }, i) =>
    fakeProxy({ socket, proxy: `web-${i}`, service: 'web', services: ['orders'] }),
  )
})
afterAll(() => {
  for (const proxy of proxies) proxy.end()
})

async function status(
  at: Agent,
): Promise<{ agents: AgentStatus[]; code: number | null; summary: { isGood: boolean } }> {
  const { code, out, err } = await run(node, [main, 'status', '--json', '-A', at.socket])
  if (out === '') throw new Error(err)
  return { ...JSON.parse(out), code }
}

/** Answers of both, once `found` says that they will do. */
async function settled(at: Agent, found: (agents: AgentStatus[]) => boolean) {
  let last: Awaited<ReturnType<typeof status>> | null = null
  return await until('the mesh is as it should be', async () => {
    last = await status(at)
    return found(last.agents) ? last : null
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(last)}\n${agents.map(({ child }) => child.err()).join('\n')}`)
  })
}

test('status at either agent shows both, with their proxies and policies, and one leader', async () => {
  for (const agent of agents) {
    const {
      agents: found,
      code,
      summary,
    } = await settled(
      agent,
      all =>
        all.length === 2 &&
        all.every(({ trouble, proxies: own }) => trouble === '' && own.length === 1) &&
        all.filter(({ leader }) => leader).length === 1 &&
        all.every(({ proxies: own }) => own[0]!.policies[0]?.has !== ''),
    )
    expect(code).toBe(0)
    expect(summary.isGood).toBe(true)
    expect(found.map(({ address }) => address).sort()).toEqual(agents.map(({ address }) => address).sort())
    expect(found.flatMap(({ proxies: own }) => own.map(({ proxy }) => proxy)).sort()).toEqual(['web-0', 'web-1'])
    for (const { proxies: own } of found) {
      const [policy] = own[0]!.policies
      expect(policy).toMatchObject({ service: 'orders', reasons: [], staleMs: 0 })
      expect(policy!.has).toBe(policy!.wanted)
    }
  }
  expect(two.isolated).toBe(process.getuid?.() === 0)
})

test('top at either agent adds up what the proxies of both tell', async () => {
  const telling = setInterval(() => {
    proxies[0]!.summary({
      edges: [edge('web', 'orders', { 200: 9, 503: 1 })],
      endpoints: [{ service: 'orders', endpoint: '10.9.9.9:80', state: 'ejected', requests: 10, failures: 1 }],
    })
    proxies[1]!.summary({
      edges: [edge('web', 'orders', { 200: 30 })],
      endpoints: [{ service: 'orders', endpoint: '10.9.9.9:80', state: 'admitting', requests: 30 }],
    })
  }, 1000)
  try {
    for (const agent of agents) {
      const found = await until('both are in it', async () => {
        const { out } = await run(node, [main, 'top', '--once', '--json', '--seconds', '3', '-A', agent.socket])
        const { services, endpoints } = JSON.parse(out)
        return endpoints[0]?.proxies === 2 && services[0]?.perSecond > 35 ? { services, endpoints } : null
      })
      expect(found.services).toHaveLength(1)
      expect(found.services[0]).toMatchObject({ service: 'orders', callers: ['web'] })
      expect(found.services[0].success).toBeGreaterThan(0.95)
      expect(found.services[0].success).toBeLessThan(1)
      expect(found.endpoints).toMatchObject([{ endpoint: '10.9.9.9:80', ejected: 1, proxies: 2 }])
    }
  } finally {
    clearInterval(telling)
  }
})

test('an agent that stands still holds nothing up: it is shown as it was, with the trouble and its age', async () => {
  const [first, second] = agents
  await settled(first, all => all.length === 2 && all.every(({ trouble }) => trouble === ''))
  second.child.signal('SIGSTOP')
  try {
    const { agents: found, code } = await settled(first, all => all.some(({ trouble }) => trouble !== ''))
    const lost = found.find(({ address }) => address === second.address)!
    expect(lost.trouble).toContain('no answer within 2 s')
    expect(lost.ageMs).toBeGreaterThan(0)
    expect(lost.proxies.map(({ proxy }) => proxy)).toEqual(['web-1'])
    expect(code).toBe(3)
  } finally {
    second.child.signal('SIGCONT')
  }
  await settled(first, all => all.every(({ trouble }) => trouble === ''))
})

test('the leader is killed: the other one leads, and the killed one leads no more when it is back', async () => {
  const all = (await settled(agents[0], found => found.filter(({ leader }) => leader).length === 1)).agents
  const leading = all.find(({ leader }) => leader)!.address
  const [leader, other] = agents[0].address === leading ? agents : [agents[1], agents[0]]
  leader.child.signal('SIGKILL')
  await leader.child.ended
  const { agents: found } = await settled(
    other,
    now => now.length === 2 && now.some(({ address, leader: leads }) => leads && address === other.address),
  )
  expect(found.find(({ address }) => address === leader.address)!.trouble).not.toBe('')
  await leader.start()
  const back = await settled(other, now => now.length === 2 && now.every(({ trouble }) => trouble === ''))
  expect(back.agents.filter(({ leader: leads }) => leads).map(({ address }) => address)).toEqual([other.address])
})

test('an agent without a certificate of the mesh is not heard', async () => {
  const script = `
    import { credentials } from '@grpc/grpc-js'
    import { readFileSync } from 'node:fs'
    import { grpcService } from '${join(root, 'agent/sync/protos.ts')}'
    const [address, ca, key, cert] = process.argv.slice(1)
    const read = file => readFileSync(file)
    const client = new (grpcService('Mesh'))(address, credentials.createSsl(read(ca), read(key), read(cert), { checkServerIdentity: () => undefined }), { 'grpc.ssl_target_name_override': 'agent' })
    client.Status({ local: true }, { deadline: Date.now() + 5000 }, error => {
      console.log(error === null ? 'heard' : 'not heard')
      client.close()
    })`
  const [{ start }] = two.hosts
  const ask = async ({ key, cert }: CertificateFiles) => {
    const child = start(node, ['--input-type=module', '-e', script, agents[0].address, ours.ca, key, cert])
    await child.ended
    return child.out().trim()
  }
  expect(await ask(ours)).toBe('heard')
  expect(await ask(stranger)).toBe('not heard')
})
