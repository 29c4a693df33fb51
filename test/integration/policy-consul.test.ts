import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { follow, type TestFollower } from '../agent/support/follower.ts'
import { type RunningAgent, startAgent } from './support/agent.ts'
import { startBackend } from './support/backend.ts'
import { temporaryFolder } from './support/child.ts'
import { type ConsulAgent, startConsul } from './support/consul.ts'
import { startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { get, startProxy } from './support/proxy.ts'
import { synced } from './support/synced.ts'
import { until } from './support/until.ts'

// Documents in the KV of a real Consul: an agent as users run it, and a proxy that follows.

let consul: ConsulAgent
let agent: RunningAgent
let proxy: TestFollower
beforeAll(async () => {
  consul = await startConsul()
  await consul.ready()
  agent = await startAgent({ consul: { address: consul.address } })
  proxy = follow(agent.socket, [{ service: 'orders' }, { service: 'users' }])
})
afterAll(async () => {
  proxy.close()
  await agent.stop()
  await consul.stop()
})

const attempts = (service = 'orders') => proxy.spec(service)?.retries.attempts
const key = (service: string) => `${consul.address}/v1/kv/outrigger/services/${service}`
const write = async (service: string, text: string) => void (await fetch(key(service), { method: 'PUT', body: text }))
function file(text: string): string {
  const path = join(temporaryFolder(), 'orders.yaml')
  writeFileSync(path, text)
  return path
}
const up = async () => /source_up\{source="consul kv"\} (\d)/.exec(await agent.page('/metrics'))?.[1]

describe('a document in the KV of Consul', () => {
  test('is in force in the proxies, each change of many', async () => {
    for (const count of [2, 3, 4, 5]) {
      await write('orders', `retries: { attempts: ${count} }`)
      await expect.poll(attempts).toBe(count)
    }
    expect(JSON.parse(proxy.updates.at(-1)!.provenance.toString())).toMatchObject({
      'retries.attempts': { at: 'consul kv outrigger/services/orders:1' },
    })
  })

  test('that is bad is refused alone, with the reason where its author looks', async () => {
    await write('orders', 'retries: { attempts: 3, on: ["${HOME}"] }')
    await write('users', 'retries: { attempts: 7 }')
    await expect.poll(() => attempts('users')).toBe(7)
    const reason = /consul kv outrigger\/services\/orders:1:30: \$\{HOME\} would read the environment of the agent/
    await expect.poll(agent.err).toMatch(reason)
    expect((await agent.policy('get', 'orders')).err).toMatch(reason)
    expect(await agent.page('/metrics')).toContain('outrigger_agent_policy_documents_refused{source="consul kv"} 1')
    expect(attempts()).toBe(5)
  })

  test('is put with a condition, and with a history that knows other changes too', async () => {
    const first = await agent.policy('put', 'orders', file('retries: { attempts: 6 }'), '-m', 'six')
    expect(first).toMatchObject({ code: 0, err: '' })
    await expect.poll(attempts).toBe(6)
    const version = /version (\d+)/.exec(first.out)![1]!
    expect((await agent.policy('get', 'orders')).err).toMatch(new RegExp(`version ${version}, by ada@.*\\n# six`))
    await write('orders', 'retries: { attempts: 7 }')
    await expect.poll(attempts).toBe(7)
    const late = await agent.policy('put', 'orders', file('retries: { attempts: 8 }'), '--expect', version)
    expect(late.code).toBe(3)
    expect(late.err).toMatch(/^consul kv outrigger\/services\/orders: it has version \d+, and version \d+ was expected/)
    expect((await agent.policy('put', 'orders', file('retries: { attempts: 8 }'))).code).toBe(0)
    const { out } = await agent.policy('history', 'orders')
    expect(out.trim().split('\n').slice(1)).toEqual([
      expect.stringMatching(/ada@/),
      expect.stringMatching(/ - +changed in Consul$/),
      expect.stringMatching(/ada@\S+ +six$/),
      expect.stringMatching(/ - +changed in Consul$/),
    ])
    expect((await agent.policy('rollback', 'orders', version)).code).toBe(0)
    await expect.poll(attempts).toBe(6)
  })

  test('stays in force while Consul is away, and follows it again afterwards', async () => {
    await consul.kill()
    await expect.poll(up).toBe('0')
    expect(attempts()).toBe(6)
    const fresh = follow(agent.socket, [{ service: 'orders' }], { proxy: 'fresh' })
    await expect.poll(() => fresh.spec('orders')?.retries.attempts).toBe(6)
    fresh.close()
    const put = await agent.policy('put', 'orders', file('retries: { attempts: 9 }'))
    expect(put.code).toBe(1)
    expect(put.err).toMatch(/^Consul at http:\S+ cannot be reached/)
    await consul.restart()
    await consul.ready()
    await expect.poll(up).toBe('1')
    await write('orders', 'retries: { attempts: 4 }')
    await expect.poll(attempts).toBe(4)
  })

  test('outlives a Consul that has lost its data', async () => {
    await consul.restart(false)
    await consul.ready()
    await expect.poll(agent.err).toMatch(/no documents below outrigger\/ any more, and Consul has lost data/)
    expect(attempts()).toBe(4)
    await write('orders', 'retries: { attempts: 5 }')
    await expect.poll(attempts).toBe(5)
  })
})

describe('under load, in a sidecar', () => {
  /** Each policy lets one path be served beside `/`, which the load asks for. */
  const onlyPath = (path: string) =>
    JSON.stringify({ routes: [{ match: { path: { exact: '/' } } }, { match: { path: { exact: path } } }] })
  const isServed = async (port: number, path: string) => (await get(port, path)).status === 200
  const isInForce = (port: number, path: string, before: string) =>
    until(
      `${path} is served, and ${before} no more`,
      async () => (await isServed(port, path)) && !(await isServed(port, before)),
    )

  test('each change is seen, also by an agent that was killed; a bad one is shown; no request fails', async () => {
    await using backend = await startBackend()
    await using first = await startAgent({ consul: { address: consul.address } })
    const port = await freePort()
    await using sidecar = await startProxy({
      service: 'web',
      agent: `unix:${first.socket}`,
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'payments' }],
      discovery: { endpoints: { payments: [backend.address] } },
    })
    const load = startLoad({ port, path: '/', rate: 200 })
    const goesOn = async () => {
      const before = load.good()
      await until('more good answers', () => load.good() > before + 50)
    }
    const put = async (text: string) => (await first.policy('put', 'payments', file(text))).code
    await goesOn()
    expect(await isServed(port, '/bytes/9')).toBe(true)

    // By the command line, and by whoever writes into Consul.
    expect(await put(onlyPath('/bytes/1'))).toBe(0)
    await isInForce(port, '/bytes/1', '/bytes/9')
    await write('payments', onlyPath('/bytes/2'))
    await isInForce(port, '/bytes/2', '/bytes/1')
    expect(await put('timeouts: { request: 50ms }')).toBe(0)
    await until('the timeout', async () => (await get(port, '/slow/5000')).status === 504)
    expect(await put(onlyPath('/bytes/3'))).toBe(0)
    await isInForce(port, '/bytes/3', '/bytes/2')
    await goesOn()

    // The agent dies; what changes meanwhile is seen by the next one.
    first.signal('SIGKILL')
    await first.ended
    await synced(sidecar, 'no agent', ({ state }) => state !== 'connected')
    await write('payments', onlyPath('/bytes/4'))
    await goesOn()
    expect(await isServed(port, '/bytes/3')).toBe(true)
    await using second = await first.start()
    await isInForce(port, '/bytes/4', '/bytes/3')
    await goesOn()

    // A bad document: what it replaces stays, others come into force, and everybody sees the reason.
    const good = await until('that all is good', async () => {
      const status = await second.status()
      return status.code === 0 && status
    })
    expect(good.out).toMatch(/ok +consul kv/)
    await write('payments', `routes: [{ match: { path: { exact: / } }, tu: [] }]`)
    const reason = /consul kv outrigger\/services\/payments:1:\d+: unknown key \\?"tu/
    await expect.poll(second.err).toMatch(reason)
    const bad = await second.status()
    expect(bad.code).toBe(3)
    expect(bad.out).toMatch(reason)
    expect((await second.policy('get', 'payments')).err).toMatch(reason)
    await write('other', 'retries: { attempts: 9 }')
    await until('the other document', async () => /^other .*in force/m.test((await second.policy('list')).out))
    await goesOn()
    expect(await isServed(port, '/bytes/4')).toBe(true)
    await write('payments', onlyPath('/bytes/5'))
    await isInForce(port, '/bytes/5', '/bytes/4')
    await until('that all is good again', async () => (await second.status()).code === 0)

    const result = await load.stop()
    expect(result.failures).toEqual(new Map())
    expect(result.good).toBeGreaterThan(300)
  })
})
