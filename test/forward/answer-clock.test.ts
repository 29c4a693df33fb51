import { describe, expect, test } from 'vitest'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { A, B, expectQuiet, orders } from '../support/orders.ts'
import { ok, silent } from '../support/upstream.ts'

/**
 * `timeouts.request` and `timeouts.perTry` measure the wait for the answer; the sender has `timeouts.body`, and an
 * endpoint that does not read has `timeouts.idle`.
 */

const TICK = 10
const head = (length: number, more = '') =>
  `POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${length}\r\n${more}\r\n`

describe('an upload that takes longer than timeouts.request', () => {
  test.each(['HTTP/1.1', 'HTTP/2'])('gets its answer over %s, and the endpoint is not blamed', async protocol => {
    const { mesh, upstream } = await orders({ timeouts: { requestMs: 15_000, perTryMs: 5000 } })
    const http1 = protocol === 'HTTP/1.1' ? mesh.caller().send(head(200)) : null
    const http2 = http1 === null ? mesh.http2Caller().ask({ method: 'POST', body: null }) : null
    for (let i = 0; i < 20; i++) {
      mesh.advance(1000)
      if (http1 !== null) http1.sendMore('x'.repeat(10))
      else http2!.send('x'.repeat(10), i === 19)
    }
    mesh.settle()
    expect(http1?.statuses ?? [http2!.status]).toEqual([200])
    expect(upstream.requests[0]!.bodyBytes).toBe(200)
    expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ failures: 0, state: 'admitting' })
  })

  test('then the answer has all of its time, and no more', async () => {
    const { mesh, upstream } = await orders({ timeouts: { requestMs: 1000 } })
    upstream.answer = silent
    const caller = mesh.caller().send(head(2))
    mesh.advance(5000)
    caller.sendMore('hi')
    mesh.advance(999)
    expect(caller.responses).toHaveLength(0)
    mesh.advance(1 + TICK)
    expect(caller.statuses).toEqual([504])
    expect(mesh.flight).toMatchObject({ failure: 'upstream-timeout' })
    expectQuiet(mesh)
  })

  test('perTry begins with the last byte too', async () => {
    const { mesh } = await orders({
      endpoints: [A, B],
      timeouts: { perTryMs: 100 },
      retries: { on: ['per-try-timeout'] },
    })
    for (const name of [A, B]) mesh.upstream(name).answer = silent
    const caller = mesh.caller().send('PUT / HTTP/1.1\r\nHost: orders\r\nContent-Length: 2\r\n\r\n')
    mesh.advance(5000)
    caller.sendMore('hi')
    mesh.advance(99)
    expect(mesh.upstream(A).dials + mesh.upstream(B).dials).toBe(1)
    mesh.advance(1 + TICK)
    expect(mesh.upstream(A).dials + mesh.upstream(B).dials).toBe(2)
    mesh.advance(100 + 2 * TICK)
    expect(caller.statuses).toEqual([504])
    expect(mesh.flight).toMatchObject({ failure: 'per-try-timeout' })
    expectQuiet(mesh)
  })

  test('a sender that stops is told so, and the endpoint is not blamed', async () => {
    const { mesh } = await orders({ timeouts: { requestMs: 15_000 } })
    for (let i = 0; i < 12; i++) mesh.caller().send(head(10)).sendMore('x')
    mesh.advance(30_000 + TICK)
    expect(mesh.callers.flatMap(({ statuses }) => statuses)).toEqual(Array(12).fill(408))
    expect(mesh.flight).toMatchObject({ failure: 'body-timeout' })
    expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ failures: 0, state: 'admitting' })
  })

  test('what it took to send is no latency of the endpoint', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = (request, connection) => void mesh.loop.after(40, () => ok(request, connection))
    const caller = mesh.caller().send(head(2))
    mesh.advance(20_000)
    caller.sendMore('hi')
    mesh.advance(100)
    expect(caller.statuses).toEqual([200])
    expect(mesh.endpoints()[0]!.endpoints[0]!.p99Ms).toBeLessThan(100)
  })
})

describe('while there is no stream the caller cannot send', () => {
  test('so the time runs', async () => {
    const { mesh, upstream } = await orders({ timeouts: { requestMs: 300, connectMs: 10_000 } })
    upstream.connect = 'ignore'
    const caller = mesh.caller().send(head(10)).sendMore('x')
    expect(caller).toBe(true)
    mesh.advance(300 + TICK)
    expect(mesh.callers[0]!.statuses).toEqual([504])
    mesh.advance(20_000)
    expectQuiet(mesh)
  })
})

describe('Expect: 100-continue', () => {
  const expecting = head(4, 'Expect: 100-continue\r\n')

  test('an endpoint that says nothing has timeouts.request', async () => {
    const { mesh } = await orders({ timeouts: { requestMs: 1000 } })
    const caller = mesh.caller().send(expecting)
    mesh.advance(1000 + TICK)
    expect(caller.statuses).toEqual([504])
    expectQuiet(mesh)
  })

  test('after the 100 it is the turn of the caller', async () => {
    const { mesh, upstream } = await orders({ timeouts: { requestMs: 1000, perTryMs: 500 } })
    upstream.onHead = (_request, connection) => void connection.send('HTTP/1.1 100 Continue\r\n\r\n')
    const caller = mesh.caller().send(expecting)
    for (const byte of 'slow') {
      mesh.advance(5000)
      caller.sendMore(byte)
    }
    mesh.settle()
    expect(caller.last.status).toBe(200)
    expectQuiet(mesh)
  })

  test('a caller that does not wait for it has its own time', async () => {
    const { mesh } = await orders({ timeouts: { requestMs: 1000, perTryMs: 500 } })
    const caller = mesh.caller().send(expecting)
    for (const byte of 'slow') {
      mesh.advance(400)
      caller.sendMore(byte)
    }
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expectQuiet(mesh)
  })
})

describe('gRPC', () => {
  test.each([
    ['no deadline', [], 200],
    ['a deadline of its own', ['grpc-timeout', '5S'], 200],
  ])('a client stream of 18 s with %s', async (_name, fields) => {
    const { mesh } = await orders({ protocol: 'grpc', timeouts: { requestMs: 15_000 } })
    const endpoint = new Http2Endpoint(mesh, A)
    endpoint.answer = ({ stream }) =>
      reply(stream, 200, ['content-type', 'application/grpc'], 'x', ['grpc-status', '0'])
    const call = mesh
      .http2Caller()
      .ask({ method: 'POST', fields: ['content-type', 'application/grpc', 'te', 'trailers', ...fields], body: null })
    for (let i = 0; i < 18; i++) {
      mesh.advance(1000)
      call.send('message', i === 17)
    }
    mesh.settle()
    expect(call.trailing?.get('grpc-status') ?? call.fields.get('grpc-status')).toBe(fields.length === 0 ? '0' : '4')
  })
})

describe('a full-duplex stream', () => {
  test.each(['HTTP/1.1', 'HTTP/2'])(
    'over %s whose caller is quiet while the answer flows is not cut',
    async protocol => {
      const { mesh, upstream } = await orders()
      upstream.onHead = (_request, connection) => {
        connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        for (let i = 1; i <= 10; i++) mesh.loop.after(i * 20_000, () => connection.send('1\r\nx\r\n'))
      }
      upstream.answer = (_request, connection) => void connection.send('0\r\n\r\n')
      const http1 =
        protocol === 'HTTP/1.1'
          ? mesh.caller().send('POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
          : null
      const http2 = http1 === null ? mesh.http2Caller().ask({ method: 'POST', body: null }) : null
      http2?.send('a')
      mesh.advance(200_000)
      if (http1 !== null) http1.sendMore('1\r\nb\r\n0\r\n\r\n')
      else http2!.send('b', true)
      mesh.settle()
      expect(http1?.last.text ?? http2!.body).toBe('x'.repeat(10))
      expect(upstream.requests[0]!.text).toBe('ab')
      expect(mesh.flight).toMatchObject({ flag: '-' })
    },
  )

  test('both quiet for timeouts.idle: it ends, and the endpoint is not blamed', async () => {
    const { mesh, upstream } = await orders({ timeouts: { idleMs: 60_000 } })
    upstream.onHead = (_request, connection) =>
      void connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
    mesh.advance(59_000)
    expect(caller.over).toBe(false)
    mesh.advance(2000)
    expect(caller.wasReset).toBe(true)
    expect(mesh.flight).toMatchObject({ failure: 'stream-idle', flag: 'SI' })
    expect(mesh.endpoints()[0]!.endpoints[0]!.failures).toBe(0)
    expectQuiet(mesh)
  })
})

test('an endpoint that does not read the upload has timeouts.idle, and is blamed', async () => {
  const { mesh, upstream } = await orders({ timeouts: { requestMs: 1000, idleMs: 60_000 } })
  upstream.onHead = (_request, connection) => connection.wire.pause()
  const caller = mesh.caller().send(head(50_000_000))
  for (let i = 0; i < 200; i++) {
    caller.sendMore('x'.repeat(65_536))
    mesh.advance(1)
  }
  mesh.advance(50_000)
  expect(caller.responses).toHaveLength(0)
  mesh.advance(11_000)
  expect(caller.statuses).toEqual([504])
  expect(mesh.flight).toMatchObject({ failure: 'upstream-idle', flag: 'SI' })
  expect(mesh.endpoints()[0]!.endpoints[0]!.failures).toBe(1)
})

test('an endpoint that reads slowly is not taken for one that does not read', async () => {
  const { mesh, upstream } = await orders({
    timeouts: { requestMs: 1000, idleMs: 5000 },
    mesh: { upstream: { readSize: () => 20_000 } },
  })
  let end = () => {}
  upstream.onHead = (_request, connection) => {
    end = () => connection.wire.pause()
    connection.wire.pause()
  }
  const caller = mesh.caller().send(head(1_000_000))
  caller.sendMore('x'.repeat(1_000_000))
  for (let i = 0; i < 400 && caller.responses.length === 0; i++) {
    mesh.advance(1000)
    upstream.last.wire.resume()
    mesh.advance(1)
    end()
  }
  upstream.last.wire.resume()
  mesh.settle()
  expect(caller.statuses).toEqual([200])
})
