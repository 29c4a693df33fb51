import { describe, expect, test } from 'vitest'
import type { EndpointSpec, OutlierSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import { answered, pickContext } from '../support/endpoints.ts'
import { endpointSpec, serviceSpec } from '../support/specs.ts'
import { clusterOf, reachable } from './cluster-of.ts'

const of = (address: string, over: Partial<EndpointSpec> = {}): EndpointSpec => endpointSpec(address, over)
const version = (name: string): Partial<EndpointSpec> => ({ metadata: { version: name } })

/** Three failures eject for a second. */
function made(
  endpoints: readonly EndpointSpec[],
  outliers: Partial<OutlierSpec> = {},
  over: Pick<ServiceSpec, 'subsets'> | object = {},
) {
  const spec = serviceSpec('orders', endpoints, {
    outliers: {
      consecutiveGatewayFailures: 3,
      baseEjectionMs: 1000,
      maxEjectionMs: 60_000,
      maxEjectedPercent: 50,
      ...outliers,
    },
    ...over,
  })
  const own = clusterOf(spec)
  const fail = (...names: string[]) => {
    for (const name of names)
      for (let i = 0; i < 3; i++)
        own.cluster.report(answered(own.endpoint(name), 503, own.loop.now), 'failure', null, '')
  }
  const states = () => Object.fromEntries(own.cluster.endpoints.map(({ name, state }) => [name, state]))
  return { ...own, spec, fail, states }
}

const trio = [of('a:1'), of('b:1'), of('c:1')]

describe('an endpoint that is ejected is used again when it is the last', () => {
  const ways: [string, (cluster: ReturnType<typeof made>['cluster'], spec: ServiceSpec) => void][] = [
    ['the others leave', cluster => cluster.change({ put: [], drop: ['b:1', 'c:1'] })],
    ['a whole set without the others comes', cluster => cluster.update([of('a:1')])],
    ['a reload takes the others out', (cluster, spec) => cluster.configure({ ...spec, endpoints: [of('a:1')] })],
    [
      'the others drain',
      cluster =>
        cluster.change({ put: [of('b:1', { health: 'draining' }), of('c:1', { health: 'draining' })], drop: [] }),
    ],
    [
      'the others turn critical',
      cluster =>
        cluster.change({ put: [of('b:1', { health: 'critical' }), of('c:1', { health: 'critical' })], drop: [] }),
    ],
    [
      'the others fail their checks',
      cluster =>
        cluster.change({ put: [of('b:1', { health: 'failing' }), of('c:1', { health: 'failing' })], drop: [] }),
    ],
    [
      'the others go into maintenance one by one',
      cluster => {
        cluster.change({ put: [of('b:1', { health: 'maintenance' })], drop: [] })
        cluster.change({ put: [of('c:1', { health: 'maintenance' })], drop: [] })
      },
    ],
  ]
  test.each(ways)('because %s', (_name, change) => {
    const { cluster, spec, fail, states, endpoint } = made(trio)
    fail('a:1')
    expect(states()['a:1']).toBe('ejected')
    change(cluster, spec)
    expect(endpoint('a:1').state).toBe('probing')
    expect(reachable(cluster.whole)).toContain('a:1')
    // It cannot be ejected again as long as it is the last.
    fail('a:1')
    expect(endpoint('a:1').state).toBe('probing')
  })

  test('of several the one that would come back first', () => {
    const { cluster, fail, states, loop } = made(trio, { maxEjectedPercent: 100 })
    fail('b:1')
    loop.advance(100)
    fail('a:1')
    cluster.change({ put: [], drop: ['c:1'] })
    expect(states()).toEqual({ 'a:1': 'ejected', 'b:1': 'probing' })
    expect(reachable(cluster.whole)).toEqual(['b:1'])
  })

  test('and its next ejection lasts as long as a next one should, not longer', () => {
    const { cluster, fail, endpoint, loop } = made(trio, { baseEjectionMs: 10_000 })
    fail('a:1')
    cluster.change({ put: [], drop: ['b:1', 'c:1'] })
    cluster.change({ put: [of('b:1')], drop: [] })
    cluster.report(answered(endpoint('a:1'), 503, loop.now), 'failure', null, '')
    expect(endpoint('a:1')).toMatchObject({ state: 'ejected', ejections: 2, ejectedUntil: loop.now + 20_000 })
  })
})

describe('the share that may be ejected', () => {
  const ten = Array.from({ length: 10 }, (_, i) => of(`e${i}:1`))

  test('holds when endpoints leave as well: the least bad come back', () => {
    const { cluster, fail, states } = made(ten)
    fail('e0:1', 'e1:1', 'e2:1', 'e3:1', 'e4:1', 'e5:1')
    expect(Object.values(states()).filter(state => state === 'ejected')).toHaveLength(5)
    cluster.change({ put: [], drop: ['e6:1', 'e7:1', 'e8:1', 'e9:1'] })
    expect(Object.values(states()).filter(state => state === 'ejected')).toHaveLength(3)
    expect(states()['e0:1']).toBe('probing')
  })

  test('holds when a reload lowers it, and 0 ejects nothing', () => {
    const { cluster, spec, fail, states } = made(ten)
    fail('e0:1', 'e1:1', 'e2:1', 'e3:1')
    const allow = (maxEjectedPercent: number) =>
      cluster.configure({ ...spec, outliers: { ...spec.outliers, maxEjectedPercent } })
    allow(20)
    expect(Object.values(states()).filter(state => state === 'ejected')).toHaveLength(2)
    allow(0)
    expect(Object.values(states()).filter(state => state === 'ejected')).toHaveLength(0)
    fail('e5:1', 'e6:1')
    expect(Object.values(states()).filter(state => state === 'ejected')).toHaveLength(0)
  })

  test('is counted in each subset too', () => {
    const subsets = { subsets: { v2: { version: 'v2' } } }
    const { cluster, fail, states } = made([...ten, of('x:1', version('v2')), of('y:1', version('v2'))], {}, subsets)
    fail('x:1', 'y:1')
    expect([states()['x:1'], states()['y:1']]).toEqual(['ejected', 'admitting'])
    expect(reachable(cluster.subsets.get('v2')!)).toEqual(['y:1'])
    // Its last healthy one becomes another version: the ejected one comes back for those that ask for v2.
    cluster.change({ put: [of('y:1', version('v3')), of('e0:1', version('v2'))], drop: [] })
    expect(reachable(cluster.subsets.get('v2')!)).toEqual(['e0:1'])
  })
})

describe('a subset of one', () => {
  const subsets = { subsets: { v1: { version: 'v1' }, v2: { version: 'v2' } } }
  const endpoints = [of('a:1', version('v1')), of('b:1', version('v1')), of('c:1', version('v2'))]

  test('goes on using an endpoint that the rest of the service leaves alone', () => {
    const { cluster, fail, states } = made(endpoints, {}, subsets)
    fail('c:1')
    expect(states()['c:1']).toBe('ejected')
    expect(reachable(cluster.whole)).toEqual(['a:1', 'b:1'])
    const context = pickContext()
    expect(cluster.subsets.get('v2')!.balancer.pick(context)?.name).toBe('c:1')
    expect(context.record.panic).toBe(true)
  })

  test('becomes one when the other leaves, and then uses what is ejected', () => {
    const { cluster, fail } = made(endpoints, {}, subsets)
    fail('a:1')
    expect(reachable(cluster.subsets.get('v1')!)).toEqual(['b:1'])
    cluster.change({ put: [], drop: ['b:1'] })
    expect(reachable(cluster.subsets.get('v1')!)).toEqual(['a:1'])
  })

  test('falls back where the policy says so: then its ejection is what the fallback is for', () => {
    for (const subsetFallback of ['any', { subset: 'v1' }] as const) {
      const { cluster, fail } = made(endpoints, {}, { ...subsets, subsetFallback })
      fail('c:1')
      expect(reachable(cluster.subsets.get('v2')!)).toEqual(['a:1', 'b:1'])
    }
  })
})

describe('a priority and a zone of one', () => {
  test('hand over to the next priority, and take back when that is gone', () => {
    const { cluster, fail, states } = made([of('a:1'), of('b:1', { priority: 1 })])
    fail('a:1')
    expect(reachable(cluster.whole)).toEqual(['b:1'])
    cluster.change({ put: [of('b:1', { priority: 1, health: 'critical' })], drop: [] })
    expect(states()['a:1']).toBe('probing')
    expect(reachable(cluster.whole)).toEqual(['a:1'])
  })

  test('hand over to the other zones', () => {
    const endpoints = [of('a:1', { zone: 'near' }), of('b:1', { zone: 'far' }), of('c:1', { zone: 'far' })]
    const { cluster, fail } = made(endpoints, {}, { balancer: { zoneAware: { on: true, minEndpoints: 1 } } })
    fail('a:1')
    expect(reachable(cluster.whole)).toEqual(['b:1', 'c:1'])
  })
})

describe('attempts that began before an ejection', () => {
  test('neither eject again nor admit, however late they end', () => {
    const { cluster, fail, endpoint, loop } = made(trio)
    const a = endpoint('a:1')
    const began = loop.now
    fail('a:1')
    loop.advance(1010)
    expect(a.state).toBe('probing')
    cluster.report(answered(a, 503, began), 'failure', null, '')
    expect(a).toMatchObject({ state: 'probing', ejections: 1, consecutiveFailures: 0 })
    cluster.report(answered(a, 200, began), 'success', null, '')
    expect(a.state).toBe('probing')
    cluster.report(answered(a, 200, loop.now), 'success', null, '')
    expect(a.state).toBe('admitting')
    for (let i = 0; i < 9; i++) cluster.report(answered(a, 503, began), 'failure', null, '')
    expect(a).toMatchObject({ state: 'admitting', consecutiveFailures: 0 })
  })

  test('are nothing to balancers either', () => {
    const { cluster, fail, endpoint, loop } = made(trio, {}, { balancer: 'least_request' })
    const a = endpoint('a:1')
    const began = loop.now
    fail('a:1')
    loop.advance(1010)
    cluster.observe(a, 'failure', loop.now - began, null)
    expect(a.load.failing).toBe(0)
    cluster.observe(a, 'failure', 5, null)
    expect(a.load.failing).toBeGreaterThan(0)
  })
})
