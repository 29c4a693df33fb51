import { writeFileSync } from 'node:fs'
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { obtain } from '../peers/obtain.ts'
import { type Backend, startBackend } from './support/backend.ts'
import { run, startChild, temporaryFolder } from './support/child.ts'
import { startEnvoy } from './support/envoy.ts'
import { freePort } from './support/ports.ts'
import { get, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

// Other people's HTTP/2 servers as endpoints, and what becomes of requests as they come and go.

let backend: Backend
beforeAll(async () => {
  backend = await startBackend()
})
afterAll(() => backend.stop())

async function start(addresses: readonly string[], service: object = {}) {
  const port = await freePort()
  const proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    discovery: { endpoints: { orders: addresses } },
    services: { orders: { protocol: 'http2', ...service } },
  })
  return { proxy, port, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
}

const h2load = async (port: number, path: string, requests: number, connections = 4, streams = 16) =>
  (
    await run(await obtain('h2load'), [
      '-c',
      `${connections}`,
      '-m',
      `${streams}`,
      '-n',
      `${requests}`,
      `http://127.0.0.1:${port}${path}`,
    ])
  ).out

const allDone = (requests: number) =>
  new RegExp(`${requests} done, ${requests} succeeded, 0 failed, 0 errored, 0 timeout`)

describe('Envoy', () => {
  test('takes bodies both ways, and gets another connection where it allows no more streams', async () => {
    const backendPort = backend.port
    await using envoy = await startEnvoy(backendPort, 10)
    await using all = await start([envoy.address])
    const body = Buffer.alloc(3_000_000, 'outrigger ')
    const [small, large, echoed, counted] = await Promise.all([
      get(all.port, '/'),
      get(all.port, '/bytes/5000000'),
      get(all.port, '/echo', { method: 'POST', body }),
      get(all.port, '/count', { method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } }),
    ])
    expect([small.body, large.body.length, echoed.body === body.toString(), counted.body]).toEqual([
      `${backendPort}\n`,
      5_000_000,
      true,
      '3000000\n',
    ])
    expect(await h2load(all.port, '/slow/20', 1000)).toMatch(allDone(1000))
    // 64 at a time.
    const [endpoint] = await all.proxy.endpoints('orders')
    expect(endpoint!.connections).toBeGreaterThanOrEqual(7)
    expect((await all.proxy.metrics()).value('outrigger_upstream_failures_total')).toBe(0)
  })

  test('that drains under load loses no request, and then the other has them all', async () => {
    await using leaving = await startEnvoy(backend.port, 100)
    await using staying = await startEnvoy(backend.port, 100)
    await using all = await start([leaving.address, staying.address])
    const load = h2load(all.port, '/slow/3', 12_000)
    await until('both have requests', async () =>
      (await all.proxy.endpoints('orders')).every(({ active }) => active > 0),
    )
    await get(leaving.adminPort, '/drain_listeners?graceful&skip_exit', { method: 'POST' })
    expect(await load).toMatch(allDone(12_000))
    expect((await all.proxy.metrics()).value('http_requests_total', { status: '200' })).toBeGreaterThanOrEqual(12_000)
  })
})

/** Answers each request with what it is, and counts those it has begun with. */
async function startNode(
  onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, session: ServerHttp2Session) => void,
) {
  const server: Http2Server = createServer()
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', session => sessions.add(session.on('error', () => {})))
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {})
    onStream(stream, headers, stream.session as ServerHttp2Session)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.dispose]() {
      for (const session of sessions) session.destroy()
      server.close()
    },
  }
}

test('GOAWAY in the middle: what the server had begun with is answered, the rest goes elsewhere, each once and without blame', async () => {
  const done: string[] = []
  const answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    done.push(String(headers['x-number']))
    stream.respond({ ':status': 200 })
    stream.end('done')
  }
  const held: (() => void)[] = []
  let first: ServerHttp2Session | null = null
  using leaving = await startNode((stream, headers, session) => {
    first ??= session
    if (session !== first) answer(stream, headers)
    else if (held.length < 3) held.push(() => answer(stream, headers))
    // Stream 7 and above it never looked at.
    else session.goaway(0, 5)
  })
  using staying = await startNode(answer)
  await using all = await start([leaving.address, staying.address], { balancer: { type: 'round_robin' } })
  const asked = Array.from({ length: 20 }, (_, i) =>
    get(all.port, '/', { method: 'POST', headers: { 'x-number': `${i}` }, body: 'pay' }),
  )
  await until('the rest went elsewhere', () => done.length === 17)
  for (const finish of held) finish()
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array(20).fill(200))
  expect(done.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i))
  const metrics = await all.proxy.metrics()
  expect(metrics.value('outrigger_upstream_failures_total')).toBe(0)
  expect(metrics.value('outrigger_upstream_ejections_total')).toBe(0)
})

test('nghttpd that is killed and comes back: what it had is tried again, and no request fails', async () => {
  const www = temporaryFolder()
  writeFileSync(join(www, 'small'), 'ok')
  const program = await obtain('nghttpd')
  const startOne = async (port: number) => {
    const child = startChild(program, ['--no-tls', '--address', '127.0.0.1', '-d', www, `${port}`])
    await until('nghttpd listens', () =>
      rawClient(port).then(
        ({ socket }) => socket.destroy() !== undefined,
        () => false,
      ),
    )
    return child
  }
  const [falling, standing] = [await freePort(), await freePort()]
  let child = await startOne(falling)
  await startOne(standing)
  // Nothing is left to a budget, nor to ejection: each request that meets a dying server is tried again.
  await using all = await start([`127.0.0.1:${falling}`, `127.0.0.1:${standing}`], {
    retries: { budget: { percent: 100, minPerSecond: 1000 } },
    outliers: { consecutiveGatewayFailures: 0 },
  })
  let isOver = false
  const load = h2load(all.port, '/small', 20_000).finally(() => {
    isOver = true
  })
  let kills = 0
  for (; !isOver && kills < 20; kills++) {
    child.signal('SIGKILL')
    await child.ended
    child = await startOne(falling)
  }
  expect(kills).toBeGreaterThan(0)
  expect(await load).toMatch(allDone(20_000))
  expect(await load).toMatch(/20000 2xx/)
})
