import { describe, expect, test } from 'vitest'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import { roundRobin } from '../../proxy/balancer/round-robin.ts'
import { classify } from '../../proxy/cluster/classify.ts'
import { type ClusterDeps, ServiceCluster } from '../../proxy/cluster/cluster.ts'
import { diffHosts, endpointName } from '../../proxy/cluster/host-set.ts'
import { Endpoint } from '../../proxy/core/endpoint.ts'
import { failures } from '../../proxy/core/failure.ts'
import { bareEndpoint, NoPool, noStats, pickContext } from '../support/endpoints.ts'
import { seeded } from '../support/random.ts'
import { endpointSpec, serviceSpec } from '../support/specs.ts'

function clusterOf(spec: ServiceSpec) {
  const retired: string[] = []
  let changed = () => {}
  const deps: ClusterDeps = {
    random: seeded(1),
    balancer: () => roundRobin,
    createEndpoint: (endpoint, name) => new Endpoint(endpoint, name, new NoPool(), noStats()),
    retireEndpoint: ({ name }) => retired.push(name),
    outliers: onChange => {
      changed = onChange
      return { configure() {}, report() {}, stop() {} }
    },
  }
  return { cluster: new ServiceCluster(spec, deps), retired, changed: () => changed() }
}

/** All that a picker hands out. */
function reachable(view: { balancer: { pick(context: ReturnType<typeof pickContext>): Endpoint | null } }): string[] {
  const names = new Set<string>()
  for (let i = 0; i < 50; i++) {
    const picked = view.balancer.pick(pickContext())
    if (picked !== null) names.add(picked.name)
  }
  return [...names].sort()
}

describe('the diff of host sets', () => {
  test('an address that stays keeps its endpoint and gets the new spec; the order is that of the new set', () => {
    const created: string[] = []
    const create = (spec: ReturnType<typeof endpointSpec>, name: string) => {
      created.push(name)
      return bareEndpoint(spec, name)
    }
    const first = diffHosts([], [endpointSpec('a:1'), endpointSpec('b:1')], create)
    first.endpoints[0]!.active = 5
    const next = diffHosts(first.endpoints, [endpointSpec('c:1'), endpointSpec('a:1', { weight: 9 })], create)
    expect(next.endpoints.map(({ name }) => name)).toEqual(['c:1', 'a:1'])
    expect(next.endpoints[1]).toBe(first.endpoints[0])
    expect(next.endpoints[1]!.spec.weight).toBe(9)
    expect(next.endpoints[1]!.active).toBe(5)
    expect(next.removed).toEqual([first.endpoints[1]])
    expect(created).toEqual(['a:1', 'b:1', 'c:1'])
  })

  test('an address that is named twice counts once, by its last spec', () => {
    const { endpoints } = diffHosts([], [endpointSpec('a:1', { weight: 1 }), endpointSpec('a:1', { weight: 2 })], (spec, name) => bareEndpoint(spec, name))
    expect(endpoints.map(({ spec }) => spec.weight)).toEqual([2])
  })

  test('IPv6 stands in brackets', () => {
    expect(endpointName({ address: '2001:db8::1', port: 80 })).toBe('[2001:db8::1]:80')
  })
})

describe('a cluster', () => {
  test('hands out only endpoints that pass and are not ejected', () => {
    const { cluster, changed } = clusterOf(
      serviceSpec('orders', ['a:1', endpointSpec('b:1', { health: 'failing' }), endpointSpec('c:1', { health: 'draining' }), 'd:1']),
    )
    expect(reachable(cluster.whole)).toEqual(['a:1', 'd:1'])
    cluster.endpoints[3]!.state = 'ejected'
    changed()
    expect(reachable(cluster.whole)).toEqual(['a:1'])
    cluster.endpoints[3]!.state = 'probing'
    changed()
    expect(reachable(cluster.whole)).toEqual(['a:1', 'd:1'])
  })

  test('has a cluster for each subset, of the endpoints whose labels all match', () => {
    const { cluster } = clusterOf(
      serviceSpec(
        'orders',
        [
          endpointSpec('a:1', { metadata: { version: 'v1', zone: 'x' } }),
          endpointSpec('b:1', { metadata: { version: 'v2', zone: 'x' } }),
          endpointSpec('c:1', { metadata: { version: 'v2' } }),
        ],
        { subsets: { v1: { version: 'v1' }, v2: { version: 'v2' }, v2x: { version: 'v2', zone: 'x' }, none: { version: 'v3' } } },
      ),
    )
    const names = Object.fromEntries([...cluster.subsets].map(([name, view]) => [name, reachable(view)]))
    expect(names).toEqual({ v1: ['a:1'], v2: ['b:1', 'c:1'], v2x: ['b:1'], none: [] })
    expect(cluster.subsets.get('v2')!.name).toBe('orders/v2')
    expect(reachable(cluster.whole)).toEqual(['a:1', 'b:1', 'c:1'])
  })

  test('a new policy keeps endpoints and views, adds and takes away subsets', () => {
    const { cluster, retired } = clusterOf(serviceSpec('orders', ['a:1', 'b:1'], { subsets: { v1: { version: 'v1' }, old: {} } }))
    const [a] = cluster.endpoints
    const v1 = cluster.subsets.get('v1')
    cluster.apply(serviceSpec('orders', [endpointSpec('a:1', { metadata: { version: 'v2' } }), 'c:1'], { subsets: { v1: { version: 'v2' }, fresh: {} } }))
    expect(cluster.endpoints[0]).toBe(a)
    expect(cluster.subsets.get('v1')).toBe(v1)
    expect([...cluster.subsets.keys()]).toEqual(['v1', 'fresh'])
    expect(reachable(v1!)).toEqual(['a:1'])
    expect(retired).toEqual(['b:1'])
  })

  test('requests at a time are limited over the service and its subsets together', () => {
    const { cluster } = clusterOf(serviceSpec('orders', ['a:1'], { limits: { requests: 2 }, subsets: { v1: {} } }))
    expect(cluster.whole.admit()).toBeNull()
    expect(cluster.subsets.get('v1')!.admit()).toBeNull()
    expect(cluster.whole.admit()).toBe(failures.poolOverflow)
    cluster.subsets.get('v1')!.release()
    expect(cluster.whole.admit()).toBeNull()
  })

  test('the budget outlives a reload that does not change it', () => {
    const { cluster } = clusterOf(serviceSpec('orders', ['a:1'], { retries: { budget: { percent: 0, minPerSecond: 1 } } }))
    const { budget } = cluster.whole
    cluster.apply(serviceSpec('orders', ['a:1'], { retries: { attempts: 5, budget: { percent: 0, minPerSecond: 1 } } }))
    expect(cluster.whole.budget).toBe(budget)
    cluster.apply(serviceSpec('orders', ['a:1'], { retries: { budget: { percent: 1, minPerSecond: 1 } } }))
    expect(cluster.whole.budget).not.toBe(budget)
  })

  test('one that is retired hands out nothing and lets go of its endpoints', () => {
    const { cluster, retired } = clusterOf(serviceSpec('orders', ['a:1', 'b:1'], { subsets: { v1: {} } }))
    cluster.retire()
    expect(retired).toEqual(['a:1', 'b:1'])
    expect(reachable(cluster.whole)).toEqual([])
    expect(reachable(cluster.subsets.get('v1')!)).toEqual([])
  })
})

describe('whether an endpoint did its work', () => {
  test.each(Object.values(failures))('$failure: the fault of the endpoint only where it is upstream', failure => {
    expect(classify(failure, 0)).toBe(failure.side === 'upstream' ? 'failure' : 'ignorable')
  })

  test.each([200, 204, 301, 404, 429, 499, 500, 501, 505])('%i: it answered', status => {
    expect(classify(null, status)).toBe('success')
  })

  test.each([502, 503, 504])('%i: a gateway says that somebody behind it did not', status => {
    expect(classify(null, status)).toBe('failure')
  })
})
