import { describe, expect, test } from 'vitest'
import { type Backend, startBackend } from './support/backend.ts'
import { startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { type RunningProxy, startProxy } from './support/proxy.ts'
import { type RawEnd, rawClient } from './support/raw.ts'
import { until, within } from './support/until.ts'

// Data threads: all serve, and one that dies takes nothing with it but its own connections. They die here as they would
// in life: out of memory. A flight recorder without a bound worth the name, and a small heap, make a few thousand
// requests with long paths enough.

const LITTLE_MEMORY = { NODE_OPTIONS: '--max-old-space-size=40' }

interface Started extends AsyncDisposable {
  readonly proxy: RunningProxy
  readonly backend: Backend
  readonly port: number
}

async function start(workers: number): Promise<Started> {
  const backend = await startBackend()
  const port = await freePort()
  const config = {
    workers,
    flights: { recent: 1_000_000 },
    accessLog: 'off',
    outbound: [{ listen: `127.0.0.1:${port}` }],
    discovery: { endpoints: { orders: [backend.address] } },
  }
  const proxy = await startProxy(config, LITTLE_MEMORY)
  return {
    proxy,
    backend,
    port,
    async [Symbol.asyncDispose]() {
      await proxy.stop()
      await backend.stop()
    },
  }
}

/** Resolves when the data thread that took this connection is dead. */
async function crash(port: number): Promise<void> {
  using client = await rawClient(port)
  const request = `GET /${'long'.repeat(3000)} HTTP/1.1\r\nHost: nobody\r\n\r\n`.repeat(8)
  client.socket.removeAllListeners('data').resume()
  const write = () => {
    while (client.socket.writable && client.socket.write(request));
  }
  client.socket.on('drain', write)
  write()
  await within('the crash', Promise.race([client.closed, client.ended]))
}

/** A request on a connection that is kept. */
async function ask(client: RawEnd): Promise<boolean> {
  const before = client.received().length
  client.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
  await Promise.race([until('an answer', () => client.received().length > before), client.ended, client.closed])
  return client.received().slice(before).startsWith('HTTP/1.1 200')
}

/** Those that were answered. */
async function askAll(clients: readonly RawEnd[]): Promise<RawEnd[]> {
  const answered = await Promise.all(clients.map(ask))
  return clients.filter((_, index) => answered[index])
}

function connect(port: number, count: number): Promise<RawEnd[]> {
  return Promise.all(Array.from({ length: count }, () => rawClient(port)))
}

describe('two data threads', () => {
  test('share each port, and both serve', async () => {
    await using all = await start(2)
    const load = startLoad({ port: all.port, path: '/', rate: 1000, headers: { host: 'orders' } })
    await until('work on both threads', async () => {
      const metrics = await all.proxy.metrics()
      return ['0', '1'].every(thread => metrics.value('outrigger_event_loop_utilization_ratio', { thread }) > 0.02)
    })
    const { good, failures } = await load.stop()
    expect(failures).toEqual(new Map())
    expect((await all.proxy.metrics()).value('outrigger_data_threads')).toBe(2)
    // The caller may have its answer before it is counted.
    await until(
      'all are counted',
      async () =>
        (await all.proxy.metrics()).value('http_requests_total', { status: '200', service: 'orders' }) === good,
    )
    // What /endpoints says of both threads together.
    expect((await all.proxy.endpoints('orders'))[0]).toMatchObject({ requests: good, active: 0 })
  })

  test('one dies: the other goes on serving, it is replaced, and no count is lost', async () => {
    await using all = await start(2)
    const clients = await connect(all.port, 40)
    expect(await askAll(clients)).toEqual(clients)

    await crash(all.port)
    await until('its end in the log', () => all.proxy.err().includes('ended and is replaced'))
    // Those of the living thread do not notice.
    const alive = await askAll(clients)
    expect(alive.length).toBeGreaterThan(0)
    expect(alive.length).toBeLessThan(40)

    await until('its successor', () => all.proxy.err().includes('serves again'))
    const [ended, again] = all.proxy
      .err()
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { time: string; thread: number; msg: string })
    expect(ended!.msg).toMatch(/^data thread \d ended and is replaced: .*out of memory/)
    expect(again).toMatchObject({ thread: ended!.thread, msg: `data thread ${ended!.thread} serves again` })

    // The other thread is there as before, and new connections reach both.
    const fresh = await connect(all.port, 40)
    expect(await askAll([...alive, ...fresh])).toHaveLength(alive.length + 40)
    const metrics = await all.proxy.metrics()
    expect(metrics.value('http_requests_total', { status: '200', service: 'orders' })).toBe(
      40 + alive.length + alive.length + 40,
    )
    expect(metrics.value('outrigger_data_threads')).toBe(2)
    expect(metrics.value('outrigger_data_thread_restarts_total')).toBe(1)
    // What is open now, without what died.
    expect(metrics.value('outrigger_downstream_connections_active')).toBe(alive.length + 40)
    expect((await all.proxy.admin('/ready?verbose')).body).toContain('out of memory')
    for (const client of [...clients, ...fresh]) client.socket.destroy()
  })
})

test('the only data thread dies: its successor serves on the same port; one that dies again is given a pause', async () => {
  await using all = await start(1)
  const before = all.proxy.pid
  await crash(all.port)
  await until('its successor', () => all.proxy.err().includes('serves again'))
  expect((await all.proxy.admin('/ready')).status).toBe(200)
  using client = await rawClient(all.port)
  expect(await ask(client)).toBe(true)
  expect(all.proxy.pid).toBe(before)
  // Again at once: now with a pause, which says why.
  await crash(all.port)
  await until('a pause', () => /ended and is replaced in \d+ ms/.test(all.proxy.err()))
  await until('the second successor', () => all.proxy.err().split('serves again').length === 3)
  expect((await all.proxy.metrics()).value('outrigger_data_thread_restarts_total')).toBe(2)
})
