import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { obtain } from '../peers/obtain.ts'
import { type Child, run, startChild } from './support/child.ts'
import { freePort } from './support/ports.ts'
import { type RunningProxy, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

// Load by ghz on the gRPC server of grpc-go, through sidecars: not one call fails, whatever happens meanwhile.

let ghz: string
let servers: { readonly port: number; readonly child: Child }[]

beforeAll(async () => {
  ghz = await obtain('ghz')
  const server = await obtain('grpc-interop-server')
  servers = await Promise.all(
    [1, 2, 3].map(async () => {
      const port = await freePort()
      return { port, child: startChild(server, ['-port', String(port)]) }
    }),
  )
  await until('the servers listen', async () =>
    (await Promise.all(servers.map(({ port }) => listens(port)))).every(Boolean),
  )
}, 300_000)
afterAll(() => Promise.all(servers.map(({ child }) => child.stop())))

function listens(port: number): Promise<boolean> {
  return rawClient(port).then(
    ({ socket }) => socket.destroy() !== undefined,
    () => false,
  )
}

/** Statuses by name, and how often each came. */
async function load(port: number, ...args: readonly string[]): Promise<Readonly<Record<string, number>>> {
  const proto = join(import.meta.dirname, 'support/interop.proto')
  const call = [
    '--insecure',
    '--proto',
    proto,
    '--call',
    'grpc.testing.TestService.EmptyCall',
    '-d',
    '{}',
    '-O',
    'json',
  ]
  const { code, out, err } = await run(ghz, [...call, ...args, `127.0.0.1:${port}`])
  if (code !== 0) throw new Error(`ghz ended with ${code}: ${err}${out}`)
  return (JSON.parse(out) as { statusCodeDistribution: Record<string, number> }).statusCodeDistribution
}

function startInbound(port: number, app: number): Promise<RunningProxy> {
  return startProxy({
    service: 'calls',
    inbound: [{ listen: `127.0.0.1:${port}`, forward: `127.0.0.1:${app}`, application: { protocol: 'grpc' } }],
    drain: { delay: '0s', timeout: '10s' },
  })
}

test('one connection of a client is shared evenly among three servers, call by call', async () => {
  const port = await freePort()
  await using proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'calls' }],
    discovery: { endpoints: { calls: servers.map(server => `127.0.0.1:${server.port}`) } },
    services: { calls: { protocol: 'grpc', balancer: { type: 'round_robin' } } },
  })
  expect(await load(port, '-n', '600', '-c', '6', '--connections', '1')).toEqual({ OK: 600 })
  const counts = (await proxy.endpoints('calls')).map(({ requests }) => requests)
  expect(counts).toEqual([200, 200, 200])
  expect((await proxy.metrics()).value('outrigger_downstream_connections_total')).toBe(1)
})

test('an instance restarts (GOAWAY), and the configuration changes, under load: not one call fails', async () => {
  const [port, first, second] = [await freePort(), await freePort(), await freePort()]
  await using kept = await startInbound(first, servers[0]!.port)
  let restarted = await startInbound(second, servers[1]!.port)
  const config = (weight: number) => ({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'calls' }],
    discovery: {
      endpoints: {
        calls: [
          { address: `127.0.0.1:${first}`, weight },
          { address: `127.0.0.1:${second}`, weight: 1 },
        ],
      },
    },
    services: { calls: { protocol: 'grpc', timeouts: { request: weight % 2 === 0 ? '14s' : '15s' } } },
  })
  await using proxy = await startProxy(config(1))
  let running = true
  const done = load(port, '-z', '6s', '-c', '20', '--connections', '2', '--duration-stop', 'wait').finally(() => {
    running = false
  })
  const requests = async () => (await proxy.metrics()).value('outrigger_upstream_requests_total')
  let restarts = 0
  let reloads = 1
  while (running && restarts < 2) {
    const before = await requests()
    await until('that load is on', async () => !running || (await requests()) > before + 200)
    proxy.write(config(++reloads))
    restarted.signal('SIGTERM')
    expect(await restarted.ended).toEqual({ code: 0, signal: null })
    proxy.write(config(++reloads))
    restarted = await startInbound(second, servers[1]!.port)
    restarts++
  }
  const statuses = await done
  await restarted.stop()
  expect(restarts).toBeGreaterThan(0)
  expect(statuses).toEqual({ OK: expect.any(Number) })
  expect(statuses.OK).toBeGreaterThan(200)
  expect(
    (await kept.metrics()).value('grpc_requests_total', { direction: 'inbound', grpc_status: '0' }),
  ).toBeGreaterThan(100)
})
