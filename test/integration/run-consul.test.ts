import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ConsulAgent, startConsul } from './support/consul.ts'
import { startLoad } from './support/load.ts'
import { runApp, startPair } from './support/pair.ts'
import { freePort } from './support/ports.ts'
import { get } from './support/proxy.ts'
import { rollingPairs } from './support/rolling.ts'
import { until } from './support/until.ts'

// The life of an application and its sidecar as others see it, by a real Consul.

let consul: ConsulAgent

beforeAll(async () => {
  consul = await startConsul()
  await consul.ready()
})
afterAll(() => consul.stop())

interface HealthEntry {
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string }[]
}

/** Of each instance. */
async function statusOf(service: string): Promise<string> {
  const entries = (await consul.api('GET', `/v1/health/service/${service}`)) as HealthEntry[]
  return entries.map(({ Checks }) => Checks.find(({ CheckID }) => CheckID.startsWith('service:'))?.Status).join(' ')
}
const discovery = (...services: readonly string[]) => ({
  consul: { address: consul.address, services: Object.fromEntries(services.map(name => [name, {}])) },
})

test('from the first call to the last: registered when the application is ready, gone before it gets SIGTERM', async () => {
  const [inbound, port, outbound] = [await freePort(), await freePort(), await freePort()]
  const [farInbound, farPort] = [await freePort(), await freePort()]
  const far = await startPair({
    config: {
      service: 'far',
      inbound: [{ listen: `127.0.0.1:${farInbound}`, forward: `127.0.0.1:${farPort}` }],
      discovery: discovery(),
      register: { address: '127.0.0.1' },
    },
    command: runApp,
    env: { PORT: String(farPort), ON_TERM: '0' },
  })
  await until('far in Consul', async () => (await statusOf('far')) === 'passing')
  const pair = await startPair({
    config: {
      service: 'near',
      drain: { delay: '500ms', timeout: '5s' },
      inbound: [{ listen: `127.0.0.1:${inbound}`, forward: `127.0.0.1:${port}` }],
      outbound: [{ listen: `127.0.0.1:${outbound}`, service: 'far' }],
      discovery: discovery('far'),
      register: { address: '127.0.0.1' },
    },
    command: runApp,
    env: {
      PORT: String(port),
      LISTEN_AFTER: '1500',
      CALL_FIRST: `http://127.0.0.1:${outbound}/first`,
      CALL_LAST: `http://127.0.0.1:${outbound}/last`,
    },
  })
  // Registered and critical: people see that it is starting, and callers do not use it.
  await until('that it is known', async () => (await statusOf('near')) === 'critical')
  expect(pair.out()).not.toContain('listens')
  await until('that it is passing', async () => (await statusOf('near')) === 'passing')
  expect(pair.out()).toMatch(/first call: 200\n[\s\S]*listens/)

  pair.signal('SIGTERM')
  await until('that it is gone', async () => (await statusOf('near')) === '')
  expect(pair.out()).not.toContain('SIGTERM')
  expect(await pair.ended).toEqual({ code: 0, signal: null })
  expect(pair.out()).toContain('SIGTERM\nlast call: 200\n')
  await far.stop()
})

test('an application that never gets ready is critical, with the reason', async () => {
  const [inbound, port] = [await freePort(), await freePort()]
  const pair = await startPair({
    config: {
      service: 'never',
      inbound: [
        { listen: `127.0.0.1:${inbound}`, forward: `127.0.0.1:${port}`, application: { check: { http: '/healthz' } } },
      ],
      discovery: discovery(),
      register: { address: '127.0.0.1', check: { ttl: '1500ms' } },
    },
    command: runApp,
  })
  await until('that it is known', async () => (await statusOf('never')) === 'critical')
  // On its agent: the catalog has a new text only minutes later where the status is the same (check_update_interval).
  await until('the reason', async () =>
    Object.values((await consul.api('GET', '/v1/agent/checks')) as Readonly<Record<string, { Output: string }>>).some(
      ({ Output }) => Output.includes('/healthz: ECONNREFUSED'),
    ),
  )
  expect(await pair.admin('/ready')).toMatchObject({ status: 503, body: expect.stringContaining('/healthz') })
  await pair.stop()
})

test('an application that dies takes its registration with it, before its exit code is passed on', async () => {
  const [inbound, port] = [await freePort(), await freePort()]
  const pair = await startPair({
    config: {
      service: 'dying',
      drain: { delay: '60s', timeout: '60s' },
      inbound: [{ listen: `127.0.0.1:${inbound}`, forward: `127.0.0.1:${port}` }],
      discovery: discovery(),
      register: { address: '127.0.0.1' },
    },
    command: runApp,
    env: { PORT: String(port) },
  })
  await until('passing', async () => (await statusOf('dying')) === 'passing')
  process.kill(Number(/application (\d+)/.exec(pair.out())![1]), 'SIGKILL')
  expect(await pair.ended).toEqual({ code: 137, signal: null })
  expect(await statusOf('dying')).toBe('')
})

test('a sidecar that is killed under load: its callers fail only until the next one listens, and it stays registered', async () => {
  const [inbound, port, outbound] = [await freePort(), await freePort(), await freePort()]
  const pair = await startPair({
    config: {
      service: 'killed',
      inbound: [{ listen: `127.0.0.1:${inbound}`, forward: `127.0.0.1:${port}` }],
      outbound: [{ listen: `127.0.0.1:${outbound}`, service: 'killed' }],
      discovery: discovery('killed'),
      register: { address: '127.0.0.1' },
    },
    command: runApp,
    env: { PORT: String(port), ON_TERM: '0' },
  })
  await until('an answer', () =>
    get(outbound, '/').then(
      ({ status }) => status === 200,
      () => false,
    ),
  )
  const load = startLoad({ port: outbound, path: '/', rate: 100 })
  await until('good answers', () => load.good() > 30)
  process.kill(await pair.sidecar(), 'SIGKILL')
  await pair.said('that it serves again', (_out, err) => err.includes('the sidecar serves again'))
  const failed = load.failed()
  const good = load.good()
  await until('good answers again', () => load.good() > good + 50)
  const { failures } = await load.stop()
  expect([...failures.keys()].filter(kind => !/ECONNREFUSED|ECONNRESET|socket hang up|broke off/.test(kind))).toEqual(
    [],
  )
  // Those under way when it said so may still fail.
  expect([...failures.values()].reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(failed + 1)
  expect(await statusOf('killed')).toBe('passing')
  pair.signal('SIGTERM')
  expect((await pair.ended).code).toBe(0)
})

test('pairs restart one after the other under load of kept and new connections and HTTP/2: no request fails', async () => {
  const { failures, good, restarts } = await rollingPairs(consul, { service: 'rolled', restarts: 5 })
  expect(failures).toEqual([])
  expect(restarts).toBe(5)
  expect(good).toBeGreaterThan(100)
})

test('the same with gRPC servers that end at once on SIGTERM', async () => {
  const { failures, good, restarts } = await rollingPairs(consul, { service: 'called', restarts: 2, grpc: true })
  expect(failures).toEqual([])
  expect(restarts).toBe(2)
  expect(good).toBeGreaterThan(50)
})
