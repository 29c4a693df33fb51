import { describe, expect, test } from 'vitest'
import { A, B, expectQuiet, orders } from '../support/orders.ts'
import { ok, silent } from '../support/upstream.ts'

/** The tick of the timer wheel: nothing fires early, nothing more than this late. */
const TICK = 10

describe('upstream', () => {
  test('request: to the head of the answer, over all attempts', async () => {
    const { mesh, upstream } = await orders({ timeouts: { requestMs: 1000 } })
    upstream.answer = silent
    const caller = mesh.caller().get()
    mesh.advance(999)
    expect(caller.responses).toHaveLength(0)
    mesh.advance(1 + TICK)
    expect(caller.statuses).toEqual([504])
    expect(caller.gotEnd).toBe(false)
    expect(upstream.last.over).toBe(true)
    expect(mesh.flight).toMatchObject({ flag: 'UT', failure: 'upstream-timeout' })
    expectQuiet(mesh)
  })

  test('request: a long body is not cut', async () => {
    const { mesh, upstream } = await orders({ timeouts: { requestMs: 1000 } })
    upstream.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n')
      for (let i = 1; i <= 10; i++) mesh.loop.after(i * 500, () => connection.send('x'))
    }
    const caller = mesh.caller().get()
    mesh.advance(6000)
    expect(caller.last).toMatchObject({ status: 200, whole: true })
  })

  test('request: while waiting for a connection too', async () => {
    const { mesh, upstream } = await orders({ timeouts: { requestMs: 300, connectMs: 10_000 } })
    upstream.connect = 'ignore'
    const caller = mesh.caller().get()
    mesh.advance(300 + TICK)
    expect(caller.statuses).toEqual([504])
    mesh.advance(20_000)
    expectQuiet(mesh)
  })

  test('connect: a host that drops packets, then another one', async () => {
    const { mesh } = await orders({ endpoints: [A, B], timeouts: { connectMs: 200 } })
    mesh.upstream(A).connect = 'ignore'
    const callers = [mesh.caller().get(), mesh.caller().get()]
    mesh.advance(200 + TICK)
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual([200, 200])
    expect(mesh.endpoints()[0]!.endpoints.map(({ failures }) => failures)).toEqual([1, 0])
    expectQuiet(mesh)
  })

  test('connect: with nowhere else to go', async () => {
    const { mesh, upstream } = await orders({ timeouts: { connectMs: 200 }, retries: { on: [] } })
    upstream.connect = 'ignore'
    const caller = mesh.caller().get()
    mesh.advance(199)
    expect(caller.responses).toHaveLength(0)
    mesh.advance(1 + TICK)
    expect(caller.statuses).toEqual([503])
    expect(mesh.flight).toMatchObject({ flag: 'UF', failure: 'connect-timeout' })
    expectQuiet(mesh)
  })

  test('perTry: the next try goes elsewhere, the slow one is cancelled', async () => {
    const { mesh } = await orders({
      endpoints: [A, B],
      timeouts: { perTryMs: 100 },
      retries: { on: ['per-try-timeout'] },
    })
    mesh.upstream(A).answer = silent
    const callers = [mesh.caller().get(), mesh.caller().get()]
    mesh.advance(100 + TICK)
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual([200, 200])
    expect(mesh.upstream(A).last.over).toBe(true)
    expect(mesh.upstream(A).requests.length + mesh.upstream(B).requests.length).toBe(3)
    expectQuiet(mesh)
  })

  test('perTry: not retried unless the policy says so', async () => {
    const { mesh, upstream } = await orders({ endpoints: [A, B], timeouts: { perTryMs: 100 } })
    upstream.answer = silent
    mesh.upstream(B).answer = silent
    const caller = mesh.caller().get()
    mesh.advance(100 + TICK)
    expect(caller.statuses).toEqual([504])
    expect(mesh.flight).toMatchObject({ flag: 'UT', failure: 'per-try-timeout' })
    expectQuiet(mesh)
  })

  test('perTry: a late answer of a cancelled try reaches nobody', async () => {
    const { mesh } = await orders({
      endpoints: [A, B],
      timeouts: { perTryMs: 100 },
      retries: { on: ['per-try-timeout'] },
      mesh: { upstream: { latencyMs: 20 } },
    })
    for (const name of [A, B])
      mesh.upstream(name).answer = (_request, connection) =>
        void mesh.loop.after(name === A ? 75 : 0, () =>
          connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n${name}`),
        )
    const callers = [mesh.caller().get(), mesh.caller().get()]
    mesh.advance(1000)
    expect(callers.map(({ received }) => received.slice(-11))).toEqual([B, B])
    expect(callers.every(({ responses }) => responses.length === 1)).toBe(true)
    expectQuiet(mesh)
  })

  test('idle: counts from the last byte of the answer', async () => {
    const { mesh, upstream } = await orders({ timeouts: { idleMs: 1000 } })
    upstream.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n')
      for (let i = 1; i <= 5; i++) mesh.loop.after(i * 900, () => connection.send('x'))
    }
    const caller = mesh.caller().get()
    mesh.advance(5400)
    expect(caller.last.text).toBe('xxxxx')
    expect(caller.over).toBe(false)
    mesh.advance(2200)
    expect(caller.wasReset).toBe(true)
    expect(mesh.flight).toMatchObject({ flag: 'SI', failure: 'upstream-idle' })
    expectQuiet(mesh)
  })

  test('idle: a body on its way up is movement, too', async () => {
    const { mesh, upstream } = await orders({ timeouts: { idleMs: 1000, requestMs: 0 } })
    upstream.onHead = (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab')
    upstream.answer = (_request, connection) => void connection.send('cd')
    const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 10\r\n\r\n')
    for (let i = 0; i < 10; i++) {
      mesh.advance(800)
      expect(caller.wasReset, `after ${i + 1} pieces`).toBe(false)
      caller.sendMore('x')
    }
    mesh.settle()
    expect(caller.last).toMatchObject({ text: 'abcd', whole: true })
    expectQuiet(mesh)
  })
})

describe('downstream', () => {
  test('head: a head that comes a byte at a time', async () => {
    const { mesh, upstream } = await orders({ listener: { timeouts: { headMs: 1000 } } })
    const caller = mesh.caller()
    for (const byte of 'GET / HTTP/1.1\r\nHost: orders\r\n') {
      caller.sendMore(byte)
      mesh.advance(33)
      if (caller.gotEnd) break
    }
    mesh.advance(1000)
    expect(caller.statuses).toEqual([408])
    expect(caller.over).toBe(true)
    expect(upstream.dials).toBe(0)
    expect(mesh.flight).toMatchObject({ status: 408, flag: 'DT' })
    expectQuiet(mesh)
  })

  test('head: only empty lines', async () => {
    const { mesh } = await orders({ listener: { timeouts: { headMs: 1000 } } })
    const caller = mesh.caller()
    caller.sendMore('\r\n')
    mesh.advance(1000 + TICK)
    expect(caller.statuses).toEqual([408])
  })

  test('head: of the second request, counted from its own first byte', async () => {
    const { mesh } = await orders({ listener: { timeouts: { headMs: 1000 } } })
    const caller = mesh.caller().get()
    mesh.advance(5000)
    caller.sendMore('GET /')
    mesh.advance(900)
    expect(caller.statuses).toEqual([200])
    mesh.advance(100 + TICK)
    expect(caller.statuses).toEqual([200, 408])
  })

  test('body: time between two pieces, not for the whole', async () => {
    const { mesh, upstream } = await orders({ listener: { timeouts: { bodyMs: 1000 } }, timeouts: { requestMs: 0 } })
    const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 10\r\n\r\n')
    for (let i = 0; i < 5; i++) {
      mesh.advance(900)
      caller.sendMore('x')
    }
    mesh.advance(900)
    expect(caller.responses).toHaveLength(0)
    mesh.advance(100 + TICK)
    expect(caller.statuses).toEqual([408])
    expect(upstream.last.over).toBe(true)
    mesh.advance(2000)
    expect(caller.over).toBe(true)
    expect(mesh.flight).toMatchObject({ status: 408, flag: 'DT', failure: 'body-timeout' })
    expectQuiet(mesh)
  })

  test('idle: a connection without a request is closed, without a word', async () => {
    const { mesh } = await orders({ listener: { timeouts: { idleMs: 1000 } } })
    const fresh = mesh.caller()
    const used = mesh.caller().get()
    mesh.advance(1000 + TICK)
    expect([fresh.over, used.over]).toEqual([true, true])
    expect([fresh.received, used.statuses]).toEqual(['', [200]])
    expectQuiet(mesh)
  })

  test('idle: a request that runs is not idle', async () => {
    const { mesh, upstream } = await orders({ listener: { timeouts: { idleMs: 1000 } } })
    upstream.answer = (request, connection) => void mesh.loop.after(3000, () => ok(request, connection))
    const caller = mesh.caller().get()
    mesh.advance(3000)
    expect(caller.statuses).toEqual([200])
  })

  test('off: nothing is closed for being slow', async () => {
    const { mesh } = await orders({
      listener: { timeouts: { idleMs: 0, headMs: 0, bodyMs: 0 } },
      timeouts: { requestMs: 0, idleMs: 0 },
    })
    const callers = [mesh.caller(), mesh.caller(), mesh.caller()]
    callers[1]!.sendMore('GET /')
    callers[2]!.send('POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 10\r\n\r\n')
    mesh.advance(100_000_000)
    expect(callers.map(({ over }) => over)).toEqual([false, false, false])
  })

  test.each([0, 300_000])(
    'an answer that is the last of its connection reaches a slow reader whole (idle %i)',
    async idleMs => {
      const { mesh, upstream } = await orders({
        listener: { timeouts: { idleMs } },
        mesh: { downstream: { latencyMs: 1, readSize: () => 30_000 } },
      })
      const body = 'x'.repeat(500_000)
      upstream.answer = (_request, connection) =>
        void connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      const caller = mesh.caller()
      caller.wire.pause()
      caller.get('/', 'Connection: close\r\n')
      for (let i = 0; i < 200 && !caller.over; i++) {
        mesh.advance(2500)
        caller.wire.resume()
        mesh.advance(1)
        caller.wire.pause()
      }
      caller.wire.resume()
      mesh.advance(5000)
      expect(caller.last).toMatchObject({ bodyBytes: body.length, whole: true })
      expect(caller.wasReset).toBe(false)
      expectQuiet(mesh)
    },
  )
})
