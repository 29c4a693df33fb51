import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { follow, type TestFollower } from '../agent/support/follower.ts'
import { temporaryFolder } from './support/child.ts'
import { type ConsulAgent, startConsul } from './support/consul.ts'
import { type RunningAgent, startAgent } from './support/policy-agent.ts'

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
