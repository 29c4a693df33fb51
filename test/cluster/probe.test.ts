import { describe, expect, test } from 'vitest'
import { endProbe, PROBE_MS } from '../../proxy/core/ejection.ts'
import type { Endpoint } from '../../proxy/core/endpoint.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import { answered, pickContext } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { endpointSpec, type ServiceOverrides, serviceSpec } from '../support/specs.ts'
import { type ClusterOptions, clusterOf } from './cluster-of.ts'

const outliers = { consecutiveGatewayFailures: 1, baseEjectionMs: 1000, maxEjectionMs: 5000, maxEjectedPercent: 50 }
const trio = ['a:1', 'b:1', 'c:1'].map(name => endpointSpec(name))

/** The first of the endpoints is probing. */
function probing(endpoints = trio, over: ServiceOverrides = {}, options: ClusterOptions = {}) {
  const own = clusterOf(serviceSpec('orders', endpoints, { outliers, ...over }), options)
  const first = own.cluster.endpoints[0]!
  const pick = (sticky = '', tried: readonly Endpoint[] = [], view = own.cluster.whole) => {
    const context = { ...pickContext(tried), sticky }
    const endpoint = view.balancer.pick(context)
    return { endpoint, record: Object.assign(context.record, { endpoint }), name: endpoint?.name ?? 'none' }
  }
  const eject = () => {
    own.cluster.report(answered(first, 503, own.loop.now), 'failure', null, '')
    expect(first.state).toBe('ejected')
    own.loop.advance(1_020)
  }
  return { ...own, first, pick, eject }
}

const names = (picks: readonly { readonly name: string }[]) => picks.map(({ name }) => name)
const times = <Result>(count: number, work: () => Result): Result[] => Array.from({ length: count }, work)

describe('a probing endpoint', () => {
  test('gets one request, and no other before that says how it is', () => {
    const slowStart = { windowMs: 10_000, aggression: 1, minWeightPercent: 10 }
    const { pick, eject, cluster, first, loop } = probing(trio, { balancer: { slowStart } })
    eject()
    expect(first.state).toBe('probing')
    const picks = times(30, () => pick())
    expect(picks[0]!.name).toBe('a:1')
    expect(picks[0]!.record.isProbe).toBe(true)
    expect(names(picks.slice(1))).not.toContain('a:1')
    loop.advance(500)
    picks[0]!.record.startedAt = loop.now - 500
    picks[0]!.record.status = 200
    cluster.report(picks[0]!.record, 'success', null, '')
    expect(first.state).toBe('admitting')
    expect(first.warmingSince).toBe(loop.now)
    expect(names(times(30, () => pick()))).toContain('a:1')
  })

  test('gets another one when its request ended without saying anything, as of a caller that went away', () => {
    const { pick, eject, first, loop } = probing()
    eject()
    const { record } = pick()
    expect(record.isProbe).toBe(true)
    endProbe(first.shared, record.probe)
    loop.advance(20)
    expect(pick().name).toBe('a:1')
    // The end of the first says nothing of the second.
    endProbe(first.shared, record.probe)
    expect(pick().name).not.toBe('a:1')
  })

  test('is not held up for ever by a caller that uploads slowly', () => {
    const { pick, eject, loop } = probing()
    eject()
    expect(pick().name).toBe('a:1')
    loop.advance(PROBE_MS - 20)
    expect(pick().name).not.toBe('a:1')
    loop.advance(40)
    expect(pick().name).toBe('a:1')
  })

  test('does not get a request that it failed before, nor takes one from a session of another', () => {
    const sticky = { cookie: 's', ttlMs: 0, path: '/', secret: 'of the tests' }
    const { pick, eject, first, cluster } = probing(trio, { balancer: { sticky } })
    eject()
    expect(pick('', [first]).name).not.toBe('a:1')
    const b = cluster.endpoints[1]!
    expect(pick(b.stickyId).name).toBe('b:1')
    expect(pick(first.stickyId)).toMatchObject({ name: 'a:1', record: { isProbe: true } })
  })

  test('is looked at by an explanation without being sent anything', () => {
    const { cluster, eject, pick } = probing()
    eject()
    const context = { ...pickContext(), isPreview: true as const }
    expect(cluster.whole.balancer.pick(context)?.name).toBe('a:1')
    expect(context.record).toMatchObject({ isProbe: true, probe: 0 })
    expect(pick().name).toBe('a:1')
    expect(cluster.whole.balancer.pick({ ...pickContext(), isPreview: true })?.name).not.toBe('a:1')
  })

  test('gets all requests where nothing else may be used', () => {
    const { cluster, first, pick, eject } = probing()
    eject()
    cluster.change({ put: [], drop: ['b:1', 'c:1'] })
    expect(new Set(names(times(9, () => pick())))).toEqual(new Set(['a:1']))
    expect(first.state).toBe('probing')
  })

  test('does not take the place of a fallback: one request, the others go there', () => {
    const endpoints = [endpointSpec('a:1', { metadata: { version: 'v2' } }), ...trio.slice(1)]
    const { cluster, pick, eject } = probing(endpoints, {
      subsets: { v2: { version: 'v2' } },
      subsetFallback: 'any',
    })
    eject()
    const view = cluster.subsets.get('v2')!
    const picks = times(9, () => pick('', [], view))
    expect(picks[0]).toMatchObject({ name: 'a:1', record: { isProbe: true, fallback: false } })
    expect(names(picks.slice(1))).not.toContain('a:1')
    expect(picks[1]!.record.fallback).toBe(true)
  })

  test('of a priority that is not used is left alone; of one before it is not', () => {
    const first = endpointSpec('a:1', { priority: 1 })
    const behind = probing([first, endpointSpec('b:1'), endpointSpec('c:1', { priority: 1 })])
    behind.eject()
    expect(names(times(9, () => behind.pick()))).toEqual(Array(9).fill('b:1'))
    const before = probing([endpointSpec('a:1'), endpointSpec('b:1', { priority: 1 })])
    before.eject()
    expect(names(times(3, () => before.pick()))).toEqual(['a:1', 'b:1', 'b:1'])
  })
})

describe('over data threads', () => {
  test('there is one probe, whoever sends it; a thread that ended leaves none behind', () => {
    const memory = new SharedArrayBuffer(4 * 1024 ** 2)
    const loop = new EventLoop()
    const threads = [0, 1, 2].map(thread => probing(trio, {}, { loop, cells: sharedCells(memory, thread, 3) }))
    threads[0]!.eject()
    for (const { cluster, first } of threads) {
      cluster.lookAgain()
      expect(first.state).toBe('probing')
    }
    const picks = times(5, () => threads.map(({ pick }) => pick()))
    expect(picks.flat().filter(({ name }) => name === 'a:1')).toHaveLength(1)
    expect(picks[0]![0]!.record.isProbe).toBe(true)
    // Thread 0 ends, with the request.
    const successor = probing(trio, {}, { loop, cells: sharedCells(memory, 0, 3) })
    expect(successor.first.state).toBe('probing')
    expect(threads[1]!.pick().name).toBe('a:1')
    expect(successor.pick().name).not.toBe('a:1')
  })
})
