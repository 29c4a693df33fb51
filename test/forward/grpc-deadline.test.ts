import { describe, expect, test } from 'vitest'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { formatGrpcTimeout, parseGrpcTimeout } from '../../proxy/forward/grpc-deadline.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { A, B, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'

const grpc = ['content-type', 'application/grpc']
const call = (timeout: string) => ({
  method: 'POST',
  path: '/shop.Orders/Get',
  fields: [...grpc, 'grpc-timeout', timeout],
  body: 'message',
})

async function start(options: OrdersOptions = {}) {
  const { mesh } = await orders({ protocol: 'grpc', ...options })
  return { mesh, endpoint: new Http2Endpoint(mesh, A) }
}

const silent = () => {}

test('no answer by the deadline: DEADLINE_EXCEEDED, and the endpoint hears that nobody waits', async () => {
  const { mesh, endpoint } = await start()
  endpoint.answer = silent
  const got = mesh.http2Caller().ask(call('200m'))
  mesh.advance(190)
  expect(got.status).toBe(0)
  mesh.advance(30)
  expect([got.fields.get('grpc-status'), got.fields.get('x-outrigger-flag'), got.ended]).toEqual(['4', 'UT', true])
  expect(endpoint.served[0]!.failure).not.toBeNull()
  expect(mesh.flight).toMatchObject({
    failure: 'deadline-exceeded',
    grpcStatus: 4,
    deadlineMs: 200,
    detail: 'grpc-timeout was 200 ms',
  })
  expect(mesh.stat('outrigger_upstream_failures_total')).toBe(1)
  expectQuiet(mesh)
})

test('a stream ends with its deadline, with a status, and nobody is blamed', async () => {
  const { mesh, endpoint } = await start()
  endpoint.answer = ({ stream }) => {
    stream.head({ status: 200, headers: new HeaderList([...grpc]) }, false)
    stream.data(Buffer.from('first'), false)
  }
  const got = mesh.http2Caller().ask(call('20S'))
  mesh.advance(16_000)
  expect(got).toMatchObject({ body: 'first', ended: false })
  mesh.advance(5_000)
  expect([got.trailing?.get('grpc-status'), got.trailing?.get('x-outrigger-flag')]).toEqual(['4', 'DT'])
  expect(got.failure).toBeNull()
  expect(endpoint.served[0]!.failure).not.toBeNull()
  expect(mesh.flight).toMatchObject({ failure: 'stream-deadline', grpcStatus: 4 })
  expect(mesh.stat('outrigger_upstream_failures_total')).toBe(0)
  expectQuiet(mesh)
})

test('a stream that cannot carry a status any more is cancelled at its deadline: clients take INTERNAL_ERROR for a broken server', async () => {
  const { mesh, endpoint } = await start()
  const web = ['content-type', 'application/grpc-web+proto']
  endpoint.answer = ({ stream }) => {
    stream.head({ status: 200, headers: new HeaderList([...web]) }, false)
    stream.data(Buffer.from('first'), false)
  }
  const got = mesh.http2Caller().ask({ ...call('200m'), fields: [...web, 'grpc-timeout', '200m'] })
  mesh.advance(300)
  expect([got.body, got.detail]).toEqual(['first', 'RST_STREAM CANCEL'])
  expectQuiet(mesh)
})

test('the shorter of it and timeouts.request counts to the head', async () => {
  const { mesh, endpoint } = await start({ timeouts: { requestMs: 300 } })
  endpoint.answer = silent
  const got = mesh.http2Caller().ask(call('10S'))
  mesh.advance(400)
  expect(got.fields.get('grpc-status')).toBe('4')
  expect(mesh.flight).toMatchObject({ failure: 'upstream-timeout' })
  expectQuiet(mesh)
})

test('an answer in time cancels nothing', async () => {
  const { mesh, endpoint } = await start()
  endpoint.answer = ({ stream }) => reply(stream, 200, grpc, 'ok', ['grpc-status', '0'])
  const got = mesh.http2Caller().ask(call('50m'))
  mesh.settle()
  mesh.advance(1000)
  expect(got).toMatchObject({ body: 'ok', ended: true, failure: null })
  expect(mesh.flight).toMatchObject({ grpcStatus: 0, failure: '' })
  expectQuiet(mesh)
})

describe('what the endpoint is told', () => {
  test('as the caller said it, where no time has passed', async () => {
    const { mesh, endpoint } = await start()
    mesh.http2Caller().ask(call('2S'))
    mesh.settle()
    expect(endpoint.served[0]!.fields.get('grpc-timeout')).toBe('2S')
  })

  test('less, where it had to wait for a connection', async () => {
    const { mesh, endpoint } = await start()
    endpoint.upstream.connectMs = 500
    mesh.http2Caller().ask(call('2S'))
    mesh.advance(600)
    expect(endpoint.served[0]!.fields.get('grpc-timeout')).toBe('1500000u')
  })

  test('less, where another had it first', async () => {
    const { mesh, endpoint } = await start({ endpoints: [A, B], retries: { on: ['unavailable'] } })
    const second = new Http2Endpoint(mesh, B)
    endpoint.answer = ({ stream }) =>
      void mesh.loop.after(700, () => reply(stream, 200, [...grpc, 'grpc-status', '14']))
    second.answer = endpoint.answer
    mesh.http2Caller().ask(call('2S'))
    mesh.advance(1000)
    expect(
      [endpoint, second].flatMap(({ served }) => served.map(({ fields }) => fields.get('grpc-timeout'))).sort(),
    ).toEqual(['1300000u', '2S'])
  })

  test('no more than the most, less what is taken off', async () => {
    const { mesh, endpoint } = await start({ timeouts: { grpcTimeoutMaxMs: 1000, grpcTimeoutOffsetMs: 100 } })
    endpoint.answer = silent
    mesh.http2Caller().ask(call('1H'))
    mesh.settle()
    expect(endpoint.served[0]!.fields.get('grpc-timeout')).toBe('900000u')
    mesh.advance(920)
    expect(mesh.flight).toMatchObject({ failure: 'deadline-exceeded', deadlineMs: 900 })
  })

  test('`grpcTimeout: pass`: all of it, and nothing is done about it', async () => {
    const { mesh, endpoint } = await start({ timeouts: { grpcTimeout: 'pass' } })
    endpoint.upstream.connectMs = 500
    endpoint.answer = silent
    const got = mesh.http2Caller().ask(call('600m'))
    mesh.advance(2000)
    expect(endpoint.served[0]!.fields.get('grpc-timeout')).toBe('600m')
    expect(got.status).toBe(0)
    got.cancel()
    mesh.settle()
    expectQuiet(mesh)
  })
})

test('a caller that gives up just at its deadline has run into it', async () => {
  const { mesh, endpoint } = await start()
  endpoint.answer = silent
  const caller = mesh.http2Caller()
  const atDeadline = caller.ask(call('200m'))
  mesh.advance(195)
  atDeadline.cancel()
  mesh.settle()
  expect(mesh.flight).toMatchObject({ failure: 'deadline-exceeded', grpcStatus: 4 })
  const before = caller.ask(call('200m'))
  mesh.advance(100)
  before.cancel()
  mesh.settle()
  expect(mesh.flight).toMatchObject({ failure: 'downstream-gone', grpcStatus: 1 })
  expectQuiet(mesh)
})

test.each(['', '1', 'S', '1s', '123456789S', '-1S', '1.5S', '1 S', '1S, 2S'])(
  '"%s" is refused, and no endpoint sees it',
  async timeout => {
    const { mesh, endpoint } = await start()
    const got = mesh.http2Caller().ask(call(timeout))
    mesh.settle()
    expect([got.fields.get('grpc-status'), mesh.flight.detail]).toEqual(['13', expect.stringContaining('grpc-timeout')])
    expect(endpoint.served).toHaveLength(0)
    expectQuiet(mesh)
  },
)

test('no time at all is over at once', async () => {
  const { mesh, endpoint } = await start()
  const got = mesh.http2Caller().ask(call('0n'))
  mesh.settle()
  expect(got.fields.get('grpc-status')).toBe('4')
  expect(endpoint.served).toHaveLength(0)
  expectQuiet(mesh)
})

test.each([
  ['1H', 3_600_000],
  ['2M', 120_000],
  ['3S', 3000],
  ['4m', 4],
  ['5u', 0.005],
  ['6000000n', 6],
  ['99999999S', 99_999_999_000],
])('%s', (text, milliseconds) => expect(parseGrpcTimeout(text)).toBeCloseTo(milliseconds, 6))

test.each([
  [1.2345, '1234u'],
  [99_999.999, '99999999u'],
  [100_000, '100000m'],
  [99_999_999, '99999999m'],
  [100_000_000, '100000S'],
  [3.2e11, '88888H'],
  [0, '1u'],
  [-5, '1u'],
])('%d ms is %s, never more', (milliseconds, text) => {
  expect(formatGrpcTimeout(milliseconds)).toBe(text)
  if (milliseconds > 0) expect(parseGrpcTimeout(text)).toBeLessThanOrEqual(milliseconds)
})

describe('a caller that streams may say nothing for longer than `timeouts.body`', () => {
  const options: OrdersOptions = {
    listener: { timeouts: { bodyMs: 1000 } },
    timeouts: { requestMs: 0, idleMs: 60_000 },
  }

  test('in gRPC', async () => {
    const { mesh, endpoint } = await start(options)
    endpoint.answer = ({ stream, body }) => reply(stream, 200, grpc, body, ['grpc-status', '0'])
    const got = mesh.http2Caller().ask({ method: 'POST', fields: grpc, body: null })
    got.send('one ')
    mesh.advance(20_000)
    got.send('two', true)
    mesh.settle()
    expect([got.body, got.trailing?.get('grpc-status')]).toEqual(['one two', '0'])
    expectQuiet(mesh)
  })

  test('not longer than `timeouts.idle` of the service', async () => {
    const { mesh } = await start(options)
    const got = mesh.http2Caller().ask({ method: 'POST', fields: grpc, body: null })
    mesh.advance(61_000)
    expect([got.fields.get('grpc-status'), got.fields.get('x-outrigger-flag')]).toEqual(['4', 'SI'])
    expectQuiet(mesh)
  })

  test('not in others', async () => {
    const { mesh } = await start(options)
    const got = mesh.http2Caller().ask({ method: 'POST', body: null })
    mesh.advance(2000)
    expect(got.status).toBe(408)
    expectQuiet(mesh)
  })
})
