import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { obtain } from '../peers/obtain.ts'
import { run, startChild } from './support/child.ts'
import { freePort } from './support/ports.ts'
import { type RunningProxy, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

/**
 * The interoperability cases of gRPC (grpc/doc/interop-test-descriptions.md) with the client and the server of grpc-go,
 * through one sidecar and through two. `status`: what the last call of a case ends with.
 */
const cases: readonly (readonly [name: string, status: string | null])[] = [
  ['empty_unary', '0'],
  ['large_unary', '0'],
  ['client_streaming', '0'],
  ['server_streaming', '0'],
  ['ping_pong', '0'],
  ['empty_stream', '0'],
  // Cancelled at once: it may never leave the client.
  ['cancel_after_begin', null],
  ['cancel_after_first_response', '1'],
  // One millisecond: the client may give up before it has a connection. Deadlines that a sidecar sees: grpc.test.ts.
  ['timeout_on_sleeping_server', null],
  ['status_code_and_message', '2'],
  ['special_status_message', '2'],
  ['unimplemented_method', '12'],
  ['unimplemented_service', '12'],
  ['custom_metadata', '0'],
]

let server: string
let client: string
let inbound: RunningProxy
let outbound: RunningProxy
let ports: { one: number; two: number }

beforeAll(async () => {
  server = await obtain('grpc-interop-server')
  client = await obtain('grpc-interop-client')
  const [appPort, inPort, one, two] = [await freePort(), await freePort(), await freePort(), await freePort()]
  ports = { one, two }
  startChild(server, ['-port', String(appPort)])
  await until('the server listens', () =>
    rawClient(appPort).then(
      ({ socket }) => socket.destroy() !== undefined,
      () => false,
    ),
  )
  inbound = await startProxy({
    service: 'meshed',
    inbound: [{ listen: `127.0.0.1:${inPort}`, forward: `127.0.0.1:${appPort}`, application: { protocol: 'grpc' } }],
  })
  outbound = await startProxy({
    outbound: [
      { listen: `127.0.0.1:${one}`, service: 'direct' },
      { listen: `127.0.0.1:${two}`, service: 'meshed' },
    ],
    discovery: { endpoints: { direct: [`127.0.0.1:${appPort}`], meshed: [`127.0.0.1:${inPort}`] } },
    services: { direct: { protocol: 'grpc' }, meshed: { protocol: 'grpc' } },
  })
}, 300_000)
afterAll(async () => {
  await outbound.stop()
  await inbound.stop()
})

describe.each([
  ['one sidecar', 'one', 'direct'],
  ['two sidecars', 'two', 'meshed'],
] as const)('%s', (_name, way, service) => {
  test.each(cases)('%s', async (name, status) => {
    const counted = async () =>
      (await outbound.metrics()).value('grpc_requests_total', {
        service,
        ...(status !== null && { grpc_status: status }),
      })
    const before = await counted()
    const arguments_ = ['-server_host', '127.0.0.1', '-server_port', String(ports[way]), '-test_case', name]
    const { code, err } = await run(client, arguments_, { GRPC_GO_LOG_SEVERITY_LEVEL: 'info' })
    expect(err).toMatch(/\bdone\b|succeed/i)
    expect(code).toBe(0)
    if (status !== null) await until('its status in the metrics', async () => (await counted()) > before)
  })
})
