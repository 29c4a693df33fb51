import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { obtain } from '../peers/obtain.ts'
import { issue } from '../support/certificates.ts'
import { type Child, startChild, temporaryFolder } from './support/child.ts'
import { type Nginx, startNginx } from './support/nginx.ts'
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

/** Active health checks of the real program against real servers. */

const ends: (() => unknown)[] = []
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const fast = { interval: '200ms', noTrafficInterval: '200ms', timeout: '2s', unhealthyAfter: 2, healthyAfter: 2 }
let nginx: Nginx
beforeAll(async () => {
  nginx = await startNginx({
    server: www => `location /healthz { if (-f ${www}/down) { return 503; } return 200 "all is ready"; }`,
  })
  ends.push(nginx.stop)
})

async function started(config: object): Promise<RunningProxy> {
  const proxy = await startProxy({ service: 'web', ...config })
  ends.push(proxy.stop)
  return proxy
}

/** `health` by port. */
async function health(proxy: RunningProxy, service: string): Promise<Record<string, string>> {
  const endpoints = await proxy.endpoints(service)
  return Object.fromEntries(endpoints.map(each => [each.address.split(':').at(-1)!, each.health]))
}

test('an endpoint of nginx that answers 503, and one of Node, with two data threads', async () => {
  let checks = 0
  const server = createServer((request, response) => {
    if (request.url === '/healthz') checks++
    response.end('all is ready')
  })
  ends.push(() => server.close())
  const own = await new Promise<number>(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
  const port = await freePort()
  const [file, down] = [join(temporaryFolder(), 'orders.json'), join(nginx.www, 'down')]
  writeFileSync(file, JSON.stringify([{ address: `127.0.0.1:${own}` }]))
  const config = {
    workers: 2,
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    // One endpoint is in the list, one comes from a file.
    discovery: { endpoints: { orders: [nginx.address] }, files: { orders: file } },
    services: { orders: { health: { http: { path: '/healthz', body: { regex: '^all .* ready$' } }, ...fast } } },
    metrics: { listen: `127.0.0.1:${await freePort()}`, aliases: ['envoy'] },
  }
  const proxy = await started(config)
  const isHealth = (at: string, what: string) => async () => (await health(proxy, 'orders'))[at] === what
  await until('both were checked', () => checks > 0 && nginx.log().some(([, , , path]) => path === '/healthz'))
  expect(await health(proxy, 'orders')).toEqual({ [nginx.port]: 'passing', [own]: 'passing' })

  writeFileSync(down, '')
  await until('nginx is unhealthy', isHealth(String(nginx.port), 'failing'))
  const shown = await proxy.admin('/endpoints', { headers: { accept: 'text/plain' } })
  expect(shown.body).toContain(`GET http://127.0.0.1:${nginx.port}/healthz answers 503`)
  expect(shown.body).toMatch(/checked by GET \/healthz every 200 ms: 1 healthy, 1 unhealthy/)
  const page = await proxy.admin('/endpoints', { headers: { accept: 'text/html' } })
  expect(page.body).toContain('answers 503')
  const bodies = await Promise.all(Array.from({ length: 20 }, () => get(port, '/').then(({ body }) => body)))
  expect(new Set(bodies)).toEqual(new Set(['all is ready']))

  const metrics = await proxy.metrics()
  const sum = (name: string, labels: Record<string, string>) => metrics.value(name, labels)
  expect(sum('outrigger_health_checks_total', { service: 'orders', result: 'unhealthy' })).toBeGreaterThan(0)
  expect(sum('outrigger_health_checked_endpoints', { service: 'orders', state: 'unhealthy' })).toBe(1)
  expect(sum('envoy_cluster_health_check_healthy', { envoy_cluster_name: 'orders' })).toBe(1)
  const attempts = sum('envoy_cluster_health_check_attempt', { envoy_cluster_name: 'orders' })
  // Once for both data threads: about ten a second for two endpoints.
  expect(attempts).toBeGreaterThanOrEqual(checks)

  // A reload of something else keeps what is known.
  const version = async () => (JSON.parse((await proxy.admin('/config')).body) as { version: string }).version
  const before = await version()
  proxy.write({ ...config, zone: 'b' })
  await until('the reload is in force', async () => (await version()) !== before)
  expect((await health(proxy, 'orders'))[nginx.port]).toBe('failing')

  rmSync(down)
  await until('nginx is healthy again', isHealth(String(nginx.port), 'passing'))
  await until('the log says both', () => /is healthy/.test(proxy.err()))
  expect(proxy.err()).toMatch(new RegExp(`orders: 127.0.0.1:${nginx.port} is unhealthy: GET .* answers 503`))
})

test('the gRPC health service, which says NOT_SERVING', async () => {
  let status = 1
  const server = new GrpcServer()
  server.addService(
    {
      check: {
        path: '/grpc.health.v1.Health/Check',
        requestStream: false,
        responseStream: false,
        requestSerialize: (value: Buffer) => value,
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: () => Buffer.from([8, status]),
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    },
    { check: (_call: unknown, done: (error: null, value: object) => void) => done(null, {}) } as never,
  )
  const own = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  ends.push(() => server.forceShutdown())
  const proxy = await started({
    outbound: [{ listen: '127.0.0.1:0', service: 'shop' }],
    discovery: { endpoints: { shop: [`127.0.0.1:${own}`] } },
    services: { shop: { protocol: 'grpc', health: { grpc: { service: 'shop.Orders' }, ...fast } } },
  })
  const count = async (result: string) =>
    (await proxy.metrics()).value('outrigger_health_checks_total', { service: 'shop', result })
  await until('it was checked', async () => (await count('healthy')) > 2)
  expect(await health(proxy, 'shop')).toEqual({ [own]: 'passing' })
  status = 2
  await until('it is unhealthy', async () => (await health(proxy, 'shop'))[own] === 'failing')
  expect((await proxy.endpoints('shop'))[0]!.healthReason).toBe(
    `the gRPC health of shop.Orders at 127.0.0.1:${own} is NOT_SERVING`,
  )
  status = 1
  await until('it is healthy', async () => (await health(proxy, 'shop'))[own] === 'passing')
})

test('a PING that Redis answers, until it is gone; and a port that only takes connections', async () => {
  const port = await freePort()
  const startRedis = async (): Promise<Child> => {
    const redis = startChild(await obtain('redis-server'), [
      '--port',
      String(port),
      '--save',
      '',
      '--dir',
      temporaryFolder(),
    ])
    await redis.said('a Redis that is ready', out => out.includes('Ready to accept connections'))
    return redis
  }
  const redis = await startRedis()
  ends.push(redis.stop)
  const tcp = (send: object) => ({ protocol: 'tcp', health: { tcp: send, ...fast } })
  const proxy = await started({
    outbound: [
      { listen: '127.0.0.1:0', service: 'cache' },
      { listen: '127.0.0.1:0', service: 'other' },
    ],
    discovery: { endpoints: { cache: [`127.0.0.1:${port}`], other: [`127.0.0.1:${port}`] } },
    services: { cache: tcp({ send: 'PING\r\n', receive: ['+PONG'] }), other: tcp({}) },
  })
  const healthy = async (service: string) =>
    (await proxy.metrics()).value('outrigger_health_checks_total', { service, result: 'healthy' })
  await until('both were checked', async () => (await healthy('cache')) > 1 && (await healthy('other')) > 1)
  await redis.stop()
  for (const service of ['cache', 'other'])
    await until(`${service} is unhealthy`, async () => (await health(proxy, service))[port] === 'failing')
  expect((await proxy.endpoints('cache'))[0]!.healthReason).toBe('ECONNREFUSED')
  const again = await startRedis()
  ends.push(again.stop)
  for (const service of ['cache', 'other'])
    await until(`${service} is healthy`, async () => (await health(proxy, service))[port] === 'passing')
})

test('an endpoint that speaks TLS, with and without the authority of its certificate', async () => {
  const authority = issue('Test CA', null)
  const { cert, key } = issue('server', authority, { names: ['orders.internal'] })
  const seen: string[] = []
  const server = createTlsServer({ cert, key }, (request, response) => {
    seen.push(`${request.headers.host} ${request.url}`)
    response.end()
  })
  ends.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const own = await new Promise<number>(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
  const ca = join(temporaryFolder(), 'ca.pem')
  writeFileSync(ca, authority.cert)
  const endpoint = [`127.0.0.1:${own}`]
  const asked = { health: { http: { path: '/healthz' }, ...fast } }
  const proxy = await started({
    outbound: [{ listen: '127.0.0.1:0' }],
    discovery: { endpoints: { orders: endpoint, strange: endpoint, open: endpoint } },
    services: {
      orders: { tls: { ca, serverName: 'orders.internal' }, ...asked },
      strange: { tls: { serverName: 'orders.internal' }, ...asked },
      open: { tls: { ca, serverName: 'orders.internal' }, health: { tcp: {}, tls: false, ...fast } },
    },
  })
  await until(
    'the one that is not trusted is unhealthy',
    async () => (await health(proxy, 'strange'))[own] === 'failing',
  )
  expect((await proxy.endpoints('strange'))[0]!.healthReason).toMatch(/^GET https:.*\/healthz: TLS: /)
  await until('the other was asked', () => seen.length > 2)
  expect(seen[0]).toBe('orders /healthz')
  expect([await health(proxy, 'orders'), await health(proxy, 'open')]).toEqual([
    { [own]: 'passing' },
    { [own]: 'passing' },
  ])
})

test('applications that hang, and never end their answer, hold up nothing', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/hang') return
    response.writeHead(200, { 'content-length': 2 ** 30 })
    const more = () => {
      while (response.write(Buffer.alloc(65_536)) && !response.destroyed);
    }
    response.on('drain', more)
    more()
  })
  ends.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const own = await new Promise<number>(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
  const http = (path: string) => ({ health: { http: { path }, ...fast, timeout: '100ms' } })
  const endpoint = [`127.0.0.1:${own}`]
  const proxy = await started({
    outbound: [{ listen: '127.0.0.1:0' }],
    discovery: { endpoints: { hangs: endpoint, floods: endpoint, orders: [nginx.address] } },
    services: { hangs: http('/hang'), floods: http('/flood'), orders: http('/healthz') },
  })
  const count = async (service: string, result: string) =>
    (await proxy.metrics()).value('outrigger_health_checks_total', { service, result })
  await until(
    'all were checked',
    async () => (await count('hangs', 'failed')) > 5 && (await count('floods', 'healthy')) > 5,
  )
  expect(await count('orders', 'healthy')).toBeGreaterThan(3)
  expect((await health(proxy, 'hangs'))[own]).toBe('failing')
})
