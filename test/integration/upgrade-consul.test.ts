import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Backend, startBackend } from './support/backend.ts'
import { type ConsulAgent, startConsul } from './support/consul.ts'
import { freePort } from './support/ports.ts'
import { get } from './support/proxy.ts'
import { until } from './support/until.ts'
import { startUpgraded } from './support/upgraded.ts'

// An upgrade as a real Consul sees it: nothing happens.

let consul: ConsulAgent
let backend: Backend

beforeAll(async () => {
  consul = await startConsul()
  await consul.ready()
  backend = await startBackend()
})
afterAll(() => Promise.all([consul.stop(), backend.stop()]))

interface Entry {
  readonly Service: { readonly ID: string }
  readonly Checks: readonly { readonly Status: string }[]
}

/** Each state that was seen, with how often; `gone`: it is not registered. */
function watch(name: string) {
  const seen = new Map<string, number>()
  let isOver = false
  const ended = (async () => {
    while (!isOver) {
      const entries = (await consul.api('GET', `/v1/health/service/${name}`)) as Entry[]
      const states = entries.flatMap(({ Checks }) => Checks.map(({ Status }) => Status))
      const state = entries.length === 0 ? 'gone' : [...new Set(states)].sort().join('+')
      seen.set(`${entries.length} ${state}`, (seen.get(`${entries.length} ${state}`) ?? 0) + 1)
      await sleep(20)
    }
  })()
  return {
    seen,
    async stop() {
      isOver = true
      await ended
      return [...seen.keys()]
    },
  }
}

const isPassing = (name: string) => async () =>
  ((await consul.api('GET', `/v1/health/service/${name}?passing`)) as Entry[]).length === 1

test.each([
  ['the heartbeat of the sidecar', { ttl: '3s' }],
  ['a check of Consul', 'tcp'],
])('%s: the instance is never critical and never gone, over three upgrades and one that fails', async (_name, how) => {
  const port = await freePort()
  const name = `web-${port}`
  const check = how === 'tcp' ? { tcp: `127.0.0.1:${port}`, interval: '1s' } : how
  const config = {
    service: name,
    inbound: [{ listen: `127.0.0.1:${port}`, forward: backend.address }],
    discovery: { consul: { address: consul.address } },
    register: { address: '127.0.0.1', check },
  }
  const proxy = await startUpgraded(config)
  await until('its registration', isPassing(name))
  const watched = watch(name)
  for (let i = 0; i < 3; i++) await proxy.succeed()
  proxy.write('outbond: []')
  expect((await proxy.upgrade()).ok).toBe(false)
  // Longer than the time of its heartbeat.
  await sleep(4_000)
  expect(await watched.stop()).toEqual(['1 passing'])
  expect(proxy.err()).toContain('the registration with Consul is taken over')
  expect(proxy.err()).not.toContain('deregistered')
  // Another tag is registered over it.
  const tagged = watch(name)
  proxy.write(
    JSON.stringify({
      admin: `127.0.0.1:${proxy.adminPort}`,
      ...config,
      register: { ...config.register, tags: ['v2'] },
    }),
  )
  await proxy.succeed()
  await until('its tag', async () =>
    JSON.stringify(await consul.api('GET', `/v1/catalog/service/${name}`)).includes('v2'),
  )
  expect(await tagged.stop()).toEqual(['1 passing'])
  expect((await get(port, '/')).status).toBe(200)
  await proxy.stop()
  await until('its end in Consul', async () => !(await isPassing(name)()))
})
