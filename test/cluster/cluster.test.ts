import { describe, expect, test } from 'vitest'
import { policies } from '../../proxy/balancer/policies.ts'
import { classify } from '../../proxy/cluster/classify.ts'
import { describeBalance } from '../../proxy/cluster/describe.ts'
import type { BalancerPolicy } from '../../proxy/core/balancer.ts'
import { failures } from '../../proxy/core/failure.ts'
import { endpointSpec, serviceSpec } from '../support/specs.ts'
import { clusterOf, reachable } from './cluster-of.ts'

describe('a cluster', () => {
  test('hands out only endpoints that pass and are not ejected', () => {
    const { cluster } = clusterOf(
      serviceSpec('orders', [
        'a:1',
        endpointSpec('b:1', { health: 'critical' }),
        endpointSpec('c:1', { health: 'draining' }),
        endpointSpec('d:1', { health: 'maintenance' }),
        'e:1',
      ]),
    )
    expect(reachable(cluster.whole)).toEqual(['a:1', 'e:1'])
    cluster.endpoints[4]!.state = 'ejected'
    cluster.rebuild()
    expect(reachable(cluster.whole)).toEqual(['a:1'])
    cluster.endpoints[4]!.state = 'probing'
    cluster.rebuild()
    expect(reachable(cluster.whole)).toEqual(['a:1', 'e:1'])
    expect(cluster.endpoints).toHaveLength(5)
  })

  test('where there is nothing to decide the picker is that of the policy', () => {
    const pick = () => null
    const plain: BalancerPolicy = { create: () => ({ pick }), hashes: false, observe: null, reweigh: null }
    const { cluster } = clusterOf(
      serviceSpec('orders', ['a:1', 'b:1', 'c:1', endpointSpec('d:1', { health: 'critical' })]),
      {
        policy: () => plain,
        locality: { zone: 'x', origins: { x: 1, y: 2 } },
      },
    )
    expect(cluster.whole.balancer.pick).toBe(pick)
  })

  test('a new policy keeps endpoints and views, adds and takes away subsets', () => {
    const { cluster, retired } = clusterOf(
      serviceSpec('orders', ['a:1', 'b:1'], { subsets: { v1: { version: 'v1' }, old: {} } }),
    )
    const [a] = cluster.endpoints
    const v1 = cluster.subsets.get('v1')
    cluster.configure(
      serviceSpec('orders', [endpointSpec('a:1', { metadata: { version: 'v2' } }), 'c:1'], {
        subsets: { v1: { version: 'v2' }, fresh: {} },
      }),
    )
    expect(cluster.endpoints[0]).toBe(a)
    expect(cluster.subsets.get('v1')).toBe(v1)
    expect([...cluster.subsets.keys()]).toEqual(['v1', 'fresh'])
    expect(reachable(v1!)).toEqual(['a:1'])
    expect(retired).toEqual(['b:1'])
  })

  test('requests at a time are limited over the service and its subsets together', () => {
    const { cluster } = clusterOf(serviceSpec('orders', ['a:1'], { limits: { requests: 2 }, subsets: { v1: {} } }))
    expect(cluster.whole.admission.admit(0)).toBeNull()
    expect(cluster.subsets.get('v1')!.admission.admit(0)).toBeNull()
    expect(cluster.whole.admission.admit(0)).toBe(failures.poolOverflow)
    cluster.subsets.get('v1')!.admission.release()
    expect(cluster.whole.admission.admit(0)).toBeNull()
  })

  test('the budget outlives reloads: what is spent stays spent, and the new numbers hold', () => {
    const { cluster } = clusterOf(
      serviceSpec('orders', ['a:1'], { retries: { budget: { percent: 0, minPerSecond: 1 } } }),
    )
    const { budget } = cluster.whole
    cluster.configure(
      serviceSpec('orders', ['a:1'], { retries: { attempts: 5, budget: { percent: 0, minPerSecond: 1 } } }),
    )
    expect(cluster.whole.budget).toBe(budget)
    for (let i = 0; i < 3; i++) budget.tryWithdraw(0)
    expect(budget.state(0)).toEqual({ spent: 3, allowed: 10 })
    cluster.configure(serviceSpec('orders', ['a:1'], { retries: { budget: { percent: 1, minPerSecond: 2 } } }))
    expect(cluster.whole.budget.state(0)).toEqual({ spent: 3, allowed: 20 })
  })

  test('a snapshot in which nothing of it differs leaves its pickers alone; other policies make new ones', () => {
    const spec = serviceSpec('orders', ['a:1', 'b:1'], { subsets: { v1: {} } })
    const { cluster, built } = clusterOf(spec)
    built.length = 0
    const { balancer } = cluster.whole
    cluster.configure(structuredClone({ ...spec, timeouts: { ...spec.timeouts, requestMs: 1 } }))
    expect(cluster.whole.balancer).toBe(balancer)
    expect(built).toEqual([])
    expect(cluster.spec.timeouts.requestMs).toBe(1)
    cluster.configure({ ...spec, balancer: { ...spec.balancer, type: 'random' } })
    expect(built).toEqual([2, 2])
    expect(cluster.whole.policy).toBe('random')
  })

  test('an update of one endpoint keeps the others and all that was learnt', () => {
    const { cluster, retired } = clusterOf(serviceSpec('orders', ['a:1', 'b:1', 'c:1']))
    const [a, b] = cluster.endpoints
    a!.active = 3
    cluster.change({ put: [endpointSpec('b:1', { weight: 5 }), endpointSpec('d:1')], drop: ['c:1'] })
    expect(cluster.endpoints.map(({ name, weight }) => [name, weight])).toEqual([
      ['a:1', 1],
      ['b:1', 5],
      ['d:1', 1],
    ])
    expect(cluster.endpoints.slice(0, 2)).toEqual([a, b])
    expect(a!.active).toBe(3)
    expect(retired).toEqual(['c:1'])
    expect(reachable(cluster.whole)).toEqual(['a:1', 'b:1', 'd:1'])
  })

  test('counts the requests that were admitted', () => {
    const { cluster } = clusterOf(serviceSpec('orders', ['a:1'], { limits: { requests: 1 }, subsets: { v1: {} } }))
    cluster.whole.admission.admit(0)
    cluster.whole.admission.admit(0)
    cluster.whole.admission.release()
    cluster.subsets.get('v1')!.admission.admit(0)
    expect([cluster.admission.uses, cluster.admission.active]).toEqual([2, 1])
  })

  test('says what balancing does beyond its policy', () => {
    const { cluster } = clusterOf(
      serviceSpec('orders', [
        endpointSpec('a:1', { health: 'failing' }),
        endpointSpec('b:1', { health: 'failing' }),
        endpointSpec('c:1'),
        endpointSpec('d:1', { priority: 1, health: 'critical' }),
      ]),
    )
    expect(describeBalance(cluster.whole.balance)).toEqual({
      panic: true,
      priorities: [
        { priority: 0, endpoints: 3, healthy: 1, inRotation: 3, availability: 140 / 3, load: 100, panic: 'health' },
        { priority: 1, endpoints: 1, healthy: 0, inRotation: 0, availability: 0, load: 0, panic: '' },
      ],
      localPercent: null,
      zonesOff: 'panic',
    })
  })

  test('one that is retired hands out nothing and lets go of its endpoints', () => {
    const { cluster, retired } = clusterOf(serviceSpec('orders', ['a:1', 'b:1'], { subsets: { v1: {} } }))
    cluster.retire()
    expect(retired).toEqual(['a:1', 'b:1'])
    expect(reachable(cluster.whole)).toEqual([])
    expect(reachable(cluster.subsets.get('v1')!)).toEqual([])
  })
})

describe('a policy that learns', () => {
  function learning() {
    const log: string[] = []
    let isOther = false
    const policy: BalancerPolicy = {
      ...policies.round_robin,
      observe: (endpoint, outcome, tookMs, head, { spec }) =>
        log.push(`${endpoint.name} ${outcome} ${tookMs} ${head?.status ?? '-'} ${spec.decayMs}`),
      reweigh(endpoints) {
        log.push(`reweigh ${endpoints.map(({ name }) => name).join()}`)
        for (const endpoint of endpoints) endpoint.learntWeight = 3
        return isOther
      },
    }
    const made = clusterOf(
      serviceSpec('orders', ['a:1', 'b:1', endpointSpec('c:1', { health: 'critical' })], {
        balancer: { type: 'adaptive', decayMs: 77 },
      }),
      {
        policy: type => (type === 'adaptive' ? policy : policies.round_robin),
      },
    )
    const observe = () => made.cluster.whole.observe(made.cluster.endpoints[0]!, 'success', 12, null)
    return { ...made, log, observe, change: () => (isOther = true) }
  }

  test('is told of each attempt, with the settings of the service', () => {
    const { log, observe } = learning()
    observe()
    expect(log).toEqual(['a:1 success 12 - 77'])
  })

  test('weighs anew a second after traffic, those that may be used, and not when there is none', () => {
    const { log, observe, loop, built } = learning()
    loop.advance(10_000)
    expect(log).toEqual([])
    built.length = 0
    observe()
    observe()
    loop.advance(500)
    observe()
    log.length = 0
    loop.advance(520)
    expect(log).toEqual(['reweigh a:1,b:1'])
    loop.advance(60_000)
    expect(log).toEqual(['reweigh a:1,b:1'])
    expect(built).toEqual([])
    observe()
    loop.advance(1020)
    expect(log.filter(line => line.startsWith('reweigh'))).toHaveLength(2)
  })

  test('gets new pickers when something changed enough', () => {
    const { cluster, observe, loop, built, change } = learning()
    change()
    built.length = 0
    observe()
    loop.advance(1020)
    expect(built).toEqual([2])
    expect(cluster.endpoints.map(({ weight }) => weight)).toEqual([3, 3, 1])
  })

  test('leaves nothing to the policy after it', () => {
    const { cluster, observe, loop, change } = learning()
    change()
    observe()
    loop.advance(1020)
    cluster.configure({ ...cluster.spec, balancer: { ...cluster.spec.balancer, type: 'round_robin' } })
    expect(cluster.endpoints.map(({ weight }) => weight)).toEqual([1, 1, 1])
  })

  test('is not woken for a service that is gone', () => {
    const { cluster, observe, loop, log } = learning()
    observe()
    cluster.retire()
    log.length = 0
    loop.advance(5000)
    expect(log).toEqual([])
  })
})

describe('whether an endpoint did its work', () => {
  test.each(Object.values(failures))(
    '$failure: the fault of the endpoint only where it is upstream, and no GOAWAY',
    failure => {
      expect(failure.outcome).toBe(
        failure.side === 'upstream' && failure.failure !== 'goaway-unprocessed' ? 'failure' : 'ignorable',
      )
    },
  )

  test.each([200, 204, 301, 404, 429, 499, 500, 501, 505])('%i: it answered', status => {
    expect(classify(status)).toBe('success')
  })

  test.each([502, 503, 504])('%i: a gateway says that somebody behind it did not', status => {
    expect(classify(status)).toBe('failure')
  })
})
