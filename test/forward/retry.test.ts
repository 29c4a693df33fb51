import { describe, expect, test } from 'vitest'
import { CELL_MEMORY_BYTES } from '../../proxy/core/cells.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import { EventLoop } from '../support/event-loop.ts'
import { A, B, C, expectQuiet, orders, warm } from '../support/orders.ts'
import { matchSpec, routeSpec } from '../support/specs.ts'
import { ok, respond, silent } from '../support/upstream.ts'

describe('the keep-alive race', () => {
  /** The endpoint closes the idle connection just as the proxy writes to it. */
  async function race(methods: string, count = 1) {
    const { mesh, upstream } = await orders({ retries: { on: [] } })
    warm(mesh)
    let left = count
    upstream.onHead = (request, connection) => {
      if (request.target !== '/warm' && left-- > 0) connection.close()
    }
    upstream.answer = (request, connection) => {
      if (!connection.wire.destroyed) ok(request, connection)
    }
    const caller = mesh.caller().send(methods)
    mesh.advance(10)
    return { mesh, upstream, caller }
  }

  test.each([
    'GET / HTTP/1.1\r\nHost: o\r\n\r\n',
    'HEAD / HTTP/1.1\r\nHost: o\r\n\r\n',
    'DELETE / HTTP/1.1\r\nHost: o\r\n\r\n',
    'OPTIONS / HTTP/1.1\r\nHost: o\r\n\r\n',
    'PUT / HTTP/1.1\r\nHost: o\r\nContent-Length: 2\r\n\r\nhi',
    'PUT / HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: 1\r\n\r\n',
  ])('%j is sent again on a fresh connection, though nothing else is retried', async request => {
    const { mesh, upstream, caller } = await race(request)
    expect(caller.statuses).toEqual([200])
    expect(upstream.connections).toHaveLength(2)
    const [, first, second] = upstream.requests
    expect(second!.startLine).toBe(first!.startLine)
    expect(second!.headers).toEqual(first!.headers)
    expect(second!.text).toBe(request.includes('hi') ? 'hi' : '')
    expect(second!.whole).toBe(true)
    expect(mesh.flight.attempts.map(({ reusedConnection }) => reusedConnection)).toEqual([true, false])
    expect(mesh.endpoints()[0]!.endpoints[0]!.failures).toBe(0)
    expectQuiet(mesh)
  })

  test.each(['POST', 'PATCH', 'LOCK'])('%s is not: it may have been done', async method => {
    const { mesh, upstream, caller } = await race(`${method} / HTTP/1.1\r\nHost: o\r\nContent-Length: 2\r\n\r\nhi`)
    expect(caller.statuses).toEqual([503])
    expect(upstream.requests.filter(({ target }) => target === '/')).toHaveLength(1)
    expect(mesh.flight).toMatchObject({ flag: 'UC', failure: 'reset-before-response' })
    expectQuiet(mesh)
  })

  test('it happens once: an endpoint that closes a fresh connection as well has failed', async () => {
    const { upstream, caller, mesh } = await race('GET / HTTP/1.1\r\nHost: o\r\n\r\n', 5)
    expect(caller.statuses).toEqual([503])
    expect(upstream.requests.filter(({ target }) => target === '/')).toHaveLength(2)
    expectQuiet(mesh)
  })

  test('a part of an answer is no race', async () => {
    const { mesh, upstream } = await orders({ retries: { on: [] } })
    warm(mesh)
    upstream.onHead = (_request, connection) => {
      connection.send('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2')
      mesh.loop.after(1, () => connection.close())
    }
    upstream.answer = silent
    const caller = mesh.caller().get()
    mesh.advance(10)
    expect(caller.statuses).toEqual([503])
    expect(upstream.requests).toHaveLength(2)
  })

  test('the fresh connection is fresh, even when another idle one comes free while it is made', async () => {
    const { mesh, upstream } = await orders({ retries: { on: [] } })
    upstream.answer = (request, connection) =>
      void mesh.loop.after(request.target === '/long' ? 20 : 0, () => ok(request, connection))
    const long = mesh.caller().get('/long')
    mesh.caller().get('/short')
    mesh.advance(1)
    expect(upstream.connections).toHaveLength(2)
    // From now on every connection that was used dies under its next request.
    const used = new Set(upstream.connections)
    upstream.onHead = (_request, connection) => {
      if (used.has(connection)) connection.close()
    }
    upstream.connectMs = 100
    const caller = mesh.caller().get('/')
    mesh.advance(50)
    expect(long.statuses).toEqual([200])
    mesh.advance(100)
    expect(caller.statuses).toEqual([200])
    expectQuiet(mesh)
  })
})

describe('retries', () => {
  test('a refused connection is tried elsewhere at once, whatever the method', async () => {
    const { mesh } = await orders({ endpoints: [A, B] })
    mesh.upstream(A).connect = 'refuse'
    mesh.upstream(B).connect = 'refuse'
    for (const up of [A, B]) {
      mesh.upstream(A).connect = up === A ? 'accept' : 'refuse'
      mesh.upstream(B).connect = up === B ? 'accept' : 'refuse'
      for (let i = 0; i < 2; i++) {
        const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 2\r\n\r\nhi')
        mesh.settle()
        expect(caller.statuses).toEqual([200])
        expect(mesh.upstream(up).requests.at(-1)!.text).toBe('hi')
        for (const connection of mesh.upstream(up).open) connection.close()
        mesh.settle()
      }
    }
    expectQuiet(mesh)
  })

  test('what this machine lacks is tried elsewhere and blames no endpoint', async () => {
    const { mesh } = await orders({ endpoints: [A, B], outliers: { consecutiveGatewayFailures: 1 } })
    mesh.upstream(A).connect = 'lack'
    const callers = [mesh.caller().get(), mesh.caller().get()]
    mesh.settle()
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual([200, 200])
    mesh.upstream(B).connect = 'lack'
    for (const connection of mesh.upstream(B).open) connection.close()
    mesh.settle()
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    expect(mesh.flight).toMatchObject({ flag: 'UF', failure: 'connect-local', detail: 'EADDRNOTAVAIL' })
    expect(mesh.endpoints()[0]!.endpoints.map(({ failures, state }) => [failures, state])).toEqual([
      [0, 'admitting'],
      [0, 'admitting'],
    ])
    expectQuiet(mesh)
  })

  test('it stops after the number of attempts, and says what the last one met', async () => {
    const { mesh } = await orders({ endpoints: [A, B, C], retries: { attempts: 3 } })
    for (const name of [A, B, C]) mesh.upstream(name).connect = 'refuse'
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    expect([A, B, C].map(name => mesh.upstream(name).dials)).toEqual([1, 1, 1])
    expect(mesh.flight).toMatchObject({ flag: 'UF', failure: 'connect-refused' })
    expect(mesh.flight.attempts.map(({ retry }) => retry)).toEqual([
      'yes: connect-failure',
      'yes: connect-failure',
      'no: that was attempt 3 of 3',
    ])
    expectQuiet(mesh)
  })

  test('a reset before the answer is retried for idempotent methods only', async () => {
    for (const [method, expected] of [
      ['GET', 200],
      ['PUT', 200],
      ['POST', 503],
    ] as const) {
      const { mesh } = await orders({ endpoints: [A, B] })
      let resets = 1
      for (const name of [A, B])
        mesh.upstream(name).answer = (request, connection) => {
          if (resets-- > 0) connection.reset()
          else ok(request, connection)
        }
      const caller = mesh.caller().send(`${method} / HTTP/1.1\r\nHost: o\r\nContent-Length: 2\r\n\r\nhi`)
      mesh.advance(1000)
      expect(caller.statuses).toEqual([expected])
      const bodies = [A, B].flatMap(name => mesh.upstream(name).requests.map(({ text }) => text))
      expect(bodies).toEqual(expected === 200 ? ['hi', 'hi'] : ['hi'])
      expectQuiet(mesh)
    }
  })

  test('a body larger than what is kept is sent once', async () => {
    for (const [size, expected] of [
      [1000, 200],
      [1001, 503],
    ] as const) {
      const { mesh } = await orders({ endpoints: [A, B], retries: { replayBytes: 1000 } })
      let resets = 1
      for (const name of [A, B])
        mesh.upstream(name).answer = (request, connection) => {
          if (resets-- > 0) connection.reset()
          else ok(request, connection)
        }
      const caller = mesh
        .caller()
        .send(`PUT / HTTP/1.1\r\nHost: o\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(400)}`)
      mesh.settle()
      caller.sendMore('y'.repeat(size - 400))
      mesh.advance(1000)
      expect(caller.statuses).toEqual([expected])
      expectQuiet(mesh)
    }
  })

  test('a body that was still coming when the first attempt failed goes on to the second', async () => {
    const { mesh } = await orders({ endpoints: [A, B] })
    let first = true
    for (const name of [A, B])
      mesh.upstream(name).onHead = (_request, connection) => {
        if (first) mesh.loop.after(5, () => connection.reset())
        first = false
      }
    const caller = mesh.caller().send('PUT / HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
    mesh.advance(2)
    caller.sendMore('3\r\ndef\r\n')
    mesh.advance(10)
    caller.sendMore('3\r\nghi\r\n0\r\n\r\n')
    mesh.advance(10)
    expect(caller.statuses).toEqual([200])
    const whole = [A, B].flatMap(name => mesh.upstream(name).requests).filter(request => request.whole)
    expect(whole.map(({ text }) => text)).toEqual(['abcdefghi'])
    expectQuiet(mesh)
  })

  test('gateway errors and 5xx are retried where the policy says so, and the last answer passes as it is', async () => {
    const { mesh } = await orders({ endpoints: [A, B], retries: { on: ['gateway-error'] } })
    mesh.upstream(A).answer = respond('HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\na')
    mesh.upstream(B).answer = respond('HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nb')
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    expect(caller.last.header('content-type')).toBeUndefined()
    expect(mesh.upstream(A).requests.length + mesh.upstream(B).requests.length).toBe(2)
    mesh.upstream(B).answer = respond('HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n')
    mesh.upstream(A).answer = respond('HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n')
    caller.get()
    mesh.settle()
    expect(caller.statuses).toEqual([503, 500])
    expect(mesh.upstream(A).requests.length + mesh.upstream(B).requests.length).toBe(3)
    // Both answers were failures of their endpoint, the one that was passed on and the one that was not.
    expect(mesh.endpoints()[0]!.endpoints.map(({ failures }) => failures)).toEqual([1, 1])
    expectQuiet(mesh)
  })

  test('the budget: a fifth of the requests, and ten a second', async () => {
    const { mesh } = await orders({
      endpoints: [A, B],
      retries: { budget: { percent: 20, minPerSecond: 1 } },
      outliers: { consecutiveGatewayFailures: 0 },
    })
    for (const name of [A, B]) mesh.upstream(name).answer = (_request, connection) => connection.reset()
    for (let i = 0; i < 200; i++) mesh.caller().get()
    mesh.settle()
    // 200 requests: 40, and 10 for ten seconds of one a second.
    expect(mesh.upstream(A).requests.length + mesh.upstream(B).requests.length).toBe(200 + 40 + 10)
    expect(mesh.flights().some(({ attempts }) => attempts.at(-1)!.retry === 'no: the retry budget is spent')).toBe(true)
    mesh.advance(20_000)
    mesh.caller().get()
    mesh.settle()
    expect(mesh.upstream(A).requests.length + mesh.upstream(B).requests.length).toBe(252)
    expectQuiet(mesh)
  })

  test('the budget is one for two data threads', async () => {
    const memory = new SharedArrayBuffer(CELL_MEMORY_BYTES / 32)
    const loop = new EventLoop()
    const options = {
      retries: { budget: { percent: 20, minPerSecond: 1 } },
      outliers: { consecutiveGatewayFailures: 0 },
    }
    const threads = [0, 1].map(thread =>
      orders({ endpoints: [A, B], ...options, mesh: { loop, cells: sharedCells(memory, thread, 2) } }),
    )
    let sent = 0
    for (const { mesh } of await Promise.all(threads)) {
      for (const name of [A, B])
        mesh.upstream(name).answer = (_request, connection) => {
          sent++
          connection.reset()
        }
      for (let i = 0; i < 100; i++) mesh.caller().get()
      mesh.settle()
      expectQuiet(mesh)
    }
    // The first thread had 100 requests to go by, the second one those of both.
    expect(sent).toBe(200 + 40 + 10)
  })

  test('a route that always fails leaves a quarter of the budget to the others', async () => {
    const { mesh } = await orders({
      endpoints: [A, B],
      retries: { budget: { percent: 20, minPerSecond: 4 } },
      outliers: { consecutiveGatewayFailures: 0 },
      routes: [
        routeSpec({ name: '/bad', match: matchSpec({ path: { kind: 'exact', value: '/bad' } }) }),
        routeSpec({}),
      ],
    })
    let isFirst = true
    for (const name of [A, B])
      mesh.upstream(name).answer = (request, connection) => {
        if (request.target === '/bad' || isFirst) connection.reset()
        else ok(request, connection)
        isFirst = request.target === '/bad'
      }
    for (let i = 0; i < 100; i++) mesh.caller().get('/bad')
    mesh.settle()
    const sent = () => mesh.upstream(A).requests.length + mesh.upstream(B).requests.length
    // 60 retries are allowed: 20 % of 100, and 4 a second.
    expect(sent()).toBe(100 + 45)
    let fine = 0
    for (let i = 0; i < 20; i++) {
      isFirst = true
      const caller = mesh.caller().get('/good')
      mesh.settle()
      if (caller.statuses[0] === 200) fine++
    }
    expect(fine).toBeGreaterThanOrEqual(15)
    mesh.advance(20_000)
    const before = sent()
    for (let i = 0; i < 10; i++) mesh.caller().get('/bad')
    mesh.settle()
    expect(sent() - before, 'ten seconds later it has its share again').toBeGreaterThanOrEqual(20)
  })

  test('nothing is tried again once an answer has begun', async () => {
    const { mesh, upstream } = await orders({ retries: { on: ['reset-before-response', '5xx', 'gateway-error'] } })
    upstream.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
      mesh.loop.after(1, () => connection.reset())
    }
    const caller = mesh.caller().get()
    mesh.advance(1000)
    expect(caller.wasReset).toBe(true)
    expect(upstream.requests).toHaveLength(1)
    expectQuiet(mesh)
  })
})
