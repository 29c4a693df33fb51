import { expect, test } from 'vitest'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { A, B, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'

async function start(options: OrdersOptions = {}) {
  const { mesh } = await orders({ protocol: 'grpc', ...options })
  return { mesh, endpoint: new Http2Endpoint(mesh, A) }
}

const call = {
  method: 'POST',
  path: '/shop.Orders/Get',
  fields: ['content-type', 'application/grpc', 'te', 'trailers'],
  body: 'message',
}
const failures = (mesh: Awaited<ReturnType<typeof start>>['mesh']) => mesh.stat('outrigger_upstream_failures_total')

test('an answer of the proxy itself is a gRPC status', async () => {
  const { mesh, endpoint } = await start({ retries: { on: [] } })
  endpoint.upstream.connect = 'refuse'
  const got = mesh.http2Caller().ask(call)
  mesh.settle()
  expect(got).toMatchObject({ status: 200, ended: true, body: '', trailing: null })
  expect(got.fields.get('grpc-status')).toBe('14')
  expect(got.fields.get('grpc-message')).toBe('the endpoint refused the connection: ECONNREFUSED (UF)')
  expect(got.fields.get('x-outrigger-flag')).toBe('UF')
  expect(mesh.flight).toMatchObject({ failure: 'connect-refused' })
  expectQuiet(mesh)
})

test.each(['application/json', 'application/grpcx', 'application/grpc-webx'])('and to %s it is not', async type => {
  const { mesh, endpoint } = await start({ retries: { on: [] } })
  endpoint.upstream.connect = 'refuse'
  const got = mesh.http2Caller().ask({ ...call, fields: ['content-type', type] })
  mesh.settle()
  expect(got.status).toBe(503)
  expectQuiet(mesh)
})

test.each([
  [0, 0],
  [5, 0],
  [4, 1],
  [14, 1],
])('status %i in trailers counts as %i failures of the endpoint', async (status, count) => {
  const { mesh, endpoint } = await start()
  endpoint.answer = ({ stream }) =>
    reply(stream, 200, ['content-type', 'application/grpc'], 'message', ['grpc-status', `${status}`])
  const got = mesh.http2Caller().ask(call)
  mesh.settle()
  expect(got.trailing?.get('grpc-status')).toBe(`${status}`)
  expect(failures(mesh)).toBe(count)
  expectQuiet(mesh)
})

test('so does one in a head without a body, and enough of them eject it', async () => {
  const { mesh, endpoint } = await start({ endpoints: [A, B] })
  endpoint.answer = ({ stream }) => reply(stream, 200, ['content-type', 'application/grpc+proto', 'grpc-status', '14'])
  new Http2Endpoint(mesh, B)
  const caller = mesh.http2Caller()
  for (let i = 0; i < 10; i++) {
    caller.ask(call)
    mesh.settle()
  }
  expect(failures(mesh)).toBe(5)
  expect(mesh.stat('outrigger_upstream_ejected')).toBe(1)
  expectQuiet(mesh)
})

test('what is said in JSON does not count', async () => {
  const { mesh, endpoint } = await start()
  endpoint.answer = ({ stream }) => reply(stream, 200, ['content-type', 'application/json', 'grpc-status', '14'])
  mesh.http2Caller().ask()
  mesh.settle()
  expect(failures(mesh)).toBe(0)
  expectQuiet(mesh)
})

test('gRPC to a service that nobody said speaks it: the failure says so', async () => {
  const { mesh, upstream } = await orders({ retries: { on: [] } })
  upstream.answer = (_request, connection) => connection.close()
  const got = mesh.http2Caller().ask(call)
  mesh.settle()
  expect(got.fields.get('grpc-status')).toBe('14')
  expect(got.fields.get('grpc-message')).toContain(
    'its endpoints are called with HTTP/1.1: gRPC needs `protocol: grpc`',
  )
  expect(mesh.flight.detail).toContain('`protocol: grpc`')
})
