import { describe, expect, test } from 'vitest'
import type { OutlierSpec } from '../../mesh-config/snapshot.ts'
import { answered } from '../support/endpoints.ts'
import { A, B, C, expectQuiet, orders } from '../support/orders.ts'
import { ok, respond } from '../support/upstream.ts'
import { detectorOf, policy } from './detector.ts'

function detector(count: number, overrides: Partial<OutlierSpec> = {}) {
  const made = detectorOf(count, overrides)
  const fail = (index: number, times = 1) => made.ends(index, 503, times)
  const succeed = (index: number) => made.ends(index, 200)
  return { ...made, fail, succeed }
}

describe('ejection', () => {
  test('comes with so many failures in a row, not before, and not with a success between', () => {
    const { fail, succeed, states, events, changes } = detector(3)
    fail(0, 2)
    succeed(0)
    fail(0, 2)
    expect(states()).toEqual(['admitting', 'admitting', 'admitting'])
    fail(0)
    expect(states()).toEqual(['ejected', 'admitting', 'admitting'])
    expect(changes()).toBe(1)
    expect(events).toEqual([
      {
        kind: 'endpoint-ejected',
        cluster: 'orders',
        endpoint: '10.0.0.0:80',
        reason: '3 consecutive failures, last: status 503',
        forMs: 1000,
        by: 'consecutive_gateway_failure',
        shadow: false,
        // Those before the success as well: they are its last failures.
        evidence: Array(5).fill({ what: 'status 503', requestId: '', agoMs: 0 }),
      },
    ])
  })

  test('what says nothing of the endpoint neither counts nor clears', () => {
    const { fail, outliers, endpoints, states } = detector(2)
    fail(0, 2)
    outliers.report(answered(endpoints[0]!, 200, 0), 'ignorable', null, '')
    fail(0)
    expect(states()[0]).toBe('ejected')
  })

  test('never takes the last one, nor more than the share, but always may take one of two, except with 0 %', () => {
    for (const [count, percent, most] of [
      [1, 100, 0],
      [2, 10, 1],
      [2, 100, 1],
      [3, 10, 1],
      [3, 50, 1],
      [4, 50, 2],
      [10, 30, 3],
      [10, 0, 0],
      [2, 0, 0],
      [10, 100, 9],
    ] as const) {
      const { fail, states } = detector(count, { maxEjectedPercent: percent })
      for (let i = 0; i < count; i++) fail(i, 3)
      expect(states().filter(state => state === 'ejected').length, `${count} endpoints, ${percent} %`).toBe(most)
    }
  })

  test('counts those that are probing: they get one request and no more', () => {
    const { fail, succeed, states, loop } = detector(4)
    fail(0, 3)
    fail(1, 3)
    loop.advance(1_010)
    expect(states()).toEqual(['probing', 'probing', 'admitting', 'admitting'])
    fail(2, 9)
    expect(states()[2]).toBe('admitting')
    succeed(0)
    fail(2)
    expect(states()).toEqual(['admitting', 'probing', 'ejected', 'admitting'])
  })

  test('is off with zero', () => {
    const { fail, states } = detector(3, { consecutiveGatewayFailures: 0 })
    fail(0, 100)
    expect(states()[0]).toBe('admitting')
  })

  test('counts only those that get requests: of two, one in maintenance, the other stays', () => {
    for (const health of ['maintenance', 'critical', 'draining', 'failing'] as const) {
      const { fail, states, endpoints } = detector(2)
      endpoints[1]!.spec = { ...endpoints[1]!.spec, health }
      fail(0, 3)
      expect(states()[0], health).toBe('admitting')
      endpoints[1]!.spec = { ...endpoints[1]!.spec, health: 'passing' }
      fail(0)
      expect(states()[0]).toBe('ejected')
    }
  })

  test('takes one that fails its checks, and fails in panic too, but none that the registry has taken out', () => {
    const { fail, states, endpoints } = detector(4, { maxEjectedPercent: 100 })
    const health = ['passing', 'failing', 'failing', 'critical'] as const
    endpoints.forEach((endpoint, i) => {
      endpoint.spec = { ...endpoint.spec, health: health[i]! }
    })
    for (let i = 0; i < 4; i++) fail(i, 3)
    expect(states()).toEqual(['admitting', 'ejected', 'ejected', 'admitting'])
  })

  test('turned off, it lets everyone in again', () => {
    const { fail, states, outliers, loop, changes, endpoints } = detector(3)
    fail(0, 3)
    outliers.configure({ ...policy, consecutiveGatewayFailures: 0 })
    expect(states()).toEqual(['admitting', 'admitting', 'admitting'])
    expect(endpoints.map(({ warmingSince }) => warmingSince)).toEqual([loop.now, -1, -1])
    expect(changes()).toBe(2)
    loop.advance(10_000)
    expect(changes()).toBe(2)
  })
})

describe('probing', () => {
  test('begins with a clean slate: what balancers remember of the failures is forgotten, or the request that decides would hardly ever come', () => {
    const { fail, endpoints, loop } = detector(3)
    const { load } = endpoints[0]!
    Object.assign(load, { failing: 9, latencyMs: 5_000, failureRate: 1, attempts: 7, failedAt: 1, reportedQps: 12 })
    fail(0, 3)
    expect(load.failing).toBe(9)
    loop.advance(1_010)
    expect(load).toMatchObject({ failing: 0, latencyMs: 0, failureRate: 0, attempts: 0, failedAt: 0, reportedQps: 12 })
  })

  test('begins when the time is over; a success admits', () => {
    const { loop, fail, succeed, states, events, endpoints } = detector(3)
    fail(0, 3)
    loop.advance(999)
    expect(states()[0]).toBe('ejected')
    loop.advance(11)
    expect(states()[0]).toBe('probing')
    succeed(0)
    expect(states()[0]).toBe('admitting')
    expect(events.at(-1)).toEqual({
      kind: 'endpoint-admitted',
      cluster: 'orders',
      endpoint: '10.0.0.0:80',
      by: 'probe',
    })
    expect(endpoints[0]!.consecutiveFailures).toBe(0)
    fail(0, 2)
    expect(states()[0]).toBe('admitting')
  })

  test('is slow start: the endpoint is only beginning again, and its weight is what it was', () => {
    const { loop, fail, endpoints } = detector(3)
    const [a] = endpoints
    a!.learntWeight = 0.5
    fail(0, 3)
    expect(a!.warmingSince).toBe(-1)
    loop.advance(1000)
    expect(a!.warmingSince).toBe(loop.now)
    expect(endpoints.map(({ warmingSince }) => warmingSince)).toEqual([loop.now, -1, -1])
    expect([a!.weight, a!.learntWeight]).toEqual([1, 0.5])
  })

  test('ends with one failure: ejected again, and longer each time, up to the limit', () => {
    const { loop, fail, states, events } = detector(3)
    fail(0, 3)
    for (const forMs of [1000, 2000, 3000, 4000, 5000, 5000]) {
      expect(events.at(-1)).toMatchObject({ forMs })
      loop.advance(forMs - 1)
      expect(states()[0]).toBe('ejected')
      loop.advance(11)
      expect(states()[0]).toBe('probing')
      fail(0)
    }
    expect(events.at(-1)).toMatchObject({ reason: '1 consecutive failures while probing, last: status 503' })
  })

  test('several that are ejected come back each at its own time', () => {
    const { loop, fail, states } = detector(4)
    fail(0, 3)
    loop.advance(400)
    fail(1, 3)
    loop.advance(610)
    expect(states().slice(0, 2)).toEqual(['probing', 'ejected'])
    loop.advance(400)
    expect(states().slice(0, 2)).toEqual(['probing', 'probing'])
  })

  test('failures of requests that were under way when it was ejected change nothing', () => {
    const { loop, fail, states, events } = detector(3)
    fail(0, 10)
    expect(events).toHaveLength(1)
    loop.advance(1010)
    expect(states()[0]).toBe('probing')
  })
})

describe('in the whole proxy', () => {
  test('an endpoint that answers 503 gets no more requests for a while, then one tells', async () => {
    const { mesh } = await orders({
      endpoints: [A, B, C],
      outliers: { consecutiveGatewayFailures: 5, baseEjectionMs: 10_000 },
    })
    mesh.upstream(A).answer = respond('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
    const caller = mesh.caller()
    const ask = (times: number) => {
      for (let i = 0; i < times; i++) {
        caller.get()
        mesh.settle()
      }
    }
    ask(60)
    expect(mesh.upstream(A).requests).toHaveLength(5)
    expect(caller.statuses.filter(status => status === 503)).toHaveLength(5)
    expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({
      state: 'ejected',
      reason: '5 consecutive failures, last: status 503',
    })
    mesh.advance(10_010)
    ask(30)
    expect(mesh.upstream(A).requests).toHaveLength(6)
    mesh.upstream(A).answer = ok
    mesh.advance(20_010)
    ask(30)
    expect(mesh.upstream(A).requests.length).toBeGreaterThan(12)
    expect(mesh.endpoints()[0]!.endpoints[0]!.state).toBe('admitting')
    expectQuiet(mesh)
  })

  test('when the others leave, requests go to the one that was ejected, and none gets 503 UH', async () => {
    const { mesh } = await orders({
      endpoints: [A, B],
      outliers: { consecutiveGatewayFailures: 3, baseEjectionMs: 300_000 },
      retries: { on: [] },
    })
    mesh.upstream(A).answer = respond('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
    const caller = mesh.caller()
    const ask = (times: number) => {
      for (let i = 0; i < times; i++) {
        caller.get()
        mesh.settle()
      }
    }
    ask(20)
    expect(mesh.endpoints()[0]!.endpoints[0]!.state).toBe('ejected')
    mesh.upstream(A).answer = ok
    mesh.thread.receive({ kind: 'endpoints', service: 'orders', delta: { put: [], drop: [B] } })
    await new Promise(resolve => setImmediate(resolve))
    const before = caller.statuses.length
    ask(10)
    expect(caller.statuses.slice(before)).toEqual(Array(10).fill(200))
    expect(mesh.endpoints()[0]!.endpoints[0]!.state).toBe('admitting')
    expectQuiet(mesh)
  })

  test('answers to requests that were sent before the ejection do not eject again, nor for longer', async () => {
    const { mesh } = await orders({
      endpoints: [A, B],
      outliers: { consecutiveGatewayFailures: 3, baseEjectionMs: 1_000 },
      retries: { on: [] },
    })
    const late: (() => void)[] = []
    mesh.upstream(A).answer = (_request, connection) =>
      void late.push(() => connection.send('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'))
    for (let i = 0; i < 20; i++) mesh.caller().get()
    mesh.settle()
    for (const answer of late.splice(0, 3)) answer()
    mesh.settle()
    expect(mesh.endpoints()[0]!.endpoints[0]!.state).toBe('ejected')
    mesh.advance(1_010)
    expect(mesh.endpoints()[0]!.endpoints[0]!.state).toBe('probing')
    expect(late).toHaveLength(7)
    for (const answer of late) answer()
    mesh.settle()
    expect(mesh.endpoints()[0]!.endpoints[0]!.state).toBe('probing')
    expect(mesh.stat('outrigger_upstream_ejections_total')).toBe(1)
  })

  test.each([
    ['refuses connections', 'refuse', ok],
    ['resets before it answers', 'accept', (_request: unknown, connection: { reset(): void }) => connection.reset()],
    ['talks nonsense', 'accept', respond('nonsense\r\n\r\n')],
  ] as const)('an endpoint that %s is ejected as well', async (_name, connect, answer) => {
    const { mesh } = await orders({ endpoints: [A, B], retries: { on: [] } })
    mesh.upstream(A).connect = connect
    mesh.upstream(A).answer = answer
    for (let i = 0; i < 40; i++) {
      mesh.caller().send('POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 0\r\n\r\n')
      mesh.settle()
    }
    expect(mesh.endpoints()[0]!.endpoints.map(({ state }) => state)).toEqual(['ejected', 'admitting'])
    expect(mesh.endpoints()[0]!.endpoints[0]!.failures).toBe(5)
  })

  test('callers that go away, and callers that talk nonsense, are not held against it', async () => {
    const { mesh, upstream } = await orders({ endpoints: [A, B] })
    upstream.answer = () => {}
    mesh.upstream(B).answer = () => {}
    for (let i = 0; i < 40; i++) {
      const caller = mesh.caller().get()
      mesh.settle()
      caller.close()
      mesh.settle()
      mesh.caller().send('POST / HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n')
      mesh.settle()
    }
    expect(mesh.endpoints()[0]!.endpoints.map(({ state, failures }) => [state, failures])).toEqual([
      ['admitting', 0],
      ['admitting', 0],
    ])
  })
})
