import { describe, expect, test } from 'vitest'
import { failures } from '../../proxy/core/failure.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { A, B, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'
import { turn } from '../support/turns.ts'

const grpc = ['content-type', 'application/grpc']
const call = { method: 'POST', path: '/shop.Orders/Get', fields: grpc, body: 'message' }

/** Round robin, which begins anywhere: with this seed, at B. */
async function start(options: OrdersOptions = {}) {
  const { mesh } = await orders({ protocol: 'grpc', endpoints: [A, B], ...options })
  const [first, second] = [new Http2Endpoint(mesh, B), new Http2Endpoint(mesh, A)]
  second.answer = ({ stream, body }) => reply(stream, 200, grpc, body, ['grpc-status', '0'])
  return { mesh, first, second }
}

const says =
  (status: number, ...more: string[]): Http2Endpoint['answer'] =>
  ({ stream }) =>
    reply(stream, 200, [...grpc, 'grpc-status', String(status), ...more])

test.each([
  [1, 'cancelled'],
  [4, 'deadline-exceeded'],
  [8, 'resource-exhausted'],
  [13, 'internal'],
  [14, 'unavailable'],
] as const)('status %i is tried again on `%s`, a POST with its body', async (status, condition) => {
  const { mesh, first, second } = await start({ retries: { on: [condition] } })
  first.answer = says(status)
  const got = mesh.http2Caller().ask(call)
  mesh.settle()
  expect([got.body, got.trailing?.get('grpc-status')]).toEqual(['message', '0'])
  expect(second.served[0]!.body).toBe('message')
  expect(first.served[0]!.fields.get('grpc-previous-rpc-attempts')).toBeUndefined()
  expect(second.served[0]!.fields.get('grpc-previous-rpc-attempts')).toBe('1')
  expect(mesh.flight.attempts).toMatchObject([{ grpcStatus: status, retry: `yes: ${condition}` }, { grpcStatus: 0 }])
  expectQuiet(mesh)
})

describe('it is passed on', () => {
  test('when the condition is not named', async () => {
    const { mesh, first, second } = await start({ retries: { on: ['unavailable'] } })
    first.answer = says(13)
    const got = mesh.http2Caller().ask(call)
    mesh.settle()
    expect(got.fields.get('grpc-status')).toBe('13')
    expect(second.served).toHaveLength(0)
  })

  test('when a message came before it', async () => {
    const { mesh, first, second } = await start({ retries: { on: ['unavailable'] } })
    first.answer = ({ stream }) => reply(stream, 200, grpc, 'half', ['grpc-status', '14'])
    const got = mesh.http2Caller().ask(call)
    mesh.settle()
    expect([got.body, got.trailing?.get('grpc-status')]).toEqual(['half', '14'])
    expect(second.served).toHaveLength(0)
  })

  test('when the body was too long to keep', async () => {
    const { mesh, first, second } = await start({ retries: { on: ['unavailable'], replayBytes: 10 } })
    first.answer = says(14)
    const got = mesh.http2Caller().ask({ ...call, body: 'more than ten bytes' })
    mesh.settle()
    expect(got.fields.get('grpc-status')).toBe('14')
    expect(second.served).toHaveLength(0)
    expect(mesh.flight.attempts[0]!.retry).toBe('no: unavailable to a request that cannot be sent again')
    expectQuiet(mesh)
  })

  test('when it came in too many pieces to keep', async () => {
    const { mesh, first, second } = await start({ retries: { on: ['unavailable'] } })
    first.answer = says(14)
    const got = mesh.http2Caller().ask({ ...call, body: null })
    for (let i = 0; i < 1030; i++) {
      got.send('x')
      mesh.settle()
    }
    got.send('', true)
    mesh.settle()
    expect(got.fields.get('grpc-status')).toBe('14')
    expect(second.served).toHaveLength(0)
    expectQuiet(mesh)
  })

  test.each(['-1', 'soon', '300001', '9999999999', '99999999999'])(
    'when the endpoint wants no other try: grpc-retry-pushback-ms %s',
    async pushback => {
      const { mesh, first, second } = await start({ retries: { on: ['unavailable'] } })
      first.answer = says(14, 'grpc-retry-pushback-ms', pushback)
      const got = mesh.http2Caller().ask(call)
      mesh.settle()
      expect(got.fields.get('grpc-status')).toBe('14')
      expect(second.served).toHaveLength(0)
      expect(mesh.flight.attempts[0]!.retry).toBe('no: the endpoint wants no other try (grpc-retry-pushback-ms)')
    },
  )

  test('when the endpoint wants to wait longer than the caller does', async () => {
    const { mesh, first, second } = await start({ retries: { on: ['unavailable'] } })
    first.answer = says(14, 'grpc-retry-pushback-ms', '600')
    const got = mesh.http2Caller().ask({ ...call, fields: [...grpc, 'grpc-timeout', '500m'] })
    mesh.settle()
    expect(got.fields.get('grpc-status')).toBe('14')
    expect(second.served).toHaveLength(0)
    expectQuiet(mesh)
  })
})

test('as long as the endpoint says is waited: grpc-retry-pushback-ms', async () => {
  const { mesh, first, second } = await start({ retries: { on: ['unavailable'] } })
  first.answer = says(14, 'grpc-retry-pushback-ms', '400')
  const got = mesh.http2Caller().ask(call)
  mesh.advance(390)
  expect(second.served).toHaveLength(0)
  mesh.advance(30)
  expect(got.body).toBe('message')
  expectQuiet(mesh)
})

test("a caller's own count of attempts goes on", async () => {
  const { mesh, first, second } = await start({ retries: { on: ['unavailable'], attempts: 3 } })
  first.answer = says(14)
  second.answer = says(14)
  mesh.http2Caller().ask({ ...call, fields: [...grpc, 'grpc-previous-rpc-attempts', '2'] })
  mesh.advance(500)
  const counts = [...first.served, ...second.served].map(({ fields }) => fields.get('grpc-previous-rpc-attempts'))
  expect(counts.sort()).toEqual(['2', '3', '4'])
})

describe('what never reached an application is tried again whatever it is', () => {
  test('a stream refused, with the body that was sent', async () => {
    const { mesh, first, second } = await start()
    first.answer = ({ stream }) => turn(() => stream.reset(failures.refusedStream, ''))
    const got = mesh.http2Caller().ask(call)
    mesh.settle()
    expect(got.body).toBe('message')
    expect(second.served[0]!.fields.get('grpc-previous-rpc-attempts')).toBeUndefined()
    expectQuiet(mesh)
  })

  test('a half of a stream of messages goes on elsewhere', async () => {
    const { mesh, first, second } = await start()
    first.onHead = ({ stream }) => void mesh.loop.after(5, () => turn(() => stream.reset(failures.refusedStream, '')))
    const got = mesh.http2Caller().ask({ ...call, body: null })
    mesh.settle()
    got.send('one ')
    mesh.advance(10)
    got.send('two', true)
    mesh.settle()
    expect(second.served[0]!.body).toBe('one two')
    expect(got.body).toBe('one two')
    expectQuiet(mesh)
  })

  test('but not a connection lost with the call on it', async () => {
    const { mesh, first, second } = await start()
    first.answer = () => first.open[0]!.wire.destroy()
    const got = mesh.http2Caller().ask(call)
    mesh.settle()
    expect([got.fields.get('grpc-status'), got.fields.get('x-outrigger-flag')]).toEqual(['14', 'UC'])
    expect(second.served).toHaveLength(0)
    expectQuiet(mesh)
  })
})

test('cancelled: the endpoint hears it at once, while it streams', async () => {
  const { mesh, first } = await start()
  first.answer = ({ stream }) => {
    stream.head({ status: 200, headers: new HeaderList([...grpc]) }, false)
    stream.data(Buffer.from('first'), false)
  }
  const got = mesh.http2Caller().ask({ ...call, body: null })
  got.send('more to come')
  mesh.settle()
  got.cancel()
  mesh.settle()
  expect(first.served[0]!.failure).toBe(failures.downstreamGone)
  expect(mesh.flight).toMatchObject({ failure: 'downstream-gone', grpcStatus: 1 })
  expectQuiet(mesh)
})
