import { describe, expect, test } from 'vitest'
import { type Mesh, nextMicrotasks } from '../support/mesh.ts'
import { expectQuiet, orders } from '../support/orders.ts'
import { ok, silent } from '../support/upstream.ts'

async function drained(mesh: Mesh): Promise<number | null> {
  await nextMicrotasks()
  const message = mesh.messages.find(({ kind }) => kind === 'drained')
  return message?.kind === 'drained' ? message.cut : null
}

/** Inbound listeners first, then outbound: a promise between. */
async function drain(mesh: Mesh, timeoutMs: number): Promise<void> {
  mesh.thread.receive({ kind: 'drain', side: 'all', delayMs: 0, timeoutMs })
  mesh.advance(10)
  await nextMicrotasks()
  mesh.settle()
}

describe('drain', () => {
  test('with nothing under way is over at once', async () => {
    const { mesh } = await orders()
    await drain(mesh, 1000)
    expect(await drained(mesh)).toBe(0)
    expect(mesh.listens(8000)).toBe(false)
  })

  test('goes on accepting for the delay, then no more', async () => {
    const { mesh } = await orders()
    mesh.thread.receive({ kind: 'drain', side: 'all', delayMs: 500, timeoutMs: 1000 })
    mesh.advance(490)
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(caller.last.header('connection')).toBeUndefined()
    mesh.advance(20)
    await nextMicrotasks()
    expect(mesh.listens(8000)).toBe(false)
  })

  test('finishes what runs, says close, and closes idle connections', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = (request, connection) => void mesh.loop.after(300, () => ok(request, connection))
    const busy = mesh.caller().get()
    const uploading = mesh.caller().send('POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 5\r\n\r\nhe')
    const idle = mesh.caller()
    const asking = mesh.caller()
    asking.sendMore('GET / HTTP/1.1\r\nHo')
    mesh.settle()
    await drain(mesh, 10_000)
    mesh.advance(100)
    expect(idle.gotEnd).toBe(true)
    expect(await drained(mesh)).toBeNull()
    uploading.sendMore('llo')
    asking.send('st: o\r\n\r\n', 'GET')
    mesh.advance(3000)
    for (const caller of [busy, uploading, asking]) {
      expect(caller.statuses).toEqual([200])
      expect(caller.last.header('connection')).toBe('close')
      expect(caller.over).toBe(true)
      expect(caller.wasReset).toBe(false)
    }
    expect(await drained(mesh)).toBe(0)
    expectQuiet(mesh)
  })

  test('answers the request that runs and none behind it', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = (request, connection) => void mesh.loop.after(300, () => ok(request, connection))
    const caller = mesh.caller().get('/1').get('/2')
    mesh.settle()
    await drain(mesh, 10_000)
    mesh.advance(3000)
    expect(caller.statuses).toEqual([200])
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/1'])
    expect(await drained(mesh)).toBe(0)
  })

  test('cuts what still runs when its time is over, and says how many', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = silent
    const callers = [mesh.caller().get(), mesh.caller().get()]
    mesh.settle()
    await drain(mesh, 1000)
    mesh.advance(1020)
    expect(await drained(mesh)).toBe(2)
    expect(callers.map(({ over }) => over)).toEqual([true, true])
    expect(upstream.open).toHaveLength(0)
    expect(mesh.flight).toMatchObject({ failure: 'drained', flag: 'LR' })
    expectQuiet(mesh)
  })

  test('cuts a caller that does not close its side, too', async () => {
    const { mesh } = await orders()
    const caller = mesh.caller()
    caller.wire.handler = { bytes() {}, drained() {}, ended() {}, closed: error => caller.closed(error) }
    await drain(mesh, 60_000)
    mesh.advance(5000)
    expect(mesh.stat('outrigger_downstream_connections_active')).toBe(0)
    expect(await drained(mesh)).toBe(0)
  })
})

describe('a listener', () => {
  test('closes connections beyond its limit at once, and counts them', async () => {
    const { mesh } = await orders({ listener: { limits: { connections: 2 } } })
    const callers = [mesh.caller(), mesh.caller(), mesh.caller(), mesh.caller()]
    mesh.settle()
    expect(callers.map(({ gotEnd }) => gotEnd)).toEqual([false, false, true, true])
    expect(mesh.stat('outrigger_downstream_connections_overflow_total')).toBe(2)
    expect(mesh.stat('outrigger_downstream_connections_active')).toBe(2)
    callers[0]!.close()
    mesh.settle()
    const next = mesh.caller().get()
    mesh.settle()
    expect(next.statuses).toEqual([200])
    expect(mesh.stat('outrigger_downstream_connections_total')).toBe(3)
  })

  test('counts each connection out once, however it ends', async () => {
    const { mesh, upstream } = await orders({ timeouts: { requestMs: 500 } })
    upstream.answer = silent
    const ways = [
      () => mesh.caller().close(),
      () => mesh.caller().end(),
      () => mesh.caller().wire.reset(),
      () => mesh.caller().get().close(),
      () => mesh.caller().get().end(),
      () => mesh.caller().send('nonsense\r\n\r\n', 'GET'),
      () => mesh.caller().send('GET / HTTP/1.0\r\n\r\n'),
      () => mesh.caller().get('/', 'Connection: close\r\n'),
    ]
    for (const way of ways) for (let i = 0; i < 3; i++) way()
    mesh.advance(10_000)
    expect(mesh.stat('outrigger_downstream_connections_active')).toBe(0)
    expect(mesh.stat('outrigger_downstream_connections_total')).toBe(24)
    expectQuiet(mesh)
  })
})
