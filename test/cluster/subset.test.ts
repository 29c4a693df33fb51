import { describe, expect, test } from 'vitest'
import type { EndpointHealth, EndpointSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import { pickContext } from '../support/endpoints.ts'
import { endpointSpec, serviceSpec } from '../support/specs.ts'
import { clusterOf, reachable } from './cluster-of.ts'

const of = (address: string, version: string, health: EndpointHealth = 'passing'): EndpointSpec =>
  endpointSpec(address, { metadata: { version }, health })

function fallingBack(subsetFallback: ServiceSpec['subsetFallback'], endpoints: readonly EndpointSpec[]) {
  const made = clusterOf(
    serviceSpec('orders', endpoints, { subsets: { v1: { version: 'v1' }, v2: { version: 'v2' } }, subsetFallback }),
  )
  return { ...made, v1: made.cluster.subsets.get('v1')!, v2: made.cluster.subsets.get('v2')! }
}

describe('a subset', () => {
  test('is of the endpoints whose labels all match', () => {
    const { cluster } = clusterOf(
      serviceSpec(
        'orders',
        [
          endpointSpec('a:1', { metadata: { version: 'v1', zone: 'x' } }),
          endpointSpec('b:1', { metadata: { version: 'v2', zone: 'x' } }),
          endpointSpec('c:1', { metadata: { version: 'v2' } }),
        ],
        {
          subsets: {
            v1: { version: 'v1' },
            v2: { version: 'v2' },
            v2x: { version: 'v2', zone: 'x' },
            none: { version: 'v3' },
          },
        },
      ),
    )
    const names = Object.fromEntries([...cluster.subsets].map(([name, view]) => [name, reachable(view)]))
    expect(names).toEqual({ v1: ['a:1'], v2: ['b:1', 'c:1'], v2x: ['b:1'], none: [] })
    expect(cluster.subsets.get('v2')!.name).toBe('orders/v2')
    expect(reachable(cluster.whole)).toEqual(['a:1', 'b:1', 'c:1'])
  })

  test('follows endpoints whose labels change', () => {
    const { cluster, v1, v2 } = fallingBack('none', [of('a:1', 'v1'), of('b:1', 'v2')])
    cluster.change({ put: [of('a:1', 'v2')], drop: [] })
    expect([reachable(v1), reachable(v2)]).toEqual([[], ['a:1', 'b:1']])
    cluster.change({ put: [of('c:1', 'v1')], drop: ['b:1'] })
    expect([reachable(v1), reachable(v2)]).toEqual([['c:1'], ['a:1']])
  })

  test('pickers are made anew only for those that an update touches', () => {
    const { cluster, built } = fallingBack('none', [of('a:1', 'v1'), of('b:1', 'v2'), of('c:1', 'v2')])
    built.length = 0
    cluster.change({ put: [{ ...of('a:1', 'v1'), weight: 2 }], drop: [] })
    expect(built).toEqual([3, 1])
    built.length = 0
    cluster.change({ put: [{ ...of('a:1', 'v1'), weight: 2, healthReason: 'answers slowly' }], drop: ['nobody:1'] })
    expect(built).toEqual([])
    expect(cluster.endpoints[0]!.spec.healthReason).toBe('answers slowly')
  })
})

describe('a subset without a usable endpoint', () => {
  const cases: [ServiceSpec['subsetFallback'], string[]][] = [
    ['none', []],
    ['any', ['a:1', 'b:1', 'x:1']],
    [{ subset: 'v1' }, ['a:1', 'b:1']],
    [{ subset: 'v2' }, []],
  ]
  test.each(cases)('falls back as the policy says: %j', (fallback, expected) => {
    const { v2 } = fallingBack(fallback, [of('a:1', 'v1'), of('b:1', 'v1'), of('x:1', 'v3')])
    expect(reachable(v2)).toEqual(expected)
  })

  test('has it back when an endpoint comes', () => {
    const { cluster, v2 } = fallingBack('any', [of('a:1', 'v1'), of('c:1', 'v2')])
    expect(reachable(v2)).toEqual(['c:1'])
    cluster.change({ put: [], drop: ['c:1'] })
    expect(reachable(v2)).toEqual(['a:1'])
    cluster.change({ put: [of('d:1', 'v2')], drop: [] })
    expect(reachable(v2)).toEqual(['d:1'])
  })

  test('follows the fallback, when that changes and the subset does not', () => {
    const { cluster, v2 } = fallingBack({ subset: 'v1' }, [of('a:1', 'v1')])
    cluster.change({ put: [of('b:1', 'v1')], drop: ['a:1'] })
    expect(reachable(v2)).toEqual(['b:1'])
  })

  test('ejected is not usable either', () => {
    const { cluster, v2, endpoint } = fallingBack('any', [of('a:1', 'v1'), of('b:1', 'v1'), of('c:1', 'v2')])
    endpoint('c:1').state = 'ejected'
    cluster.rebuild()
    expect(reachable(v2)).toEqual(['a:1', 'b:1'])
  })

  test('asks the fallback before it panics, and panics before it asks a fallback that has nobody either', () => {
    const { cluster, v2 } = fallingBack({ subset: 'v1' }, [of('a:1', 'v1'), of('c:1', 'v2', 'failing')])
    expect(reachable(v2)).toEqual(['a:1'])
    cluster.change({ put: [of('a:1', 'v1', 'failing')], drop: [] })
    expect(reachable(v2)).toEqual(['c:1'])
    cluster.change({ put: [], drop: ['c:1'] })
    expect(reachable(v2)).toEqual(['a:1'])
  })

  test('the record says that it was not the subset', () => {
    const { v1, v2 } = fallingBack('any', [of('a:1', 'v1')])
    for (const [view, fallback] of [
      [v1, false],
      [v2, true],
    ] as const) {
      const context = pickContext()
      expect(view.balancer.pick(context)!.name).toBe('a:1')
      expect(context.record.fallback).toBe(fallback)
    }
  })

  test('a new policy of fallback counts at once', () => {
    const { cluster, v2 } = fallingBack('none', [of('a:1', 'v1')])
    expect(reachable(v2)).toEqual([])
    cluster.configure({ ...cluster.spec, subsetFallback: 'any' })
    expect(reachable(v2)).toEqual(['a:1'])
  })
})
