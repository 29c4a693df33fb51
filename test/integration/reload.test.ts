import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Backend, startBackends } from './support/backend.ts'
import { type Load, startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { type Config, get, type RunningProxy, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

// A new file under a running proxy: taken up whole and without a failed request, or not at all and with the reason in
// every place one would look.

const NO_FAILURES = new Map()
let backends: Backend[]

beforeAll(async () => {
  backends = await startBackends(3)
})
afterAll(() => Promise.all(backends.map(backend => backend.stop())))

interface Started extends AsyncDisposable {
  readonly proxy: RunningProxy
  readonly port: number
  readonly config: Config & { readonly outbound: readonly object[] }
}

async function start(workers = 1): Promise<Started> {
  const port = await freePort()
  const config = {
    workers,
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    discovery: { endpoints: { orders: [backends[0]!.address] } },
  }
  const proxy = await startProxy(config)
  return { proxy, port, config, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
}

async function versionOf(proxy: RunningProxy): Promise<string> {
  return (JSON.parse((await proxy.admin('/config')).body) as { version: string }).version
}

async function changed(proxy: RunningProxy, before: string): Promise<string> {
  return until('another version in force', async () => {
    const version = await versionOf(proxy)
    return version !== before && version
  })
}

async function underLoad(port: number, rate = 300): Promise<Load> {
  const load = startLoad({ port, path: '/', rate })
  await until('good answers', () => load.good() > 50)
  return load
}

describe.concurrent.each([1, 2])('with %d data threads', workers => {
  test('file after file is taken up under load, and no request fails', async () => {
    await using all = await start(workers)
    const load = await underLoad(all.port)
    let version = await versionOf(all.proxy)
    for (let round = 1; round <= 4; round++) {
      // Endpoints come and go, limits and routes change.
      all.proxy.write({
        ...all.config,
        discovery: { endpoints: { orders: backends.slice(0, 1 + (round % 3)).map(({ address }) => address) } },
        services: { orders: { limits: { connections: 100 + round }, routes: [{ name: `round-${round}` }] } },
      })
      version = await changed(all.proxy, version)
      const before = load.good()
      await until('good answers with it', () => load.good() > before + 30)
    }
    const { failures, good } = await load.stop()
    expect(failures).toEqual(NO_FAILURES)
    expect((await all.proxy.endpoints('orders')).map(({ address }) => address)).toEqual(
      backends.slice(0, 2).map(({ address }) => address),
    )
    const metrics = await all.proxy.metrics()
    expect(metrics.value('outrigger_config_version_info', { version })).toBe(1)
    // Series of routes that are gone are gone; the last one's are there.
    expect(metrics.text).not.toContain('round-3')
    expect(metrics.value('http_requests_total', { path: 'round-4' })).toBeGreaterThan(0)
    expect(good).toBeGreaterThan(200)
  })
})

test.concurrent('SIGHUP reads the files again, also when nothing changed', async () => {
  await using all = await start()
  all.proxy.signal('SIGHUP')
  await until('its line in the log', () => all.proxy.err().includes('SIGHUP: nothing changed'))
  expect((await get(all.port, '/')).status).toBe(200)
})

test.concurrent('requests and connections that are open live on over a reload, with what they began with', async () => {
  await using all = await start()
  using client = await rawClient(all.port)
  client.send('GET /slow/800 HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('it is under way', async () => (await all.proxy.endpoints('orders'))[0]!.active === 1)
  const before = await versionOf(all.proxy)
  all.proxy.write({ ...all.config, discovery: { endpoints: { orders: [backends[1]!.address] } } })
  await changed(all.proxy, before)
  await client.sees('slow\n')
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.sees(`\r\n\r\n${backends[1]!.port}\n`)
})

describe.concurrent('a file that is not valid', () => {
  test('keeps the running configuration, and says why at /ready?verbose, in /config, in the log and in a metric', async () => {
    await using all = await start()
    const { proxy } = all
    const load = await underLoad(all.port)
    const version = await versionOf(proxy)
    proxy.write('outbound:\n  - lisen: 127.0.0.1:1\n')
    await until('its line in the log', () => proxy.err().includes(`${proxy.file}:2:5`))
    expect(proxy.err()).toContain('the files are not valid, the running configuration stays')

    const ready = await proxy.admin('/ready?verbose')
    expect(ready.status).toBe(200)
    expect(ready.body).toMatch(
      /warn +last reload +refused at [\s\S]*sidecar.yaml:2:5: unknown key "lisen": did you mean "listen"/,
    )
    const config = JSON.parse((await proxy.admin('/config')).body) as {
      readonly version: string
      readonly lastErrors: readonly string[]
    }
    expect(config.version).toBe(version)
    expect(config.lastErrors.join()).toContain('lisen')
    expect((await proxy.metrics()).value('outrigger_config_last_reload_successful')).toBe(0)

    // Gone, and then good again.
    rmSync(proxy.file)
    await until('that it misses the file', async () =>
      (await proxy.admin('/ready?verbose')).body.includes('there is no such file'),
    )
    proxy.write({ ...all.config, services: { orders: { timeouts: { request: '3s' } } } })
    await changed(proxy, version)
    expect((await proxy.metrics()).value('outrigger_config_last_reload_successful')).toBe(1)
    expect((await proxy.admin('/ready?verbose')).body).toMatch(/ok +last reload +taken up/)
    expect((await load.stop()).failures).toEqual(NO_FAILURES)
  })

  test('what only a restart can change is said, the rest is taken up', async () => {
    await using all = await start()
    const version = await versionOf(all.proxy)
    all.proxy.write({ ...all.config, workers: 3, services: { orders: { timeouts: { request: '3s' } } } })
    await changed(all.proxy, version)
    const ready = await all.proxy.admin('/ready?verbose')
    expect(ready.body).toMatch(/warn +restart/)
    expect(ready.body).toContain('workers')
  })
})

describe.concurrent('listeners', () => {
  test('are added and removed while others serve', async () => {
    await using all = await start()
    const { proxy } = all
    const load = await underLoad(all.port)
    const added = await freePort()
    const first = await versionOf(proxy)
    proxy.write({
      ...all.config,
      outbound: [...all.config.outbound, { listen: `127.0.0.1:${added}`, service: 'orders' }],
    })
    const second = await changed(proxy, first)
    expect((await get(added, '/')).body).toBe(`${backends[0]!.port}\n`)

    // One request is under way there, one connection idle.
    using idle = await rawClient(added)
    idle.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await idle.sees('200 OK')
    const slow = get(added, '/slow/600')
    await until(
      'the slow request under way',
      async () =>
        (await proxy.metrics()).value('outrigger_downstream_connections_active', {
          listener: `outbound 127.0.0.1:${added}`,
        }) === 2,
    )
    proxy.write(all.config)
    await changed(proxy, second)
    await idle.ended
    expect(await slow).toMatchObject({ status: 200, body: 'slow\n' })
    await expect(get(added, '/')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect((await load.stop()).failures).toEqual(NO_FAILURES)
  })

  test.each([1, 2])(
    'on a port that is taken refuse the whole file (NACK), with %d data threads; once it is free SIGHUP takes it up',
    async workers => {
      await using all = await start(workers)
      const { proxy } = all
      const load = await underLoad(all.port)
      const version = await versionOf(proxy)
      const [taken, free] = [await freePort(), await freePort()]
      const holder = createServer()
      await new Promise<void>(done => holder.listen(taken, '127.0.0.1', done))
      const wanted = [
        ...all.config.outbound,
        { listen: `127.0.0.1:${free}`, service: 'orders' },
        { listen: `127.0.0.1:${taken}`, service: 'orders' },
      ]
      proxy.write({ ...all.config, outbound: wanted })
      await until('the reason in the log', () =>
        new RegExp(
          `the data threads cannot take the new configuration[\\s\\S]*${taken}: address already in use \\(EADDRINUSE\\)`,
        ).test(proxy.err()),
      )
      expect(await versionOf(proxy)).toBe(version)
      expect((await proxy.metrics()).value('outrigger_config_last_reload_successful')).toBe(0)
      expect((await proxy.admin('/ready?verbose')).body).toContain(String(taken))
      // Nothing of it is half there.
      await expect(get(free, '/')).rejects.toMatchObject({ code: 'ECONNREFUSED' })

      await new Promise(done => holder.close(done))
      proxy.signal('SIGHUP')
      await changed(proxy, version)
      for (const port of [taken, free]) expect((await get(port, '/')).status).toBe(200)
      expect((await load.stop()).failures).toEqual(NO_FAILURES)
    },
  )
})
