import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startBackend } from './support/backend.ts'
import { temporaryFolder } from './support/child.ts'
import { freePort } from './support/ports.ts'
import { get, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

/** Name, type and label names, as docs/metrics.md has them in its tables. */
function documented(): Map<string, string> {
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
  const rows = page.matchAll(/^\| `([a-z0-9_]+)` \| (counter|gauge|histogram) \| ([^|]*)\|/gm)
  return new Map(
    [...rows].map(([, name, type, labels]) => [
      name!,
      `${type} ${[...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label).join(' ')}`.trim(),
    ]),
  )
}

/** The same of a scrape. A family without a series has no labels to show, so each must have one. */
function exposed(scrape: string): Map<string, string> {
  const types = new Map([...scrape.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]))
  return new Map(
    [...types].map(([name, type]) => {
      const sample = new RegExp(`^${name}${type === 'histogram' ? '_count' : ''}(?:\\{(.*)\\})? \\S+$`, 'm').exec(
        scrape,
      )
      if (sample === null) throw new Error(`${name} has no sample`)
      return [name, `${type} ${[...(sample[1] ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label).join(' ')}`.trim()]
    }),
  )
}

/** A source, so that those of discovery are there too. */
function endpointFile(address: string): string {
  const file = join(temporaryFolder(), 'orders.json')
  writeFileSync(file, JSON.stringify([address]))
  return file
}

test('docs/metrics.md lists what /metrics of a running proxy has: every name, type and label, and nothing else', async () => {
  await using backend = await startBackend()
  const [port, grpcPort, detectPort, upgradePort, agreeablePort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const agreeable = createServer(socket => {
    socket
      .on('error', () => {})
      .once('data', () =>
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
      )
  })
  await new Promise<void>(done => agreeable.listen(agreeablePort, '127.0.0.1', done))
  await using proxy = await startProxy({
    outbound: [
      { listen: `127.0.0.1:${port}`, service: 'orders' },
      { listen: `127.0.0.1:${grpcPort}`, service: 'prices' },
      { listen: `127.0.0.1:${upgradePort}`, service: 'sockets' },
      { listen: `127.0.0.1:${detectPort}`, service: 'orders', protocol: 'detect', timeouts: { detect: '500ms' } },
    ],
    discovery: {
      files: { orders: endpointFile(backend.address) },
      endpoints: { prices: [backend.address], sockets: [`127.0.0.1:${agreeablePort}`] },
    },
    services: { prices: { protocol: 'grpc' } },
  })
  expect((await get(port, '/')).status).toBe(200)
  expect(
    (await get(grpcPort, '/', { method: 'POST', headers: { 'content-type': 'application/grpc-web' } })).headers[
      'grpc-status'
    ],
  ).toBe('14')
  // A connection that says that it is no HTTP, and one that says nothing in time.
  const tunnels = [1, 2].map(() =>
    connect(detectPort, '127.0.0.1')
      .on('error', () => {})
      .resume(),
  )
  tunnels[0]!.end('\0')
  // A tunnel over HTTP, to an endpoint that says yes to everything.
  const upgraded = connect(upgradePort, '127.0.0.1', () => {
    upgraded.write(
      'GET / HTTP/1.1\r\nHost: sockets\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    )
  })
  upgraded.on('error', () => {}).resume()
  // A series is announced to the control thread as its first request ends: the scrape may be sooner.
  await expect.poll(async () => exposed((await proxy.metrics()).text)).toEqual(documented())
  for (const tunnel of [...tunnels, upgraded]) tunnel.destroy()
  agreeable.close()
})

test('the number of series it names is right', async () => {
  await using backend = await startBackend()
  const port = await freePort()
  await using proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    discovery: { endpoints: { orders: [backend.address] } },
  })
  expect((await get(port, '/')).status).toBe(200)
  const { text } = await until('the request in the metrics', async () => {
    const scrape = await proxy.metrics()
    return scrape.text.includes('http_requests_total{') && scrape
  })
  const lines = (pattern: RegExp) => text.split('\n').filter(line => pattern.test(line)).length
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
  expect(page).toContain(`For each route: ${lines(/^http_response_time_seconds_\w+\{/)} for the histogram`)
  expect(page).toContain(`For each endpoint: ${lines(/endpoint="/)}.`)
})
