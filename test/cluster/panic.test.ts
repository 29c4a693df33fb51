import { describe, expect, test } from 'vitest'
import type { BalancerSpec, EndpointHealth } from '../../mesh-config/snapshot.ts'
import { answered, pickContext } from '../support/endpoints.ts'
import { endpointSpec, serviceSpec } from '../support/specs.ts'
import { clusterOf, reachable } from './cluster-of.ts'

const spec = (health: readonly EndpointHealth[], panic: Partial<BalancerSpec['panic']> = {}) =>
  serviceSpec(
    'orders',
    health.map((each, i) => endpointSpec(`10.0.0.${i}:80`, { health: each })),
    {
      balancer: { panic: { health: 50, ejected: 0, ...panic } },
      outliers: { consecutiveGatewayFailures: 1, maxEjectedPercent: 100 },
    },
  )

const last = (names: readonly string[]) => names.map(name => name.slice(7, -3)).join('')

describe('panic over health', () => {
  test('below the threshold failing endpoints are used too, at it they are not', () => {
    const { cluster } = clusterOf(spec(['passing', 'passing', 'failing', 'failing']))
    expect(last(reachable(cluster.whole))).toBe('01')
    expect(cluster.whole.balance.panic).toBe(false)
    cluster.update(spec(['passing', 'failing', 'failing', 'failing']).endpoints)
    expect(last(reachable(cluster.whole))).toBe('0123')
    expect(cluster.whole.balance.panic).toBe(true)
  })

  test('critical, in maintenance and draining ones are never used and do not count', () => {
    const { cluster } = clusterOf(spec(['passing', 'passing', 'failing', 'critical', 'maintenance', 'draining']))
    expect(last(reachable(cluster.whole))).toBe('01')
    cluster.update(spec(['passing', 'failing', 'failing', 'critical', 'maintenance', 'draining']).endpoints)
    expect(last(reachable(cluster.whole))).toBe('012')
    cluster.update(spec(['critical', 'maintenance', 'draining']).endpoints)
    expect(reachable(cluster.whole)).toEqual([])
    expect(cluster.endpoints).toHaveLength(3)
  })

  test('0 is never', () => {
    const { cluster } = clusterOf(spec(['failing', 'failing'], { health: 0 }))
    expect(reachable(cluster.whole)).toEqual([])
    expect(cluster.whole.balance.panic).toBe(false)
  })

  test('does not bring back those that are ejected', () => {
    const { cluster } = clusterOf(spec(['passing', 'failing', 'failing', 'failing']))
    cluster.report(answered(cluster.endpoints[1]!, 503, 0), 'failure', null, '')
    expect(cluster.endpoints[1]!.state).toBe('ejected')
    expect(last(reachable(cluster.whole))).toBe('023')
  })

  test('the record says so', () => {
    const { cluster } = clusterOf(spec(['passing', 'failing', 'failing']))
    const context = pickContext()
    cluster.whole.balancer.pick(context)
    expect(context.record.panic).toBe(true)
    cluster.update(spec(['passing', 'passing', 'failing']).endpoints)
    const calm = pickContext()
    cluster.whole.balancer.pick(calm)
    expect(calm.record.panic).toBe(false)
  })
})

describe('panic over ejections', () => {
  const passing: EndpointHealth[] = ['passing', 'passing', 'passing', 'passing']
  const eject = (cluster: ReturnType<typeof clusterOf>['cluster'], ...indices: number[]) => {
    for (const i of indices) cluster.report(answered(cluster.endpoints[i]!, 503, 0), 'failure', null, '')
  }

  test('is off at first: those ejected get nothing, however few are left', () => {
    const { cluster } = clusterOf(spec(passing))
    eject(cluster, 0, 1, 2, 3)
    expect(last(reachable(cluster.whole))).toBe('3')
  })

  test('below its threshold ejected ones are used, and stay ejected', () => {
    const { cluster, loop } = clusterOf(spec(passing, { ejected: 50 }))
    eject(cluster, 0, 1)
    expect(last(reachable(cluster.whole))).toBe('23')
    eject(cluster, 2)
    expect(last(reachable(cluster.whole))).toBe('0123')
    expect(cluster.endpoints.map(({ state }) => state)).toEqual(['ejected', 'ejected', 'ejected', 'admitting'])
    // What they do meanwhile changes nothing: their time is not over.
    cluster.report(answered(cluster.endpoints[0]!, 200, 0), 'success', null, '')
    cluster.report(answered(cluster.endpoints[1]!, 503, 0), 'failure', null, '')
    expect(cluster.endpoints.map(({ state }) => state)).toEqual(['ejected', 'ejected', 'ejected', 'admitting'])
    expect(cluster.endpoints[1]!.ejections).toBe(1)
    loop.advance(10_020)
    expect(cluster.endpoints.map(({ state }) => state)).toEqual(['probing', 'probing', 'probing', 'admitting'])
    expect(cluster.whole.balance.panic).toBe(false)
  })

  test('is judged among those that health lets through', () => {
    const { cluster } = clusterOf(spec(['passing', 'failing', 'failing', 'failing'], { health: 50, ejected: 60 }))
    eject(cluster, 1, 2)
    // Two of four are left, which is less than 60 %: neither health nor ejections are believed.
    expect(last(reachable(cluster.whole))).toBe('0123')
  })
})
