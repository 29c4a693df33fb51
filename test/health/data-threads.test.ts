import { describe, expect, test } from 'vitest'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import { EventLoop } from '../support/event-loop.ts'
import { Mesh } from '../support/mesh.ts'
import { A, B, C, expectQuiet } from '../support/orders.ts'
import { listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../support/specs.ts'
import { type Answer, ok, respond } from '../support/upstream.ts'

const busy = respond('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')

/** Data threads of one proxy, with the control thread between them: what one tells, the others hear 5 ms later. */
async function proxy(threads: number, service: ServiceOverrides = {}) {
  const loop = new EventLoop()
  const memory = new SharedArrayBuffer(8 * 1024 ** 2)
  const snapshot = snapshotOf([serviceSpec('orders', [A, B, C], service)], [listenerSpec({ service: 'orders' })])
  const meshes: Mesh[] = []
  for (let thread = 0; thread < threads; thread++)
    meshes.push(await Mesh.start(snapshot, { loop, cells: sharedCells(memory, thread, threads) }))
  const heard = meshes.map(({ messages }) => messages.length)
  const relay = () =>
    meshes.forEach((mesh, thread) => {
      for (const message of mesh.messages.slice(heard[thread]))
        if (message.kind === 'ejections')
          for (const other of meshes)
            if (other !== mesh)
              loop.after(5, () => other.thread.receive({ kind: 'ejections', service: message.service }))
      heard[thread] = mesh.messages.length
    })
  const answer = (name: string, how: Answer) => {
    for (const mesh of meshes) mesh.upstream(name).answer = how
  }
  const ask = (thread: number, times = 1) => {
    const caller = meshes[thread]!.caller()
    for (let i = 0; i < times; i++) {
      caller.get()
      loop.settle()
    }
    relay()
    caller.close()
    loop.settle()
    return caller.statuses
  }
  const state = (thread: number, index = 0) => meshes[thread]!.endpoints()[0]!.endpoints[index]!
  const requests = (name: string) => meshes.reduce((sum, mesh) => sum + mesh.upstream(name).requests.length, 0)
  const events = () =>
    meshes.flatMap(({ messages }) => messages.flatMap(each => (each.kind === 'event' ? [each.event] : [])))
  return { loop, meshes, answer, ask, state, requests, events }
}

describe('a proxy of several data threads', () => {
  test('ejects after five failures in a row over all of them, and an idle thread knows within 100 ms', async () => {
    const { loop, answer, ask, state, requests, events, meshes } = await proxy(4, { retries: { on: [] } })
    answer(A, busy)
    // Each takes each endpoint in turn: thread 3 has none of it.
    for (const thread of [0, 1, 2, 0, 1]) ask(thread, 3)
    expect(requests(A)).toBe(5)
    expect(events()).toEqual([
      expect.objectContaining({
        kind: 'endpoint-ejected',
        endpoint: A,
        reason: '5 consecutive failures, last: status 503',
      }),
    ])
    loop.advance(100)
    for (const thread of [0, 1, 2, 3]) expect(state(thread)).toMatchObject({ state: 'ejected' })
    expect(ask(3, 9)).toEqual(Array(9).fill(200))
    expect(requests(A)).toBe(5)
    expect(meshes.reduce((sum, mesh) => sum + mesh.stat('outrigger_upstream_ejections_total'), 0)).toBe(1)
    const detected = { service: 'orders', reason: 'consecutive_gateway_failure', outcome: 'ejected' }
    expect(meshes.reduce((sum, mesh) => sum + mesh.stat('outrigger_outlier_detections_total', detected), 0)).toBe(1)
    expect(meshes.reduce((sum, mesh) => sum + mesh.stat('outrigger_upstream_ejected'), 0)).toBe(1)
    for (const mesh of meshes) expectQuiet(mesh)
  })

  test('sends one request to what comes back, on whatever thread, and all know what came of it', async () => {
    const { loop, answer, ask, state, requests, meshes } = await proxy(3, { retries: { on: [] } })
    answer(A, busy)
    for (const thread of [0, 1, 2, 0, 1]) ask(thread, 3)
    loop.advance(10_020)
    expect(state(2)).toMatchObject({ state: 'probing' })
    let finish = () => {}
    answer(A, (_request, connection) => {
      finish = () => connection.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
    const callers = meshes.map(mesh => mesh.caller())
    for (let i = 0; i < 4; i++)
      for (const mesh of meshes) {
        mesh.caller().get()
        loop.settle()
      }
    expect(requests(A)).toBe(6)
    finish()
    loop.settle()
    const admitted = meshes.findIndex(mesh => mesh.messages.some(({ kind }) => kind === 'ejections'))
    expect(admitted).toBeGreaterThanOrEqual(0)
    answer(A, ok)
    ask(0)
    loop.advance(100)
    for (const thread of [0, 1, 2]) expect(state(thread)).toMatchObject({ state: 'admitting' })
    for (const caller of callers) caller.close()
    loop.settle()
  })

  test('gives the request back when its caller goes away, and the next one decides', async () => {
    const { loop, answer, ask, state, requests, meshes } = await proxy(2, { retries: { on: [] } })
    answer(A, busy)
    for (const thread of [0, 1, 0, 1, 0]) ask(thread, 3)
    loop.advance(10_020)
    answer(A, () => {})
    const gone = meshes[1]!.caller().get()
    loop.settle()
    expect(requests(A)).toBe(6)
    gone.close()
    loop.settle()
    answer(A, ok)
    expect(ask(0, 2)).toEqual([200, 200])
    expect(requests(A)).toBe(7)
    loop.advance(100)
    expect(state(1)).toMatchObject({ state: 'admitting' })
  })

  test('a kept connection that the endpoint closed just then does not lose the one request', async () => {
    const { loop, answer, ask, state, requests, meshes } = await proxy(1, {
      outliers: { consecutiveGatewayFailures: 1, baseEjectionMs: 1000 },
      retries: { on: [] },
    })
    ask(0, 3)
    answer(A, busy)
    ask(0, 3)
    loop.advance(1_020)
    let first = true
    let finish = () => {}
    answer(A, (request, connection) => {
      if (!first) finish = () => ok(request, connection)
      else connection.close()
      first = false
    })
    const caller = meshes[0]!.caller().get()
    loop.settle()
    expect(requests(A)).toBe(4)
    // It is on its way once more, and is the one request still.
    expect(ask(0, 6)).toEqual(Array(6).fill(200))
    expect(requests(A)).toBe(4)
    finish()
    loop.settle()
    expect(caller.statuses).toEqual([200])
    expect(state(0)).toMatchObject({ state: 'admitting' })
  })
})

describe('a caller whose requests always fail', () => {
  const wrong: Answer = (request, connection) =>
    connection.send(
      request.target === '/wrong'
        ? 'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n'
        : 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    )

  async function with_(outliers: ServiceOverrides['outliers']) {
    const all = await proxy(1, { ...(outliers === undefined ? {} : { outliers }), retries: { on: [] } })
    for (const name of [A, B, C]) all.answer(name, wrong)
    const mesh = all.meshes[0]!
    const bad = mesh.caller()
    const fail = (times: number) => {
      for (let i = 0; i < times; i++) {
        bad.get('/wrong')
        mesh.settle()
      }
    }
    const states = () => mesh.endpoints()[0]!.endpoints.map(({ state }) => state)
    return { ...all, fail, states }
  }

  test('with 500 ejects nothing at first', async () => {
    const { fail, states, ask } = await with_(undefined)
    fail(100)
    expect(states()).toEqual(['admitting', 'admitting', 'admitting'])
    expect(ask(0, 9)).toEqual(Array(9).fill(200))
  })

  test('with consecutive5xx takes away as many endpoints as maxEjectedPercent gives, and not a request of others', async () => {
    const { fail, states, ask, loop } = await with_({ consecutive5xx: 5, maxEjectedPercent: 50 })
    fail(100)
    expect(states().filter(state => state === 'ejected')).toHaveLength(1)
    expect(ask(0, 30)).toEqual(Array(30).fill(200))
    for (let second = 0; second < 60; second++) {
      fail(10)
      expect(ask(0, 3)).toEqual([200, 200, 200])
      loop.advance(1_000)
      expect(states().filter(state => state !== 'admitting').length).toBeLessThanOrEqual(1)
    }
  })

  test('among others that succeed makes no row', async () => {
    const { fail, states, ask } = await with_({ consecutive5xx: 5 })
    for (let i = 0; i < 50; i++) {
      fail(6)
      ask(0, 3)
    }
    expect(states()).toEqual(['admitting', 'admitting', 'admitting'])
  })
})
