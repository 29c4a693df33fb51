import { readFileSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { datagramSocket } from '../support/datagram-socket.ts'
import { type Backend, startBackend } from './support/backend.ts'
import { node, run, startChild, temporaryFolder } from './support/child.ts'
import { startLoad } from './support/load.ts'
import { childrenOf, commandOf } from './support/pair.ts'
import { freePort } from './support/ports.ts'
import { get, outrigger } from './support/proxy.ts'
import { until } from './support/until.ts'
import { upgradeUnderLoad } from './support/upgrade-load.ts'
import { isRunning, startUpgraded, type UpgradedProxy } from './support/upgraded.ts'

// The program of a running sidecar is started anew and takes over. What does not go well leaves everything as it was.

let backend: Backend

beforeAll(async () => {
  backend = await startBackend()
})
afterAll(() => backend.stop())

interface Started extends AsyncDisposable {
  readonly proxy: UpgradedProxy
  readonly port: number
  readonly config: Readonly<Record<string, unknown>>
}

async function start(over: Readonly<Record<string, unknown>> = {}, env: NodeJS.ProcessEnv = {}): Promise<Started> {
  const port = await freePort()
  const config = {
    inbound: [{ listen: `127.0.0.1:${port}`, forward: backend.address }],
    drain: { delay: '0s', timeout: '20s' },
    ...over,
  }
  const proxy = await startUpgraded(config, env)
  return { proxy, port, config, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
}

test('callers of every kind notice nothing', async () => {
  const { failures, good, outlived } = await upgradeUnderLoad({ rate: 300, upgrades: 1 })
  expect(failures).toEqual([])
  expect(outlived).toBeGreaterThan(0)
  expect(Object.values(good).every(count => count > 0)).toBe(true)
})

test('the command says who serves; the old process finishes what it had begun, and ends', async () => {
  await using all = await start()
  const { proxy, port } = all
  const slow = get(port, '/slow/8000')
  await sleep(200)
  const said = await run(node, [outrigger, 'upgrade', '--admin', `127.0.0.1:${proxy.adminPort}`])
  expect(said.out + said.err).toMatch(/^version \S+ serves as process \d+, ready \d+ ms after its start/)
  expect(said.code).toBe(0)
  expect(isRunning(proxy.pid)).toBe(true)
  expect(await slow).toMatchObject({ status: 200, headers: { connection: 'close' } })
  await until('the end of the old process', () => !isRunning(proxy.pid))
  expect((await get(port, '/')).status).toBe(200)
})

test('without an admin port the process is named', async () => {
  await using all = await start()
  const said = await run(node, [outrigger, 'upgrade', '--pid', String(all.proxy.now())])
  expect([said.code, said.err]).toEqual([0, ''])
  expect(said.out).toMatch(/^process \d+ serves/)
  expect((await get(all.port, '/')).status).toBe(200)
})

test('a connection that is idle as the program changes serves its next request, which is its last', async () => {
  await using all = await start()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  expect((await get(all.port, '/', { agent })).headers.connection).not.toBe('close')
  await all.proxy.upgrade()
  // By then the old process has closed its port.
  await sleep(1_000)
  expect(await get(all.port, '/', { agent })).toMatchObject({ status: 200, headers: { connection: 'close' } })
  agent.destroy()
})

test('a bad file: the reasons are told, and the old process goes on', async () => {
  await using all = await start()
  all.proxy.write('service: web\noutbond: []\n')
  const outcome = await all.proxy.upgrade()
  expect(outcome).toMatchObject({ ok: false, refused: false })
  expect(JSON.stringify(outcome)).toContain('unknown key \\"outbond\\"')
  expect((await get(all.port, '/')).status).toBe(200)
  const said = await run(node, [outrigger, 'upgrade', '--admin', `127.0.0.1:${all.proxy.adminPort}`])
  expect([said.code, said.out]).toEqual([1, ''])
  expect(said.err).toContain('the running one goes on as before')
  expect(said.err).toContain('unknown key "outbond"')
  all.proxy.write(all.config)
  expect((await all.proxy.upgrade()).ok).toBe(true)
})

/** A program at a path of its own, which can be replaced while it runs. */
function installed(): { readonly file: string; replace(script: string): void } {
  const folder = temporaryFolder()
  const file = join(folder, 'outrigger.js')
  writeFileSync(file, `import ${JSON.stringify(outrigger)}\n`)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  return { file, replace: script => writeFileSync(file, script) }
}

async function startInstalled() {
  const program = installed()
  const port = await freePort()
  const adminPort = await freePort()
  const file = join(temporaryFolder(), 'sidecar.yaml')
  writeFileSync(
    file,
    JSON.stringify({
      admin: `127.0.0.1:${adminPort}`,
      state: 'off',
      inbound: [{ listen: `127.0.0.1:${port}`, forward: backend.address }],
    }),
  )
  const proxy = startChild(node, [program.file, 'proxy', '-c', file])
  await proxy.said('the lines of a ready proxy', out => /^admin /m.test(out))
  return { proxy, program, port, adminPort }
}

test.each([
  ['exits at once', 'process.exit(7)', '', 'it ended with exit code 7 before it was ready'],
  ['never is ready', 'setInterval(() => {}, 1000)', '&timeout=1', 'it was not ready within 1 s, and is ended'],
  ['is killed', "process.kill(process.pid, 'SIGKILL')", '', 'it ended with SIGKILL before it was ready'],
])('a new version that %s', async (_name, script, query, reason) => {
  const { proxy, program, port, adminPort } = await startInstalled()
  await using _ = proxy
  const load = startLoad({ port, path: '/', rate: 100 })
  program.replace(script)
  const { body } = await get(adminPort, `/upgrade?format=json${query}`, { method: 'POST' })
  expect(JSON.parse(body)).toMatchObject({ ok: false, refused: false, reason: expect.stringContaining(reason) })
  await until('good answers', () => load.good() > 20)
  expect((await load.stop()).failures).toEqual(new Map())
  expect(proxy.running()).toBe(true)
})

test('one upgrade at a time, none while it drains, and none while the process before still drains', async () => {
  await using all = await start()
  const { proxy, port } = all
  const [one, other] = await Promise.all([proxy.upgrade(), proxy.upgrade()])
  expect([one, other].filter(({ ok }) => ok)).toHaveLength(1)
  expect([one, other].find(({ ok }) => !ok)).toMatchObject({
    refused: true,
    reason: expect.stringContaining('another upgrade is under way'),
  })
  await until('the end of the process before', () => proxy.alive().length === 1)
  const slow = get(port, '/slow/9000')
  await sleep(200)
  await proxy.upgrade()
  expect(await proxy.upgrade()).toMatchObject({
    refused: true,
    reason: expect.stringMatching(/^process \d+, from which this one has taken over, still finishes/),
  })
  expect((await slow).status).toBe(200)
  const last = get(port, '/slow/4000')
  await sleep(200)
  await proxy.admin('/drain', { method: 'POST' })
  expect(await proxy.upgrade()).toMatchObject({ refused: true, reason: 'it drains' })
  expect((await last).status).toBe(200)
})

test('the old process is killed in the middle: exactly one proxy serves', async () => {
  await using all = await start()
  const { proxy, port } = all
  process.kill(proxy.now(), 'SIGUSR2')
  const successor = await until('a new process', () => proxy.alive().find(pid => pid !== proxy.pid))
  process.kill(proxy.pid, 'SIGKILL')
  await until('the new process serves', async () => (await get(port, '/').catch(() => ({ status: 0 }))).status === 200)
  expect(isRunning(successor)).toBe(true)
  expect(isRunning(proxy.pid)).toBe(false)
  await until('its lines', () => proxy.out().split('ready after').length === 3)
})

test('the old process is told to end in the middle: both end', async () => {
  await using all = await start()
  const { proxy } = all
  process.kill(proxy.now(), 'SIGUSR2')
  await until('a new process', () => proxy.alive().length === 2)
  process.kill(proxy.pid, 'SIGTERM')
  expect(await proxy.ended).toMatchObject({ code: 0 })
  expect(proxy.alive()).toEqual([])
})

test('leaving ends an upgrade that is under way, and lets no other begin', async () => {
  const { proxy, program, adminPort } = await startInstalled()
  await using _ = proxy
  program.replace('setInterval(() => {}, 1000)')
  const upgrade = () => get(adminPort, '/upgrade?format=json', { method: 'POST' })
  const first = upgrade()
  await until('a new process', () => childrenOf(proxy.pid).some(pid => commandOf(pid).includes(program.file)))
  expect((await get(adminPort, '/leave', { method: 'POST' })).status).toBe(202)
  expect(JSON.parse((await first).body)).toMatchObject({ ok: false, refused: false })
  expect(JSON.parse((await upgrade()).body)).toMatchObject({ ok: false, refused: true, reason: 'it drains' })
  expect(proxy.running()).toBe(true)
})

test('what was learnt goes on: an ejected endpoint stays ejected, for the time that was left', async () => {
  const dead = `127.0.0.1:${await freePort()}`
  const outbound = await freePort()
  await using all = await start({
    outbound: [{ listen: `127.0.0.1:${outbound}`, service: 'orders' }],
    discovery: { endpoints: { orders: [backend.address, dead] } },
    services: { orders: { outliers: { baseEjection: '60s', consecutiveGatewayFailures: 2 } } },
  })
  const { proxy } = all
  const stateOf = async () => (await proxy.endpoints('orders')).find(({ address }) => address === dead)!
  await until('its ejection', async () => {
    await get(outbound, '/')
    return (await stateOf()).state === 'ejected'
  })
  const before = await stateOf()
  await proxy.succeed()
  const after = await stateOf()
  expect(after).toMatchObject({ state: 'ejected', reason: before.reason })
  expect(after.ejectedForMs).toBeLessThan(before.ejectedForMs)
  expect(after.ejectedForMs).toBeGreaterThan(before.ejectedForMs - 60_000)
  for (let i = 0; i < 10; i++) expect((await get(outbound, '/')).status).toBe(200)
  expect((await stateOf()).requests).toBe(0)
})

test('listeners of the new file are opened and others closed; the number of data threads may change', async () => {
  await using all = await start()
  const { proxy, port, config } = all
  const [second, third] = [await freePort(), await freePort()]
  const load = startLoad({ port, path: '/', rate: 100 })
  for (const [workers, also] of [
    [3, second],
    [1, third],
    [2, second],
  ] as const) {
    proxy.write({
      ...config,
      workers,
      inbound: [port, also].map(each => ({ listen: `127.0.0.1:${each}`, forward: backend.address })),
    })
    await proxy.succeed()
    expect((await proxy.metrics()).value('outrigger_data_threads')).toBe(workers)
    expect((await get(also, '/')).status).toBe(200)
    await expect(get(also === second ? third : second, '/')).rejects.toThrow('ECONNREFUSED')
  }
  expect((await load.stop()).failures).toEqual(new Map())
})

test('an older Node that starts the new version passes the sockets on', async () => {
  const { proxy, program, port, adminPort } = await startInstalled()
  await using _ = proxy
  const load = startLoad({ port, path: '/', rate: 100 })
  // What it is run by looks like Node 20 to it, until it has found the newer one.
  program.replace(
    `if (process.env.OUTRIGGER_LAUNCHED === undefined) {
       Object.defineProperty(process.versions, 'node', { value: '20.0.0' })
       process.execve = undefined
     }
     await import(${JSON.stringify(outrigger)})\n`,
  )
  const { body } = await get(adminPort, '/upgrade?format=json', { method: 'POST' })
  const outcome = JSON.parse(body) as { ok: boolean; pid: number }
  expect(outcome).toMatchObject({ ok: true })
  await until('the end of the old process', () => !isRunning(proxy.pid))
  const launcher = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${outcome.pid}/status`, 'utf8'))![1])
  expect(readFileSync(`/proc/${launcher}/cmdline`, 'utf8')).toContain(program.file)
  await until('good answers', () => load.good() > 50)
  expect((await load.stop()).failures).toEqual(new Map())
  process.kill(launcher, 'SIGTERM')
  await until('the end of both', () => !isRunning(outcome.pid) && !isRunning(launcher))
  // The launcher has kept none of them open.
  await expect(get(port, '/')).rejects.toThrow('ECONNREFUSED')
})

test('systemd is told: ready, reloading, the new main process, the watchdog, stopping', async () => {
  const path = join(temporaryFolder(), 'notify')
  using systemd = datagramSocket(path)
  await using all = await start({}, { NOTIFY_SOCKET: path, WATCHDOG_USEC: '1000000' })
  const { proxy } = all
  const said: string[] = []
  const hears = (what: string) =>
    until(what, () => {
      said.push(...systemd.read())
      return said.some(each => each.includes(what))
    })
  await hears('READY=1\nSTATUS=serves')
  await hears('WATCHDOG=1')
  expect(said.join()).not.toContain('MAINPID')
  proxy.signal('SIGHUP')
  await hears('RELOADING=1\nMONOTONIC_USEC=')
  await hears('READY=1')
  await until('the end of the reload', () => said.concat(systemd.read()).includes('READY=1'))
  const { pid } = await proxy.succeed()
  await hears(`MAINPID=${pid}`)
  await until('the old one is silent, the new one is not', () => systemd.read().includes('WATCHDOG=1'))
  proxy.signal('SIGTERM')
  await hears('STOPPING=1')
  expect(said.filter(each => each.startsWith('STOPPING'))).toHaveLength(1)
})
