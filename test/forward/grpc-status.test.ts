import { describe, expect, test } from 'vitest'
import { flightText } from '../../proxy/admin/flights-text.ts'
import { grpcKind } from '../../proxy/core/grpc.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { grpcMessageOf, grpcStatusOf } from '../../proxy/forward/grpc.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { A, B, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'

const call = {
  method: 'POST',
  path: '/shop.Orders/Get',
  fields: ['content-type', 'application/grpc', 'te', 'trailers'],
  body: 'message',
}
const grpc = ['content-type', 'application/grpc']

async function start(options: OrdersOptions = {}) {
  const { mesh } = await orders({ protocol: 'grpc', ...options })
  return { mesh, endpoint: new Http2Endpoint(mesh, A) }
}

const calls = (mesh: Awaited<ReturnType<typeof start>>['mesh'], status: string, flags = '-') =>
  mesh.stat('http_requests_total', { service: 'orders', grpc_status: status, flags })

test.each([
  ['in trailers', [...grpc], 'message', ['grpc-status', '5', 'grpc-message', 'no such%20order%E2%98%BA']],
  [
    'in the head, where that is all there is',
    [...grpc, 'grpc-status', '5', 'grpc-message', 'no such%20order%E2%98%BA'],
    '',
    null,
  ],
])('a status %s is in the record, in metrics, in /flights', async (_name, fields, body, trailers) => {
  const { mesh, endpoint } = await start()
  endpoint.answer = ({ stream }) => reply(stream, 200, fields, body, trailers)
  mesh.http2Caller().ask(call)
  mesh.settle()
  expect(mesh.flight).toMatchObject({
    status: 200,
    flag: '-',
    grpcStatus: 5,
    grpcMessage: 'no such order☺',
    deadlineMs: null,
  })
  expect(mesh.flight.attempts).toMatchObject([{ grpcStatus: 5, status: 200 }])
  expect(flightText(mesh.flight)).toContain('200 - grpc 5 NOT_FOUND')
  expect(flightText(mesh.flight)).toContain('no such order☺')
  expect(calls(mesh, '5')).toBe(1)
  expectQuiet(mesh)
})

test('numbers without a name are one series', async () => {
  const { mesh, endpoint } = await start()
  let status = 15
  endpoint.answer = ({ stream }) => reply(stream, 200, grpc, 'm', ['grpc-status', String(status++)])
  const caller = mesh.http2Caller()
  for (let i = 0; i < 30; i++) caller.ask(call)
  mesh.settle()
  expect(calls(mesh, 'other')).toBe(28)
  expect([calls(mesh, '15'), calls(mesh, '16')]).toEqual([1, 1])
})

test.each([
  ['no trailers', 200, [...grpc], 'm', null, 2],
  ['trailers that say nothing', 200, [...grpc], 'm', ['x-sum', '1'], 2],
  ['another protocol', 200, ['content-type', 'text/html'], 'm', null, 2],
  ['an HTTP status', 503, ['content-type', 'text/html'], 'm', null, 14],
  ['an HTTP status without a body', 404, [], '', null, 12],
])(
  'an answer without a status is what callers make of it: %s',
  async (_name, status, fields, body, trailers, expected) => {
    const { mesh, endpoint } = await start()
    endpoint.answer = ({ stream }) => reply(stream, status, fields, body, trailers)
    mesh.http2Caller().ask(call)
    mesh.settle()
    expect(mesh.flight).toMatchObject({
      status,
      grpcStatus: expected,
      grpcMessage: expect.stringContaining('no grpc-status'),
    })
    expect(calls(mesh, String(expected))).toBe(1)
    expectQuiet(mesh)
  },
)

test('what is no gRPC has no status', async () => {
  const { mesh, endpoint } = await start()
  endpoint.answer = ({ stream }) => reply(stream, 200, [], 'ok')
  mesh.http2Caller().ask()
  mesh.settle()
  expect(mesh.flight).toMatchObject({ grpcStatus: null, grpcMessage: '' })
  expect(mesh.stat('http_requests_total', { protocol: 'grpc' })).toBe(0)
})

describe('what the proxy answers itself', () => {
  test('is counted with its flag, also where no route was found', async () => {
    const { mesh } = await orders({ protocol: 'grpc', listener: { service: null } })
    const got = mesh.http2Caller().ask({ ...call, authority: 'nobody' })
    mesh.settle()
    expect(got).toMatchObject({ status: 200, ended: true })
    expect([got.fields.get('grpc-status'), got.fields.get('x-outrigger-flag'), got.fields.get('content-type')]).toEqual(
      ['12', 'NR', 'application/grpc'],
    )
    expect(mesh.flight).toMatchObject({ grpcStatus: 12, flag: 'NR' })
    expect(mesh.stat('http_requests_total', { grpc_status: '12', flags: 'NR' })).toBe(1)
  })

  test('ends an answer that has begun: status and flag are its trailers', async () => {
    const { mesh, endpoint } = await start()
    endpoint.onHead = ({ stream }) => reply(stream, 200, grpc, 'half', null)
    endpoint.onHead = ({ stream }) => {
      stream.head({ status: 200, headers: new HeaderList([...grpc]) }, false)
      stream.data(Buffer.from('half'), false)
    }
    endpoint.answer = () => {}
    const got = mesh.http2Caller().ask(call)
    mesh.settle()
    expect(got.body).toBe('half')
    endpoint.open[0]!.wire.destroy()
    mesh.settle()
    expect(got).toMatchObject({ failure: null, ended: true })
    expect([got.trailing?.get('grpc-status'), got.trailing?.get('x-outrigger-flag')]).toEqual(['14', 'UC'])
    expect(mesh.flight).toMatchObject({ grpcStatus: 14, failure: 'reset-after-response' })
    expectQuiet(mesh)
  })
})

test('an answer without a status is one all the same: it ends a row of failures', async () => {
  const { mesh, endpoint } = await start({ endpoints: [A, B] })
  new Http2Endpoint(mesh, B).answer = ({ stream }) => reply(stream, 200, grpc, 'm', ['grpc-status', '0'])
  const caller = mesh.http2Caller()
  // Round robin: each second call is A's. Four failures, an answer, four failures: never five in a row.
  for (const trailers of [...Array(4).fill(['grpc-status', '14']), null, ...Array(4).fill(['grpc-status', '14'])]) {
    endpoint.answer = ({ stream }) => reply(stream, 200, grpc, 'm', trailers)
    caller.ask(call)
    mesh.settle()
    caller.ask(call)
    mesh.settle()
  }
  expect(mesh.stat('outrigger_upstream_failures_total')).toBe(8)
  expect(mesh.stat('outrigger_upstream_ejections_total')).toBe(0)
  expectQuiet(mesh)
})

test('load reports in trailers weigh endpoints (ORCA)', async () => {
  const { mesh } = await orders({ protocol: 'grpc', endpoints: [A, B], balancer: 'adaptive' })
  for (const [name, report] of [
    [A, 'qps=900, cpu_utilization=0.5'],
    [B, 'qps=100, cpu_utilization=0.5'],
  ] as const)
    new Http2Endpoint(mesh, name).answer = ({ stream }) =>
      reply(stream, 200, grpc, 'm', ['grpc-status', '0', 'endpoint-load-metrics', report])
  const caller = mesh.http2Caller()
  for (let second = 0; second < 20; second++) {
    for (let i = 0; i < 20; i++) caller.ask(call)
    mesh.advance(1000)
  }
  const [a, b] = mesh.endpoints()[0]!.endpoints
  expect(a!.effectiveWeight / b!.effectiveWeight).toBeGreaterThan(3)
})

test.each([
  ['application/grpc', 'grpc'],
  ['application/grpc+proto', 'grpc'],
  ['application/grpc;charset=utf-8', 'grpc'],
  ['application/grpc-web', 'grpc-web'],
  ['application/grpc-web+proto', 'grpc-web'],
  ['application/grpc-web-text', 'grpc-web-text'],
  ['application/grpc-web-text+proto', 'grpc-web-text'],
  ['application/grpc-webx', ''],
  ['application/grpc-web-textual', ''],
  ['application/json', ''],
])('%s is "%s"', (type, kind) => {
  expect(grpcKind(new HeaderList(['content-type', type]))).toBe(kind)
})

test.each([
  ['a%20b', 'a b'],
  ['100%', '100%'],
  ['%zz%41', '%zzA'],
  ['%E2%98', '\ufffd'],
  ['x'.repeat(3000), 'x'.repeat(512)],
  ['\ud83d\ude00'.repeat(400), '\ud83d\ude00'.repeat(256)],
])('the message %#', (encoded, message) => {
  expect(grpcMessageOf(new HeaderList(['grpc-message', encoded]))).toBe(message)
})

test.each([
  ['0', 0],
  ['14', 14],
  ['-1', -1],
  ['1.5', -1],
  ['', -1],
  ['9999', -1],
  ['0, 0', -1],
])('the status "%s" is %i', (text, status) => {
  expect(grpcStatusOf(new HeaderList(['grpc-status', text]))).toBe(status)
})
