import { describe, expect, test } from 'vitest'
import { compileService } from '../../mesh-config/compile-service.ts'
import { serviceSchema } from '../../mesh-config/service.ts'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import { endpointFilter } from '../../proxy/cluster/endpoint-filter.ts'
import { membersOf } from '../../proxy/cluster/members.ts'
import { pickContext } from '../support/endpoints.ts'
import { endpointSpec } from '../support/specs.ts'
import { clusterOf, type reachable } from './cluster-of.ts'

const regex = (pattern: string) => (text: string) =>
  new RegExp(`^(?:${pattern.replaceAll('(?s:.*)', '[^]*')})$`).test(text)

const policy = (written: object): ServiceSpec => compileService('orders', serviceSchema.parse(written), [])

describe('a filter', () => {
  const endpoint = endpointSpec('10.0.0.1:80', {
    metadata: {
      version: 'v2',
      empty: '',
      'tag.primary': 'true',
      'service.id': 'orders-1',
      'node.name': 'n1',
      'node.meta.rack': 'r7',
    },
  })

  test.each([
    ['Service.Meta.version == v2', true],
    ['Service.Meta.version != v2', false],
    ['Service.Meta.version matches "^v[0-9]$"', true],
    ['Service.Meta.version matches "2"', true],
    ['Service.Meta.version contains 2', true],
    // An absent key, as go-bexpr has it.
    ['Service.Meta.absent == x', false],
    ['Service.Meta.absent != x', true],
    ['Service.Meta.absent contains x', false],
    ['Service.Meta.absent not contains x', true],
    ['Service.Meta.absent matches "x"', true],
    ['"primary" in Service.Tags', true],
    ['"other" in Service.Tags', false],
    ['Service.Tags is empty', false],
    ['"version" in Service.Meta', true],
    ['"service.id" in Service.Meta', true],
    ['Service.ID == "orders-1" and Node.Node == n1', true],
    ['Node.Meta.rack == r7', true],
    ['"rack" in Node.Meta', true],
    ['Node.Datacenter == dc1', false],
    ['Service.Port == 80', true],
    ['Service.Port != 81', true],
    ['not (Service.Port == 80 or Service.Meta.version == v1)', false],
  ])('%s', (text, expected) => {
    expect(endpointFilter(text, regex)(endpoint)).toBe(expected)
  })
})

describe('who is in a subset', () => {
  test('labels and filter together, and whose checks warn where that is said', () => {
    const { subsets, whole } = membersOf(
      policy({
        subsets: { both: { size: 'big' } },
        resolve: {
          subsets: { both: { filter: 'Service.Meta.version == v2' }, well: { onlyPassing: true } },
        },
      }),
      regex,
    )
    const of = (metadata: Record<string, string>, healthReason = '') => endpointSpec('a:1', { metadata, healthReason })
    expect(subsets.get('both')!(of({ size: 'big', version: 'v2' }))).toBe(true)
    expect(subsets.get('both')!(of({ size: 'big', version: 'v1' }))).toBe(false)
    expect(subsets.get('both')!(of({ version: 'v2' }))).toBe(false)
    expect([subsets.get('well')!(of({})), subsets.get('well')!(of({}, 'warning: disk'))]).toEqual([true, false])
    expect(whole(of({}, 'warning: disk'))).toBe(true)
  })

  test('endpoints from elsewhere are in the subsets that they stand in for, and in no other', () => {
    const { subsets, whole } = membersOf(
      policy({
        resolve: {
          subsets: { v1: { filter: 'Service.Meta.version == v1' }, v2: { filter: 'Service.Meta.version == v2' } },
          failover: {
            v1: [{ service: 'backup', filter: 'Service.Meta.size == big' }],
            v2: [{ datacenter: 'dc2' }],
          },
        },
      }),
      regex,
    )
    const backup = (size: string) => endpointSpec('b:1', { metadata: { size }, from: 'backup@', priority: 1 })
    const away = (version: string) => endpointSpec('c:1', { metadata: { version }, from: 'orders@dc2', priority: 1 })
    const [v1, v2] = [subsets.get('v1')!, subsets.get('v2')!]
    expect([v1(backup('big')), v1(backup('small')), v2(backup('big')), whole(backup('big'))]).toEqual([
      true,
      false,
      false,
      false,
    ])
    expect([v2(away('v2')), v2(away('v1')), v1(away('v1')), whole(away('v2'))]).toEqual([true, false, false, false])
  })
})

describe('failover', () => {
  const spec = (): ServiceSpec => ({
    ...policy({
      balancer: { overprovisioning: 1000 },
      resolve: {
        subsets: { v1: { filter: 'Service.Meta.version == v1' }, v2: { filter: 'Service.Meta.version == v2' } },
        failover: { '*': [{ service: 'backup' }], v2: [{ subset: 'v1' }] },
      },
    }),
    endpoints: [
      endpointSpec('a:1', { metadata: { version: 'v1' } }),
      endpointSpec('b:1', { metadata: { version: 'v2' } }),
      endpointSpec('z:1', { from: 'backup@', priority: 1 }),
    ],
  })
  const picks = (view: Parameters<typeof reachable>[0]) =>
    new Set(Array.from({ length: 20 }, () => view.balancer.pick(pickContext())?.name))

  test('waits for the last healthy endpoint; another subset of the service comes without a priority', () => {
    const { cluster } = clusterOf(spec())
    const [v1, v2] = [cluster.subsets.get('v1')!, cluster.subsets.get('v2')!]
    expect([picks(v1), picks(v2), picks(cluster.whole)]).toEqual([
      new Set(['a:1']),
      new Set(['b:1']),
      new Set(['a:1', 'b:1']),
    ])
    const gone = (address: string, version: string) =>
      endpointSpec(address, { metadata: { version }, health: 'critical' })
    cluster.change({ put: [gone('b:1', 'v2')], drop: [] })
    expect([picks(v1), picks(v2), picks(cluster.whole)]).toEqual([new Set(['a:1']), new Set(['a:1']), new Set(['a:1'])])
    cluster.change({ put: [gone('a:1', 'v1')], drop: [] })
    expect([picks(v1), picks(cluster.whole)]).toEqual([new Set(['z:1']), new Set(['z:1'])])
  })

  test('a policy that changes keeps the endpoints', () => {
    const { cluster } = clusterOf(spec())
    const before = cluster.endpoints
    cluster.configure({
      ...policy({ resolve: { subsets: { v3: { filter: 'Service.Port == 1' } } } }),
      endpoints: spec().endpoints,
    })
    expect(cluster.endpoints).toBe(before)
    expect([...cluster.subsets.keys()]).toEqual(['v3'])
    // What stood in for others is on its way out, and in none of the sets.
    expect(cluster.subsets.get('v3')!.members.map(({ name }) => name)).toEqual(['a:1', 'b:1'])
    expect(cluster.whole.members.map(({ name }) => name)).toEqual(['a:1', 'b:1'])
  })
})
