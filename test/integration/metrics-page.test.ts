import { Resolver } from 'node:dns/promises'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Metric } from '../../proxy/core/metric.ts'
import { metrics } from '../../proxy/core/metrics-table.ts'
import { issue } from '../support/certificates.ts'
import { startBackend } from './support/backend.ts'
import { certificateFiles } from './support/certificate-files.ts'
import { temporaryFolder } from './support/child.ts'
import { freePort } from './support/ports.ts'
import { get, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

/** Name, type, label names and help, as the table of metrics has them. test/telemetry/agent-series.test.ts has an agent. */
const documented = new Map(
  Object.entries<Metric>(metrics)
    .filter(([, { group }]) => group !== 'agent')
    .map(([name, { type, labels, help }]) => [name, { type, labels, help }]),
)

/** The same of a scrape, which shows each label of the table in some sample. */
function exposed(scrape: string): Map<string, Pick<Metric, 'type' | 'labels' | 'help'>> {
  const types = [...scrape.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$/gm)]
  return new Map(
    types.map(([, name = '', help = '', type]) => {
      const sample = new RegExp(`^${name}${type === 'histogram' ? '_count' : ''}(?:\\{(.*)\\})? \\S+$`, 'gm')
      const shown = [...scrape.matchAll(sample)].map(match =>
        [...(match[1] ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label!),
      )
      if (shown.length === 0) throw new Error(`${name} has no sample`)
      const known = documented.get(name)?.labels ?? []
      const labels = known.filter(label =>
        label.endsWith('?')
          ? shown.some(own => own.includes(label.slice(0, -1)))
          : shown.every(own => own.includes(label)),
      )
      const others = shown.flatMap(own => own.filter(label => !known.some(each => each.replace('?', '') === label)))
      return [name, { type: type as Metric['type'], labels: [...labels, ...new Set(others)], help }]
    }),
  )
}

/** A source, so that those of discovery are there too. */
function endpointFile(address: string): string {
  const file = join(temporaryFolder(), 'orders.json')
  writeFileSync(file, JSON.stringify([address]))
  return file
}

test('the table of metrics is what /metrics of a running proxy has: every name, type, label and help, and nothing else', async () => {
  await using backend = await startBackend()
  const [port, grpcPort, detectPort, upgradePort, agreeablePort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const [retriedPort, spentPort, wornPort, hedgedPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const [securePort, silentPort, dnsPort] = [await freePort(), await freePort(), await freePort()]
  const dead = `127.0.0.1:${await freePort()}`
  const agreeable = createServer(socket => {
    socket
      .on('error', () => {})
      .once('data', () =>
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
      )
  })
  await new Promise<void>(done => agreeable.listen(agreeablePort, '127.0.0.1', done))
  const silent = createServer(socket => socket.on('error', () => {}).resume())
  await new Promise<void>(done => silent.listen(silentPort, done))
  await using proxy = await startProxy({
    outbound: [
      { listen: `127.0.0.1:${port}`, service: 'orders' },
      { listen: `127.0.0.1:${grpcPort}`, service: 'prices' },
      { listen: `127.0.0.1:${upgradePort}`, service: 'sockets' },
      { listen: `127.0.0.1:${retriedPort}`, service: 'retried' },
      { listen: `127.0.0.1:${spentPort}`, service: 'spent' },
      { listen: `127.0.0.1:${wornPort}`, service: 'worn' },
      { listen: `127.0.0.1:${hedgedPort}`, service: 'hedged' },
      { listen: `127.0.0.1:${detectPort}`, service: 'orders', protocol: 'detect', timeouts: { detect: '500ms' } },
    ],
    inbound: [
      {
        listen: `127.0.0.1:${securePort}`,
        forward: backend.address,
        tls: certificateFiles().pair('orders', issue('orders', null, { names: ['127.0.0.1'] })),
      },
    ],
    dns: { listen: `127.0.0.1:${dnsPort}`, servers: ['127.0.0.1:9'], ipv6: 'off' },
    discovery: {
      files: { orders: endpointFile(backend.address) },
      endpoints: {
        prices: [backend.address],
        sockets: [`127.0.0.1:${agreeablePort}`],
        retried: [dead],
        spent: [dead],
        worn: [dead],
        hedged: [`127.0.0.1:${silentPort}`, `127.0.0.2:${silentPort}`],
      },
    },
    services: {
      orders: { health: { tcp: {} } },
      prices: {
        protocol: 'grpc',
        rateLimits: [{ rate: '1000/s' }],
        faults: [{ byHeaders: true }],
        mirror: { service: 'spent', percent: 0.001 },
      },
      retried: { subsets: { all: {} }, routes: [{ match: { path: { prefix: '/' } }, to: [{ subset: 'all' }] }] },
      spent: { retries: { budget: { percent: 0, minPerSecond: 0 } } },
      worn: {
        breaker: { volume: 1 },
        concurrency: {},
        outliers: { mode: 'shadow', consecutiveGatewayFailures: 1 },
      },
      hedged: { retries: { hedge: { after: '50ms' } }, timeouts: { request: '300ms' } },
    },
  })
  for (const refused of [retriedPort, spentPort, wornPort]) expect((await get(refused, '/')).status).toBe(503)
  expect((await get(hedgedPort, '/')).status).toBe(504)
  expect((await get(port, '/')).status).toBe(200)
  expect(
    (await get(grpcPort, '/', { method: 'POST', headers: { 'content-type': 'application/grpc-web' } })).headers[
      'grpc-status'
    ],
  ).toBe('14')
  const names = new Resolver()
  names.setServers([`127.0.0.1:${dnsPort}`])
  expect(await names.resolve4('orders.mesh')).toHaveLength(1)
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
  // A connection without the TLS that its listener asks for.
  const plain = connect(securePort, '127.0.0.1')
    .on('error', () => {})
    .resume()
  plain.write('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
  // A series is announced to the control thread as its first request ends: the scrape may be sooner.
  await expect.poll(async () => exposed((await proxy.metrics()).text), { timeout: 20_000 }).toEqual(documented)
  for (const connection of [...tunnels, upgraded, plain]) connection.destroy()
  for (const server of [agreeable, silent]) server.close()
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
  expect(page).toContain(
    `For each route and each pair of services on it: ${lines(/^http_response_time_seconds_\w+\{/)} for the histogram`,
  )
  expect(page).toContain(`For each endpoint: ${lines(/endpoint="/)}.`)
})

test('series of requests that are idle go, gauges and endpoints stay, and a scraper may have OpenMetrics', async () => {
  await using backend = await startBackend()
  const [port, metricsPort] = [await freePort(), await freePort()]
  await using proxy = await startProxy({
    metrics: { listen: `127.0.0.1:${metricsPort}`, expire: '1s', aliases: ['istio'] },
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    discovery: { endpoints: { orders: [backend.address] } },
  })
  expect((await get(port, '/')).status).toBe(200)
  await until('the request in the metrics', async () => (await proxy.metrics()).has('http_requests_total'))
  const accept = 'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3'
  const { headers, body } = await get(metricsPort, '/metrics', { headers: { accept } })
  expect(headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
  expect(body).toMatch(/# TYPE istio_requests counter\nistio_requests_total\{.*# EOF\n$/s)
  const idle = await until('the series to go', async () => {
    const metrics = await proxy.metrics()
    return !metrics.has('http_requests_total') && metrics
  })
  expect(idle.has('http_response_time_seconds_count')).toBe(false)
  expect(idle.has('istio_requests_total')).toBe(false)
  expect(idle.value('outrigger_upstream_requests_total')).toBe(1)
  expect(idle.has('outrigger_upstream_connections')).toBe(true)
  expect((await get(port, '/')).status).toBe(200)
  await until('it is back, from 0', async () => (await proxy.metrics()).value('http_requests_total') === 1)
})
