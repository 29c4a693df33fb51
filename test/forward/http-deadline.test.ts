import { describe, expect, test } from 'vitest'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { Http2Endpoint } from '../support/http2-endpoint.ts'
import { A, B, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'
import { turn } from '../support/turns.ts'
import { expectQuiet as expectHopQuiet, twoSidecars } from '../support/two-sidecars.ts'
import { ok, silent } from '../support/upstream.ts'

/** How long a caller waits for the answer, as it says in `x-envoy-expected-rq-timeout-ms`. */

const TICK = 10
const FIELD = 'x-envoy-expected-rq-timeout-ms'
const enforce = { timeouts: { requestMs: 1000 } } as const

async function asked(value: string, options: OrdersOptions = enforce) {
  const { mesh, upstream } = await orders(options)
  upstream.answer = silent
  const caller = mesh.caller().send(`GET / HTTP/1.1\r\nHost: o\r\n${FIELD}: ${value}\r\n\r\n`)
  mesh.settle()
  return { mesh, upstream, caller, told: () => upstream.requests.map(request => request.header(FIELD)) }
}

test('it shortens the time of the request, and the endpoint is told what is left', async () => {
  const { mesh, caller, told } = await asked('300')
  expect(told()).toEqual(['300'])
  mesh.advance(299)
  expect(caller.statuses).toEqual([])
  mesh.advance(1 + TICK)
  expect(caller.statuses).toEqual([504])
  expect(mesh.flight).toMatchObject({ flag: 'UT', failure: 'deadline-exceeded', detail: `${FIELD} was 300 ms` })
  expectQuiet(mesh)
})

test('it never lengthens it', async () => {
  const { mesh, caller, told } = await asked('5000')
  expect(told()).toEqual(['1000'])
  mesh.advance(1000 + TICK)
  expect(caller.statuses).toEqual([504])
  expect(mesh.flight).toMatchObject({ failure: 'upstream-timeout', detail: 'no response head within 1000 ms' })
})

test.each(['', '0', 'soon', '-5', '1e3', '999999999', '300, 400'])(
  '%j says nothing, and passes as it is',
  async value => {
    const { mesh, caller, told } = await asked(value)
    expect(told()).toEqual([value])
    mesh.advance(999)
    expect(caller.statuses).toEqual([])
  },
)

test('`pass`: it has no effect here', async () => {
  const { mesh, caller, told } = await asked('300', { timeouts: { requestMs: 1000, deadline: 'pass' } })
  expect(told()).toEqual(['300'])
  mesh.advance(999)
  expect(caller.statuses).toEqual([])
})

test('`begin`: requests without one get one of the time that they have, each try of what is left then', async () => {
  const { mesh } = await orders({
    endpoints: [A, B],
    timeouts: { requestMs: 1000, perTryMs: 400, deadline: 'begin' },
    retries: { on: ['per-try-timeout'], attempts: 3 },
    outliers: { consecutiveGatewayFailures: 0 },
  })
  for (const name of [A, B]) mesh.upstream(name).answer = silent
  mesh.caller().get()
  mesh.advance(1100)
  const told = [A, B].flatMap(name => mesh.upstream(name).requests.map(request => Number(request.header(FIELD))))
  // The third one waited for a moment, as its endpoint had failed.
  expect(told.toSorted((a, b) => b - a).slice(0, 2)).toEqual([400, 400])
  expect(Math.min(...told)).toBeLessThanOrEqual(1000 - 800)
  expect(Math.min(...told)).toBeGreaterThan(100)
  expectQuiet(mesh)
})

test('a body that is still sent does not count, but the deadline of the caller does', async () => {
  const { mesh, upstream } = await orders(enforce)
  upstream.answer = silent
  const caller = mesh.caller()
  caller.send(`POST / HTTP/1.1\r\nHost: o\r\n${FIELD}: 300\r\nContent-Length: 9\r\n\r\nhi`)
  mesh.advance(300 + TICK)
  expect(caller.statuses).toEqual([504])
  expect(mesh.flight).toMatchObject({ flag: 'DT', failure: 'stream-deadline' })
  expect(mesh.endpoints()[0]!.endpoints[0]!.failures).toBe(0)
  expectQuiet(mesh)
})

test('it ends with the head of the answer: a download goes on', async () => {
  const { mesh, upstream } = await orders(enforce)
  upstream.answer = (_request, connection) => {
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
    for (let i = 1; i <= 5; i++) mesh.loop.after(i * 200, () => connection.send('x'))
  }
  const caller = mesh.caller().send(`GET / HTTP/1.1\r\nHost: o\r\n${FIELD}: 100\r\n\r\n`)
  mesh.advance(1100)
  expect(caller.last).toMatchObject({ status: 200, whole: true })
  expectQuiet(mesh)
})

test('over HTTP/2 on both sides', async () => {
  const { mesh } = await orders({ ...enforce, protocol: 'http2' })
  const endpoint = new Http2Endpoint(mesh, A)
  endpoint.answer = () => {}
  const answer = mesh.http2Caller().ask({ fields: [FIELD, '300'] })
  mesh.advance(300 + TICK)
  expect([answer.status, endpoint.served[0]!.fields.get(FIELD)]).toEqual([504, '300'])
  expectQuiet(mesh)
})

test('over two sidecars: the application hears what is left, and nobody works for longer', async () => {
  const { mesh, application } = await twoSidecars({ timeouts: { requestMs: 1000 } })
  application.answer = silent
  application.connectMs = 50
  const caller = mesh.caller().get('/', `${FIELD}: 300\r\n`)
  mesh.advance(300 - 1)
  expect(Number(application.requests[0]!.header(FIELD))).toBeLessThanOrEqual(250)
  expect(caller.statuses).toEqual([])
  mesh.advance(1 + 2 * TICK)
  expect(caller.statuses).toEqual([504])
  expect(mesh.flights().map(({ failure, direction }) => [failure, direction])).toContainEqual([
    'deadline-exceeded',
    'inbound',
  ])
  expectHopQuiet(mesh)
})

describe('the longest stream', () => {
  test('ends whatever moves, and no endpoint is blamed', async () => {
    const { mesh, upstream } = await orders({ timeouts: { maxStreamMs: 1000 } })
    upstream.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n')
      for (let i = 1; i <= 20; i++) mesh.loop.after(i * 100, () => void (connection.over || connection.send('x')))
    }
    const caller = mesh.caller().get()
    mesh.advance(999)
    expect(caller.wasReset).toBe(false)
    mesh.advance(1 + TICK)
    expect(caller.wasReset).toBe(true)
    expect(mesh.flight).toMatchObject({ flag: 'UMSDR', failure: 'max-stream', status: 200 })
    expect(mesh.endpoints()[0]!.endpoints[0]!.failures).toBe(0)
    expectQuiet(mesh)
  })

  test('before the head: 504', async () => {
    const { mesh, upstream } = await orders({ timeouts: { maxStreamMs: 1000 } })
    upstream.answer = silent
    const caller = mesh.caller().get()
    mesh.advance(1000 + TICK)
    expect([caller.statuses, mesh.flight.flag]).toEqual([[504], 'UMSDR'])
    expect(mesh.endpoints()[0]!.endpoints[0]!.failures).toBe(0)
    expectQuiet(mesh)
  })

  test('of a gRPC stream: the caller gets a status', async () => {
    const { mesh } = await orders({ timeouts: { maxStreamMs: 1000 }, protocol: 'grpc' })
    const endpoint = new Http2Endpoint(mesh, A)
    endpoint.answer = ({ stream }) => {
      stream.head({ status: 200, headers: new HeaderList(['content-type', 'application/grpc']) }, false)
    }
    const call = mesh.http2Caller().ask({ method: 'POST', fields: ['content-type', 'application/grpc'], body: '' })
    mesh.advance(1000 + 2 * TICK)
    expect([call.status, call.trailing?.get('grpc-status')]).toEqual([200, '4'])
    expect(mesh.flight.flag).toBe('UMSDR')
    expectQuiet(mesh)
  })

  test('of a tunnel there is none', async () => {
    const { mesh, upstream } = await orders({ timeouts: { maxStreamMs: 1000 } })
    upstream.answer = (_request, connection) =>
      connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
    const caller = mesh
      .caller()
      .send('GET / HTTP/1.1\r\nHost: o\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n')
    mesh.advance(5000)
    expect([caller.wasReset, caller.over]).toEqual([false, false])
  })

  test('the time of the next request on the connection is its own', async () => {
    const { mesh, upstream } = await orders({ timeouts: { maxStreamMs: 1000 } })
    upstream.answer = (request, connection) => void mesh.loop.after(600, () => ok(request, connection))
    const caller = mesh.caller().get()
    mesh.advance(700)
    caller.get()
    mesh.advance(700)
    expect(caller.statuses).toEqual([200, 200])
  })
})

describe('a slow uploader is not a slow endpoint', () => {
  test('HTTP/1.1: no time of the answer runs while it sends, and nothing counts against the endpoint', async () => {
    const { mesh, upstream } = await orders({
      timeouts: { requestMs: 300, perTryMs: 200 },
      outliers: { consecutiveGatewayFailures: 1 },
      listener: { timeouts: { bodyMs: 2000 } },
    })
    upstream.answer = silent
    const caller = mesh.caller().send('PUT / HTTP/1.1\r\nHost: o\r\nContent-Length: 9\r\n\r\n')
    for (let i = 0; i < 4; i++) {
      mesh.advance(1000)
      caller.sendMore('x')
    }
    expect(caller.statuses).toEqual([])
    mesh.advance(2000 + TICK)
    expect(caller.statuses).toEqual([408])
    expect(mesh.flight).toMatchObject({ flag: 'DT', failure: 'body-timeout' })
    const [endpoint] = mesh.endpoints()[0]!.endpoints
    expect([endpoint!.failures, endpoint!.state]).toEqual([0, 'admitting'])
    expectQuiet(mesh)
  })

  test('HTTP/2', async () => {
    const { mesh } = await orders({
      protocol: 'http2',
      timeouts: { requestMs: 300, perTryMs: 200 },
      outliers: { consecutiveGatewayFailures: 1 },
      listener: { timeouts: { bodyMs: 2000 } },
    })
    const endpoint = new Http2Endpoint(mesh, A)
    const slow = mesh.http2Caller().ask({ method: 'PUT', body: null })
    for (let i = 0; i < 4; i++) {
      mesh.advance(1000)
      slow.send(Buffer.from('x'))
    }
    expect(slow.status).toBe(0)
    mesh.advance(2000 + 2 * TICK)
    expect(mesh.flight).toMatchObject({ flag: 'DT', failure: 'body-timeout' })
    const [known] = mesh.endpoints()[0]!.endpoints
    expect([known!.failures, known!.state, endpoint.served.length]).toEqual([0, 'admitting', 1])
  })

  test('a stream that moves in one direction is not idle, whichever it is', async () => {
    const { mesh } = await orders({ protocol: 'http2', timeouts: { idleMs: 500, requestMs: 0 } })
    const endpoint = new Http2Endpoint(mesh, A)
    endpoint.onHead = ({ stream, path }) => {
      stream.head({ status: 200, headers: new HeaderList() }, false)
      if (path === '/down')
        for (let i = 1; i < 8; i++)
          mesh.loop.after(i * 300, () => turn(() => void stream.data(Buffer.from('x'), false)))
    }
    const caller = mesh.http2Caller()
    const up = caller.ask({ method: 'POST', path: '/up', body: null })
    const down = caller.ask({ method: 'POST', path: '/down', body: null })
    for (let i = 1; i < 8; i++) {
      mesh.advance(300)
      up.send(Buffer.from('x'))
    }
    expect([up.failure, down.failure]).toEqual([null, null])
    mesh.advance(600 + 2 * TICK)
    expect([up.failure === null, down.failure === null]).toEqual([false, false])
    expect(new Set(mesh.flights().map(({ flag }) => flag))).toEqual(new Set(['SI']))
  })
})
