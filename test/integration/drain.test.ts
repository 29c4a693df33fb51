import { writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Backend, startBackend } from './support/backend.ts'
import { node, root, startChild } from './support/child.ts'
import { startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

// How a sidecar ends: nothing that has begun is lost, nothing new is taken, and it can always be hurried.

let backend: Backend

beforeAll(async () => {
  backend = await startBackend()
})
afterAll(() => backend.stop())

interface Started extends AsyncDisposable {
  readonly proxy: RunningProxy
  readonly inbound: number
  readonly outbound: number
}

async function start(drain: { delay: string; timeout: string }): Promise<Started> {
  const [inbound, outbound] = [await freePort(), await freePort()]
  const proxy = await startProxy({
    drain,
    inbound: [{ listen: `127.0.0.1:${inbound}`, forward: backend.address }],
    outbound: [{ listen: `127.0.0.1:${outbound}`, service: 'orders' }],
    discovery: { endpoints: { orders: [backend.address] } },
  })
  return { proxy, inbound, outbound, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
}

/** How many requests run at the backend through this proxy. */
const running = (proxy: RunningProxy) => async () => (await proxy.metrics()).value('outrigger_upstream_requests_active')

async function refused(port: number): Promise<boolean> {
  return await rawClient(port).then(
    client => {
      client.socket.destroy()
      return false
    },
    (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
  )
}

const begins = {
  SIGTERM: async (proxy: RunningProxy) => proxy.signal('SIGTERM'),
  SIGINT: async (proxy: RunningProxy) => proxy.signal('SIGINT'),
  'POST /drain': async (proxy: RunningProxy) =>
    expect((await proxy.admin('/drain', { method: 'POST' })).status).toBe(202),
}

test('outbound stays open while inbound finishes: the application may need others to answer its callers', async () => {
  await using all = await start({ delay: '0s', timeout: '10s' })
  const { proxy, inbound, outbound } = all
  const slow = get(inbound, '/slow/1200')
  await until('it is under way', async () => (await running(proxy)()) === 1)
  proxy.signal('SIGTERM')
  await until('inbound takes no more', () => refused(inbound))
  expect((await get(outbound, '/')).status).toBe(200)
  expect((await slow).status).toBe(200)
  expect(await proxy.ended).toEqual({ code: 0, signal: null })
})

describe.concurrent.each(Object.entries(begins))('%s', (_name, begin) => {
  test('says 503 at /ready, finishes what runs with connection: close, takes no more, and exits 0', async () => {
    await using all = await start({ delay: '0s', timeout: '10s' })
    const { proxy, inbound, outbound } = all
    // They would keep their connections.
    const agent = new Agent({ keepAlive: true })
    const slow = [
      get(inbound, '/slow/900', { agent }),
      get(outbound, '/slow/1500', { agent }),
      get(outbound, '/drip/10/120', { agent }),
    ]
    await until('all under way', async () => (await running(proxy)()) === 3)
    await begin(proxy)
    const ready = await until('not ready', async () => {
      const answer = await proxy.admin('/ready')
      return answer.status === 503 && answer
    })
    expect(ready.body).toBe('not ready: draining\n')
    expect((await proxy.admin('/live')).status).toBe(200)
    await until('closed ports', async () => (await refused(inbound)) && (await refused(outbound)))
    const [one, two, dripped] = await Promise.all(slow)
    expect(one).toMatchObject({ status: 200, body: 'slow\n', headers: { connection: 'close' } })
    expect(two).toMatchObject({ status: 200, body: 'slow\n', headers: { connection: 'close' } })
    // Its head was out before, and so could not say it.
    expect(dripped).toMatchObject({ status: 200, body: 'drop\n'.repeat(10) })
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
    expect(proxy.err()).toContain('"drained"')
  })
})

describe('POST /leave', () => {
  const leave = async ({ proxy }: Started, query = '') =>
    JSON.parse((await proxy.admin(`/leave?format=json${query}`, { method: 'POST' })).body) as { outcome: string }

  test('drains inbound after the delay, and outbound serves until SIGTERM ends it', async () => {
    await using all = await start({ delay: '1s', timeout: '10s' })
    const { proxy, inbound, outbound } = all
    const slow = get(inbound, '/slow/1800')
    await until('it is under way', async () => (await running(proxy)()) === 1)
    expect(await leave(all)).toEqual({ outcome: 'leaving', delayMs: 1_000, timeoutMs: 10_000 })
    expect((await proxy.admin('/ready')).body).toBe('not ready: leaving\n')
    // Callers have not noticed yet.
    expect((await get(inbound, '/')).status).toBe(200)
    await until('inbound takes no more', () => refused(inbound))
    expect((await slow).status).toBe(200)
    expect(await leave(all, '&wait=60')).toMatchObject({ outcome: 'left' })
    expect((await get(outbound, '/')).status).toBe(200)
    expect(proxy.running()).toBe(true)
    proxy.signal('SIGTERM')
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
  })

  test('SIGTERM soon after it does not wait for the rest of the delay', async () => {
    await using all = await start({ delay: '5m', timeout: '10s' })
    await leave(all)
    all.proxy.signal('SIGTERM')
    expect(await all.proxy.ended).toEqual({ code: 0, signal: null })
  })

  test('after POST /drain it changes nothing', async () => {
    await using all = await start({ delay: '1s', timeout: '10s' })
    await begins['POST /drain'](all.proxy)
    expect(await leave(all)).toMatchObject({ outcome: 'draining' })
    expect(await all.proxy.ended).toEqual({ code: 0, signal: null })
  })
})

test('idle connections are closed at once, so a proxy without requests exits at once', async () => {
  await using all = await start({ delay: '0s', timeout: '60s' })
  using client = await rawClient(all.inbound)
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.sees('200 OK')
  all.proxy.signal('SIGTERM')
  await client.ended
  client.socket.end()
  expect(await all.proxy.ended).toEqual({ code: 0, signal: null })
})

test('during the delay it serves as before while /ready says no', async () => {
  await using all = await start({ delay: '5s', timeout: '30s' })
  const load = startLoad({ port: all.inbound, path: '/', rate: 100 })
  await until('good answers', () => load.good() > 20)
  all.proxy.signal('SIGTERM')
  await until('not ready', async () => (await all.proxy.admin('/ready')).status === 503)
  const before = load.good()
  await until('good answers while it drains', () => load.good() > before + 5)
  expect((await load.stop()).failures).toEqual(new Map())
  expect(await all.proxy.ended).toEqual({ code: 0, signal: null })
})

test.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('a second %s ends it at once, with %d', async (signal, code) => {
  await using all = await start({ delay: '0s', timeout: '60s' })
  const cut = get(all.outbound, '/hang').then(
    () => 'answered',
    () => 'cut',
  )
  await until('the request under way', async () => (await running(all.proxy)()) === 1)
  all.proxy.signal(signal)
  await until('that it drains', () => all.proxy.err().includes('draining'))
  all.proxy.signal(signal)
  expect(await all.proxy.ended).toEqual({ code, signal: null })
  expect(await cut).toBe('cut')
})

test('what still runs after the drain timeout is cut visibly, counted, and it exits 0', async () => {
  await using all = await start({ delay: '0s', timeout: '400ms' })
  const ends = ['/hang', '/drip/1000/50'].map(path =>
    get(all.outbound, path).then(
      () => 'whole',
      () => 'cut',
    ),
  )
  await until('both under way', async () => (await running(all.proxy)()) === 2)
  all.proxy.signal('SIGTERM')
  expect(await Promise.all(ends)).toEqual(['cut', 'cut'])
  expect(await all.proxy.ended).toEqual({ code: 0, signal: null })
  expect(all.proxy.err()).toContain('2 requests were still running after 0.4 s and were cut')
})

test('started by an older Node, the launcher passes the signal on and exits as the proxy does', async () => {
  await using all = await start({ delay: '0s', timeout: '5s' })
  const { file, adminPort } = all.proxy
  await all.proxy.stop()
  // The launcher believes it is run by Node 20.
  const old = "Object.defineProperty(process.versions, 'node', { value: '20.0.0' })"
  const preload = `${file}.old-node.mjs`
  writeFileSync(preload, `if (process.env.OUTRIGGER_LAUNCHED === undefined) ${old}\n`)
  await using launcher = startChild(node, ['--import', preload, `${root}/bin/outrigger.js`, 'proxy', '-c', file])
  await launcher.said('that it is ready', out => out.includes('admin '))
  const slow = get(all.outbound, '/slow/500')
  await until('the request under way', async () =>
    (await get(adminPort, '/endpoints?service=orders')).body.includes('"active": 1'),
  )
  launcher.signal('SIGTERM')
  expect(await slow).toMatchObject({ status: 200, body: 'slow\n' })
  expect(await launcher.ended).toEqual({ code: 0, signal: null })
})
