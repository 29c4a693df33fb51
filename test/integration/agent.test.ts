import { chmodSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AgentServer, agentServer, updateOf } from '../support/agent-server.ts'
import { agentHome } from './support/agent.ts'
import { type Backend, startBackends } from './support/backend.ts'
import { node, startChild, temporaryFolder } from './support/child.ts'
import { type Load, startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { get, outrigger, type RunningProxy, startProxy } from './support/proxy.ts'
import { synced } from './support/synced.ts'
import { until } from './support/until.ts'

// A sidecar and its agent: whatever the agent does, requests go on.

const NO_FAILURES = new Map()
let backends: Backend[]

beforeAll(async () => {
  backends = await startBackends(2)
})
afterAll(() => Promise.all(backends.map(backend => backend.stop())))

interface Started extends AsyncDisposable {
  readonly proxy: RunningProxy
  readonly port: number
}

async function start(agent: string, more: object = {}, env: NodeJS.ProcessEnv = {}): Promise<Started> {
  const port = await freePort()
  const proxy = await startProxy(
    {
      agent,
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: { endpoints: { orders: backends.map(({ address }) => address) } },
      ...more,
    },
    env,
  )
  return { proxy, port, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
}

async function underLoad(port: number): Promise<Load> {
  const load = startLoad({ port, path: '/', rate: 200 })
  await until('good answers', () => load.good() > 30)
  return load
}

async function goesOn(load: Load): Promise<void> {
  const before = load.good()
  await until('more good answers', () => load.good() > before + 50)
}

/** A policy by which nothing but this path of the service is known, and that it is in force. */
const onlyPath = (path: string) => ({ routes: [{ match: { path: { exact: path } } }] })
const isInForce = (port: number, path: string) =>
  until(`nothing but ${path} is served`, async () => {
    const [one, another] = await Promise.all([get(port, path), get(port, '/bytes/9')])
    return one.status === 200 && another.status === 404
  })

describe('with the agent that users run', () => {
  test('a policy comes into force under load, also when the agent is killed and comes back', async () => {
    const home = await agentHome()
    await using all = await start(`unix:${home.socket}`)
    const load = await underLoad(all.port)
    // After the proxy.
    home.document('orders', { timeouts: { request: '7s' } })
    const first = await home.start()
    const one = await synced(all.proxy, 'a policy', ({ services }) => services[0]?.from === 'agent')
    await goesOn(load)
    first.signal('SIGKILL')
    await synced(all.proxy, 'no agent', ({ state }) => state !== 'connected')
    await goesOn(load)
    home.document('orders', { timeouts: { request: '8s' } })
    const second = await home.start()
    const { version } = one.services[0]!
    await synced(all.proxy, 'the other policy', ({ services }) => services[0]!.version !== version)
    await goesOn(load)
    expect((await load.stop()).failures).toEqual(NO_FAILURES)
    const { body } = await all.proxy.admin('/config?format=text')
    expect(body).toMatch(/request: 8s +# .*orders\.json:1/)
    await second.stop()
  })

  test('what is refused is shown on both sides, and the version before stays', async () => {
    const home = await agentHome()
    await using all = await start(`unix:${home.socket}`)
    home.document('orders', onlyPath('/bytes/1'))
    const agent = await home.start()
    await isInForce(all.port, '/bytes/1')
    home.document('orders', { routes: [{ to: [{ service: 'nowhere' }] }] })
    const { services } = await synced(all.proxy, 'a refusal', now => now.services[0]?.refused !== '')
    expect(services[0]!.reasons.join()).toMatch(/nowhere, which this sidecar does not know/)
    await agent.said('the refusal', (_out, err) => /a proxy refuses a policy.*nowhere/.test(err))
    expect((await get(all.port, '/bytes/1')).status).toBe(200)
    expect((await all.proxy.metrics()).value('outrigger_policy_refused', { service: 'orders' })).toBe(1)
    home.document('orders', onlyPath('/bytes/2'))
    await isInForce(all.port, '/bytes/2')
    await agent.stop()
  })

  test('the last policy counts from the first request after a restart without the agent', async () => {
    const home = await agentHome()
    const state = temporaryFolder()
    home.document('orders', onlyPath('/bytes/1'))
    const agent = await home.start()
    const before = await start(`unix:${home.socket}`, { state })
    await isInForce(before.port, '/bytes/1')
    await agent.stop()
    // The agent is gone, so what is known is written with the time of its last word.
    await synced(before.proxy, 'no agent', now => now.state !== 'connected')
    await before.proxy.stop()
    await using after = await start(`unix:${home.socket}`, { state })
    expect((await get(after.port, '/')).status).toBe(404)
    expect((await get(after.port, '/bytes/1')).status).toBe(200)
    expect((await synced(after.proxy, 'a policy from disk', () => true)).services[0]!.from).toBe('disk')
    expect(after.proxy.err()).toMatch(/the policy of 1 service is from the agent's last word/)
  })

  test('an agent that stands still holds up no request, and is found again', async () => {
    const home = await agentHome()
    await using all = await start(`unix:${home.socket}`)
    home.document('orders', onlyPath('/'))
    const agent = await home.start()
    await synced(all.proxy, 'a policy', ({ services }) => services[0]?.from === 'agent')
    const load = await underLoad(all.port)
    await agent.freeze()
    await synced(all.proxy, 'no agent', ({ state }) => state !== 'connected')
    await goesOn(load)
    agent.signal('SIGCONT')
    await synced(all.proxy, 'the agent', ({ state }) => state === 'connected')
    expect((await load.stop()).failures).toEqual(NO_FAILURES)
    await agent.stop()
  })
})

describe('an agent that nobody named', () => {
  test('is found at the default socket, however late it comes, and its absence is no news', async () => {
    const home = await agentHome()
    await using all = await start('', { agent: undefined }, { OUTRIGGER_AGENT: `unix:${home.socket}` })
    expect(await synced(all.proxy, 'no agent', ({ state }) => state === 'off')).toMatchObject({ trouble: '' })
    expect((await all.proxy.metrics()).has('outrigger_agent_connected')).toBe(false)
    home.document('orders', onlyPath('/bytes/1'))
    const agent = await home.start()
    await isInForce(all.port, '/bytes/1')
    expect(all.proxy.err()).not.toMatch(/"warn"/)
    await agent.stop()
  })

  test('is not looked for where the file says so', async () => {
    const home = await agentHome()
    home.document('orders', onlyPath('/bytes/1'))
    const agent = await home.start()
    await using all = await start('off', {}, { OUTRIGGER_AGENT: `unix:${home.socket}` })
    expect((await all.proxy.admin('/sync?format=text')).body).toMatch(/^no agent is used/)
    expect((await get(all.port, '/')).status).toBe(200)
    await agent.stop()
  })
})

describe('a socket that this user may not use', () => {
  test('is said once, and requests go on', async () => {
    const folder = temporaryFolder()
    const socket = join(folder, 'agent.sock')
    const server = createServer().listen(socket)
    await until('a socket', () => server.listening)
    const isRoot = process.getuid?.() === 0
    // Root may connect to every socket, so there the proxy is another user.
    chmodSync(socket, 0o600)
    if (!isRoot) chmodSync(socket, 0)
    for (let inner = folder; inner.includes('outrigger-'); inner = dirname(inner)) chmodSync(inner, 0o711)
    const [port, admin] = [await freePort(), await freePort()]
    const config = {
      agent: `unix:${socket}`,
      admin: `127.0.0.1:${admin}`,
      state: 'off',
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: { endpoints: { orders: backends.map(({ address }) => address) } },
    }
    const file = join(folder, 'sidecar.json')
    writeFileSync(file, JSON.stringify(config))
    const asNobody = isRoot ? 'process.setgid(65534); process.setuid(65534);' : ''
    const program = `${asNobody} process.execve(process.execPath, [process.execPath, ...process.argv.slice(1)], process.env)`
    const proxy = startChild(node, ['-e', program, outrigger, 'proxy', '-c', file])
    await proxy.said('a ready proxy', (out, err) => /^admin /m.test(out + err))
    await proxy.said('the trouble', (_out, err) => /this user may not connect to it/.test(err))
    const { body } = await get(admin, '/sync?format=text')
    expect(body).toMatch(/this user may not connect/)
    const load = await underLoad(port)
    await goesOn(load)
    expect((await load.stop()).failures).toEqual(NO_FAILURES)
    expect(proxy.err().match(/may not connect/g)).toHaveLength(1)
    await proxy.stop()
    server.close()
  })
})

describe('an agent that does not behave', () => {
  async function withServer(use: (agent: AgentServer, all: Started) => Promise<void>, options = {}): Promise<void> {
    const agent = await agentServer(join(temporaryFolder(), 'agent.sock'), options)
    await using all = await start(`unix:${agent.path}`)
    await use(agent, all)
    agent.stop()
  }

  test('refuses the format: what it says is in the log and in /sync, and requests go on', () =>
    withServer(
      async (_agent, { proxy, port }) => {
        const { trouble } = await synced(proxy, 'a refusal', now => now.trouble !== '')
        expect(trouble).toMatch(/refuses this proxy: this agent sends format 99: upgrade the proxy/)
        expect(proxy.err()).toMatch(/upgrade the proxy/)
        expect((await get(port, '/')).status).toBe(200)
      },
      { format: 99 },
    ))

  test('sends a policy of 5 MB: it is refused by name, and the next one is taken', () =>
    withServer(async (agent, { proxy, port }) => {
      await until('a proxy', () => agent.subscribed().includes('orders'))
      agent.update({ service: 'orders', version: 'huge', spec: Buffer.alloc(5 * 1024 * 1024, 'x') })
      await until('a NACK', () => agent.answers().some(({ version }) => version === 'huge'))
      expect(agent.answers()[0]).toMatchObject({ reasons: [expect.stringMatching(/has 52429\d\d bytes/)] })
      agent.update(updateOf('orders', 'good', onlyPath('/bytes/1')))
      await isInForce(port, '/bytes/1')
      expect((await synced(proxy, 'no refusal', ({ services }) => services[0]!.refused === '')).agent).toMatch(
        /^test-host/,
      )
    }))

  test('floods: requests go on, memory stays bounded, and its last word counts', () =>
    withServer(async (agent, { proxy, port }) => {
      await until('a proxy', () => agent.subscribed().includes('orders'))
      const load = await underLoad(port)
      const before = await proxy.rss()
      const updates = Array.from({ length: 50 }, (_, i) =>
        updateOf('orders', `v${i}`, { timeouts: { request: `${i + 1}s` } }),
      )
      let sent = 0
      // As fast as the proxy takes them, and some more.
      const good = load.good()
      await until('many answers under a flood', async () => {
        for (let i = 0; i < 500 && agent.update(updates[sent++ % updates.length]!); i++);
        return load.good() > good + 300
      })
      agent.update(updateOf('orders', 'last', onlyPath('/')))
      await synced(proxy, 'the last word', ({ services }) => services[0]!.version === 'last')
      expect(await proxy.rss()).toBeLessThan(before + 64)
      expect((await load.stop()).failures).toEqual(NO_FAILURES)
    }))

  test('sends what is no message: it is cut off, and that is said', async () => {
    const path = join(temporaryFolder(), 'agent.sock')
    const server = createServer(socket => {
      socket.on('error', () => {})
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    }).listen(path)
    await until('a socket', () => server.listening)
    await using all = await start(`unix:${path}`)
    await synced(all.proxy, 'trouble', ({ trouble }) => trouble !== '')
    expect((await get(all.port, '/')).status).toBe(200)
    server.close()
  })
})

test('a change of one service touches that service only', async () => {
  const agent = await agentServer(join(temporaryFolder(), 'agent.sock'))
  const [port, other, dead] = [await freePort(), await freePort(), await freePort()]
  await using all = await start(`unix:${agent.path}`, {
    workers: 2,
    outbound: [
      { listen: `127.0.0.1:${port}`, service: 'orders' },
      { listen: `127.0.0.1:${other}`, service: 'users' },
    ],
    discovery: { endpoints: { orders: [backends[0]!.address], users: [backends[1]!.address, `127.0.0.1:${dead}`] } },
    services: {
      users: { balancer: { type: 'round_robin' }, outliers: { baseEjection: '5m', consecutiveGatewayFailures: 2 } },
    },
  })
  const { proxy } = all
  await until('a proxy', () => agent.subscribed().length === 2)
  const endpointsOf = (service: string) => proxy.endpoints(service)
  await until('an ejection', async () => {
    await get(other, '/')
    return (await endpointsOf('users')).filter(({ state }) => state === 'ejected').length > 0
  })
  const before = await endpointsOf('users')
  agent.update(updateOf('orders', 'v1', onlyPath('/bytes/1')))
  await isInForce(port, '/bytes/1')
  await until('an ACK', () => agent.answers().some(({ version }) => version === 'v1'))
  const learnt = ({ address, state, requests, failures, connections }: (typeof before)[number]) => ({
    address,
    state,
    requests,
    failures,
    connections,
  })
  expect((await endpointsOf('users')).map(learnt)).toEqual(before.map(learnt))
  agent.stop()
})
