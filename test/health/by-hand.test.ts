import { describe, expect, test } from 'vitest'
import { learntOf } from '../../proxy/cluster/learnt.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import { clusterOf, reachable } from '../cluster/cluster-of.ts'
import { EventLoop } from '../support/event-loop.ts'
import { A, B, C, expectQuiet, orders } from '../support/orders.ts'
import { endpointSpec, serviceSpec } from '../support/specs.ts'
import { detectorOf, policy } from './detector.ts'

const name = (index: number) => `10.0.0.${index}:80`

function byHand(count: number, options: Parameters<typeof detectorOf>[1] = {}) {
  const detector = detectorOf(count, options)
  const ask = (index: number, ejectForMs: number | null, force = false) =>
    detector.outliers.byHand({ service: 'orders', endpoint: name(index), ejectForMs, force })
  return { ...detector, ask }
}

describe('an operator', () => {
  test('ejects an endpoint for a time, whatever it answers; then one request decides', () => {
    const { ask, states, events, loop, ends } = byHand(3)
    expect(ask(0, 30_000)).toEqual({ done: true, why: '' })
    expect(events).toEqual([
      expect.objectContaining({ kind: 'endpoint-ejected', by: 'operator', forMs: 30_000, reason: 'by an operator' }),
    ])
    ends(0, 200, 100)
    loop.advance(29_900)
    expect(states()[0]).toBe('ejected')
    loop.advance(120)
    expect(states()[0]).toBe('probing')
    ends(0, 200)
    expect(states()[0]).toBe('admitting')
  })

  test('puts back at once what is ejected, by hand or not, with slow start', () => {
    const { ask, states, ends, endpoints, loop, events } = byHand(3)
    ends(0, 503, 3)
    ask(1, 30_000)
    expect(states()).toEqual(['ejected', 'ejected', 'admitting'])
    expect(ask(0, null)).toEqual({ done: true, why: '' })
    expect(ask(1, null)).toEqual({ done: true, why: '' })
    expect(states()).toEqual(['admitting', 'admitting', 'admitting'])
    expect(endpoints.map(({ warmingSince }) => warmingSince)).toEqual([loop.now, loop.now, -1])
    expect(events.at(-1)).toMatchObject({ kind: 'endpoint-admitted', by: 'operator' })
    expect(ask(0, null)).toEqual({ done: false, why: '10.0.0.0:80 is not ejected' })
    expect(ask(7, null)).toEqual({ done: false, why: 'orders has no endpoint 10.0.0.7:80' })
  })

  test('is not bound by maxEjectedPercent, but the last one takes force', () => {
    const { ask, states } = byHand(3, { maxEjectedPercent: 0 })
    expect(ask(0, 30_000).done).toBe(true)
    expect(ask(1, 30_000).done).toBe(true)
    expect(ask(2, 30_000)).toEqual({
      done: false,
      why: '10.0.0.2:80 is the last usable endpoint of orders: requests would go to it all the same, or fail',
    })
    expect(ask(2, 30_000, true).done).toBe(true)
    expect(states()).toEqual(['ejected', 'ejected', 'ejected'])
  })

  test('of a subset of one it takes force too', () => {
    const { ask } = byHand(3, {
      sets: endpoints => [
        { name: 'orders', members: endpoints },
        { name: 'orders/v2', members: endpoints.slice(0, 1) },
      ],
    })
    expect(ask(0, 30_000)).toMatchObject({ done: false, why: expect.stringContaining('of orders/v2') })
  })

  test('leaves the detector its share of what is left: the last of those is never ejected', () => {
    const { ask, ends, states } = byHand(3)
    ask(0, 30_000)
    ends(1, 503, 3)
    ends(2, 503, 9)
    expect(states()).toEqual(['ejected', 'ejected', 'admitting'])
  })

  test.each([
    ['off', { consecutiveGatewayFailures: 0 }],
    ['in shadow', { shadow: true }],
  ])('where detection is %s nothing needs to be proved afterwards, and a reload ends nothing', (_how, over) => {
    const { ask, states, loop, outliers } = byHand(3, over)
    ask(0, 30_000)
    outliers.configure({ ...policy, ...over })
    expect(states()[0]).toBe('ejected')
    loop.advance(30_020)
    expect(states()[0]).toBe('admitting')
  })
})

describe('what an operator ejected', () => {
  const trio = ['a:1', 'b:1', 'c:1'].map(each => endpointSpec(each))
  const of = (isForced: boolean) => {
    const made = clusterOf(serviceSpec('orders', trio))
    made.cluster.byHand({ service: 'orders', endpoint: 'a:1', ejectForMs: 60_000, force: isForced })
    return made
  }

  test('is used all the same when everything else has gone, unless it was by force', () => {
    for (const isForced of [false, true]) {
      const { cluster } = of(isForced)
      expect(reachable(cluster.whole)).toEqual(['b:1', 'c:1'])
      cluster.change({ put: [], drop: ['b:1', 'c:1'] })
      expect(reachable(cluster.whole)).toEqual(isForced ? [] : ['a:1'])
    }
  })

  test('stays ejected over reloads, and in a process that takes over', () => {
    const { cluster, loop } = of(false)
    cluster.configure(serviceSpec('orders', trio, { outliers: { consecutiveGatewayFailures: 2 } }))
    expect(cluster.endpoints[0]).toMatchObject({ state: 'ejected', byHand: 'yes' })
    loop.advance(10_000)
    const learnt = structuredClone(learntOf(cluster.endpoints, loop.now))
    expect(learnt[0]).toMatchObject({ name: 'a:1', byHand: 'yes', ejectedForMs: 50_000 })
    const next = clusterOf(serviceSpec('orders', trio))
    next.cluster.restore(learnt)
    expect(next.cluster.endpoints[0]).toMatchObject({
      state: 'ejected',
      byHand: 'yes',
      ejectionReason: 'by an operator',
    })
    expect(reachable(next.cluster.whole)).toEqual(['b:1', 'c:1'])
    next.loop.advance(50_020)
    expect(next.cluster.endpoints[0]!.state).toBe('probing')
  })

  test('is known to every data thread, and each may be asked', () => {
    const memory = new SharedArrayBuffer(4 * 1024 ** 2)
    const loop = new EventLoop()
    const threads = [0, 1].map(thread => byHand(3, { loop, cells: sharedCells(memory, thread, 2) }))
    expect(threads.map(({ ask }) => ask(0, 30_000).done)).toEqual([true, true])
    expect(threads.map(({ states }) => states()[0])).toEqual(['ejected', 'ejected'])
    // The second was told what is the case already.
    expect(threads.flatMap(({ events }) => events)).toHaveLength(1)
    expect(threads.map(({ ask }) => ask(0, null).done)).toEqual([true, false])
    expect(threads.map(({ states }) => states()[0])).toEqual(['admitting', 'admitting'])
  })
})

test('in the whole proxy', async () => {
  const { mesh } = await orders({ endpoints: [A, B, C] })
  const order = (ejectForMs: number | null) => {
    const id = mesh.messages.length
    mesh.thread.receive({
      kind: 'ask',
      id,
      question: { what: 'by-hand', service: 'orders', endpoint: A, ejectForMs, force: false },
    })
    return mesh.messages.findLast(message => message.kind === 'answer' && message.id === id)
  }
  expect(order(60_000)).toMatchObject({ answer: { done: true } })
  const caller = mesh.caller()
  for (let i = 0; i < 9; i++) {
    caller.get()
    mesh.settle()
  }
  expect(mesh.upstream(A).requests).toHaveLength(0)
  expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ state: 'ejected', byHand: 'yes', reason: 'by an operator' })
  expect(order(null)).toMatchObject({ answer: { done: true } })
  expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ state: 'admitting' })
  expectQuiet(mesh)
})
