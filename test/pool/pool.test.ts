import { describe, expect, test } from 'vitest'
import { A, B, expectQuiet, orders, warm } from '../support/orders.ts'
import { type Answer, ok, silent, type UpstreamEnd } from '../support/upstream.ts'

/** Answers after so many milliseconds. */
const slowly =
  (mesh: { loop: { after(ms: number, callback: () => void): unknown } }, ms: number): Answer =>
  (request, connection) =>
    void mesh.loop.after(ms, () => ok(request, connection))

describe('connections', () => {
  test('are used again, the one used last first, so that the others grow old', async () => {
    const { mesh, upstream } = await orders({ timeouts: { idleMs: 10_000 } })
    upstream.answer = slowly(mesh, 10)
    const callers = Array.from({ length: 3 }, () => mesh.caller().get())
    mesh.advance(20)
    expect(upstream.connections).toHaveLength(3)
    const before = upstream.connections.map(({ receivedBytes }) => receivedBytes)
    for (let i = 0; i < 5; i++) {
      mesh.advance(3000)
      callers[0]!.get()
      mesh.advance(20)
    }
    expect(callers[0]!.statuses).toHaveLength(6)
    expect(upstream.connections).toHaveLength(3)
    const used = upstream.connections.filter(({ receivedBytes }, i) => receivedBytes > before[i]!)
    expect(used).toHaveLength(1)
    expect(upstream.open).toEqual(used)
    expectQuiet(mesh)
  })

  test('are at most as many as the limit, over all endpoints; more requests wait their turn', async () => {
    const { mesh } = await orders({
      endpoints: [A, B],
      limits: { connections: 4 },
      timeouts: { connectMs: 60_000, requestMs: 0 },
    })
    let most = 0
    for (const name of [A, B])
      mesh.upstream(name).answer = (request, connection) => {
        most = Math.max(most, mesh.upstream(A).open.length + mesh.upstream(B).open.length)
        mesh.loop.after(10, () => ok(request, connection))
      }
    const callers = Array.from({ length: 50 }, () => mesh.caller().get())
    mesh.advance(1000)
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual(Array(50).fill(200))
    expect(most).toBe(4)
    expectQuiet(mesh)
  })

  test('that are old are replaced: in use after their answer, idle before the next request', async () => {
    const { mesh, upstream } = await orders({ connections: { ageMs: 60_000 }, timeouts: { requestMs: 0 } })
    const caller = mesh.caller().get()
    mesh.advance(50_000)
    upstream.answer = slowly(mesh, 20_000)
    caller.get()
    mesh.advance(21_000)
    expect(caller.statuses).toEqual([200, 200])
    expect([upstream.connections.length, upstream.open.length]).toEqual([1, 0])
    upstream.answer = ok
    caller.get()
    mesh.advance(67_000)
    caller.get()
    mesh.settle()
    expect(caller.statuses).toHaveLength(4)
    expect([upstream.connections.length, upstream.open.length]).toEqual([3, 1])
    expectQuiet(mesh)
  })

  test('an idle one at another endpoint gives its permit to one that has none', async () => {
    const { mesh } = await orders({ endpoints: [A, B], limits: { connections: 1 } })
    const caller = mesh.caller()
    for (let i = 0; i < 6; i++) {
      caller.get()
      mesh.advance(5)
    }
    expect(caller.statuses).toEqual(Array(6).fill(200))
    expect(mesh.upstream(A).requests.length).toBe(3)
    expect(mesh.upstream(B).requests.length).toBe(3)
    expect(mesh.upstream(A).open.length + mesh.upstream(B).open.length).toBe(1)
    expectQuiet(mesh)
  })

  test('one that becomes free at another endpoint gives its permit to a request that waits', async () => {
    const { mesh } = await orders({ endpoints: [A, B], limits: { connections: 1 }, timeouts: { connectMs: 1000 } })
    for (const name of [A, B]) mesh.upstream(name).answer = slowly(mesh, 100)
    const callers = Array.from({ length: 4 }, () => mesh.caller().get())
    mesh.advance(500)
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual([200, 200, 200, 200])
    expectQuiet(mesh)
  })

  test('are closed when they were idle for too long', async () => {
    const { mesh, upstream } = await orders({ timeouts: { idleMs: 5000 } })
    warm(mesh)
    mesh.advance(4990)
    expect(upstream.open).toHaveLength(1)
    mesh.advance(30)
    expect(upstream.open).toHaveLength(0)
    expect(mesh.stat('outrigger_upstream_connections')).toBe(0)
  })

  test('a connection that was made for someone who left serves the next one', async () => {
    const { mesh, upstream } = await orders()
    upstream.connectMs = 100
    mesh.caller().get().close()
    mesh.advance(50)
    const caller = mesh.caller().get()
    mesh.advance(60)
    expect(caller.statuses).toEqual([200])
    mesh.advance(60)
    expectQuiet(mesh)
  })

  test('the first one ready serves the first who waits', async () => {
    const { mesh, upstream } = await orders()
    upstream.connectMs = 50
    const first = mesh.caller().get('/1')
    mesh.advance(1)
    const second = mesh.caller().get('/2')
    mesh.advance(48)
    expect([first.statuses, second.statuses]).toEqual([[], []])
    mesh.advance(1)
    // It was free again before the connection of the second one was made.
    expect([first.statuses, second.statuses]).toEqual([[200], [200]])
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/1', '/2'])
    expect(upstream.connections).toHaveLength(1)
  })

  test('what one upload refuses to hand back is not waited for: a failed connection is made again for the next', async () => {
    const { mesh, upstream } = await orders({ limits: { connections: 1 }, retries: { on: [] } })
    upstream.connect = 'refuse'
    upstream.connectMs = 10
    const callers = Array.from({ length: 3 }, () => mesh.caller().get())
    mesh.advance(100)
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual([503, 503, 503])
    expect(upstream.dials).toBe(3)
    expectQuiet(mesh)
  })
})

describe('waiting', () => {
  test('one more than may wait is refused at once', async () => {
    const { mesh, upstream } = await orders({
      limits: { connections: 1, pending: 2 },
      timeouts: { connectMs: 60_000, requestMs: 0 },
    })
    upstream.answer = slowly(mesh, 100)
    warmUp(mesh)
    const callers = Array.from({ length: 5 }, () => mesh.caller().get())
    mesh.settle()
    expect(callers.map(({ statuses }) => statuses)).toEqual([[], [], [], [503], [503]])
    expect(mesh.flight).toMatchObject({ flag: 'UO', failure: 'pool-overflow' })
    mesh.advance(1000)
    expect(callers.map(({ statuses }) => statuses)).toEqual([[200], [200], [200], [503], [503]])
    expectQuiet(mesh)

    function warmUp(on: typeof mesh) {
      const caller = on.caller().get()
      on.advance(200)
      expect(caller.statuses).toEqual([200])
      caller.close()
      on.settle()
    }
  })

  test('is no longer than the connect timeout', async () => {
    const { mesh, upstream } = await orders({ limits: { connections: 1 }, timeouts: { connectMs: 1000, requestMs: 0 } })
    warm(mesh)
    upstream.answer = slowly(mesh, 10_000)
    const first = mesh.caller().get()
    mesh.advance(100)
    const second = mesh.caller().get()
    mesh.advance(500)
    const third = mesh.caller().get()
    mesh.advance(499)
    expect(second.responses).toHaveLength(0)
    mesh.advance(21)
    expect(second.statuses).toEqual([503])
    expect(mesh.flight).toMatchObject({ flag: 'UO', failure: 'pending-timeout' })
    expect(third.responses).toHaveLength(0)
    mesh.advance(500)
    expect(third.statuses).toEqual([503])
    mesh.advance(10_000)
    expect(first.statuses).toEqual([200])
    expectQuiet(mesh)
  })

  test('is no longer than the connect timeout for one who came while a connection was being made for another', async () => {
    const { mesh, upstream } = await orders({ limits: { connections: 1 }, timeouts: { connectMs: 1000, requestMs: 0 } })
    upstream.connectMs = 50
    upstream.answer = slowly(mesh, 10_000)
    const first = mesh.caller().get()
    mesh.advance(10)
    const second = mesh.caller().get()
    mesh.advance(1500)
    expect(second.statuses).toEqual([503])
    mesh.advance(10_000)
    expect(first.statuses).toEqual([200])
    expectQuiet(mesh)
  })

  test('ends without a trace when the caller leaves', async () => {
    const { mesh, upstream } = await orders({
      limits: { connections: 1 },
      timeouts: { connectMs: 60_000, requestMs: 0 },
    })
    upstream.answer = slowly(mesh, 100)
    const first = mesh.caller().get()
    mesh.settle()
    const second = mesh.caller().get()
    const third = mesh.caller().get()
    mesh.settle()
    expect(mesh.endpoints()[0]!.endpoints[0]!.pending).toBe(2)
    second.close()
    mesh.settle()
    expect(mesh.endpoints()[0]!.endpoints[0]!.pending).toBe(1)
    mesh.advance(500)
    expect([first.statuses, third.statuses]).toEqual([[200], [200]])
    expect(upstream.requests).toHaveLength(2)
    expectQuiet(mesh)
  })
})

describe('requests at a time', () => {
  test('one more than the limit is refused with UO, and the permit comes back however a request ends', async () => {
    const { mesh, upstream } = await orders({
      limits: { requests: 2 },
      timeouts: { requestMs: 1000 },
      retries: { on: [] },
    })
    upstream.answer = silent
    const each = (act: (connection: UpstreamEnd) => void) => upstream.open.forEach(act)
    const leave = () => mesh.callers.forEach(caller => void caller.close())
    const ends: (() => void)[] = [
      () => each(connection => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')),
      () => each(connection => connection.reset()),
      () => leave(),
      () => mesh.advance(2000),
    ]
    for (const end of ends) {
      const callers = Array.from({ length: 3 }, () => mesh.caller().send('POST / HTTP/1.1\r\nHost: o\r\n\r\n'))
      mesh.settle()
      expect(callers.map(({ statuses }) => statuses)).toEqual([[], [], [503]])
      expect(mesh.flight).toMatchObject({ flag: 'UO', failure: 'pool-overflow', attempts: [] })
      end()
      mesh.settle()
      expectQuiet(mesh)
      leave()
      mesh.settle()
    }
  })
})
