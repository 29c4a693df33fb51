import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { hostSet } from '../../proxy/cluster/host-set.ts'
import { deltaOf, endpointName } from '../../proxy/core/endpoints-delta.ts'
import { bareEndpoint } from '../support/endpoints.ts'
import { endpointSpec } from '../support/specs.ts'
import '../support/seed.ts'

function hosts(specs: readonly EndpointSpec[] = []) {
  const created: string[] = []
  const set = hostSet((spec, name) => {
    created.push(name)
    return bareEndpoint(spec, name)
  })
  set.replace(specs)
  return { set, created, names: () => set.endpoints.map(({ name }) => name) }
}

describe('a host set', () => {
  test('an address that stays keeps its endpoint and gets the new spec', () => {
    const { set, created } = hosts([endpointSpec('a:1'), endpointSpec('b:1')])
    const [a, b] = set.endpoints
    a!.active = 5
    const change = set.replace([endpointSpec('c:1'), endpointSpec('a:1', { weight: 9 })])!
    expect(set.endpoints[0]).toBe(a)
    expect(a!.spec.weight).toBe(9)
    expect(a!.active).toBe(5)
    expect(change.removed).toEqual([b])
    expect(change.changed).toEqual([{ endpoint: a, before: endpointSpec('a:1') }])
    expect(change.added.map(({ name }) => name)).toEqual(['c:1'])
    expect(created).toEqual(['a:1', 'b:1', 'c:1'])
  })

  test('those that stay keep their places, new ones come after them', () => {
    const { set, names } = hosts([endpointSpec('a:1'), endpointSpec('b:1'), endpointSpec('c:1')])
    set.change({ put: [endpointSpec('d:1'), endpointSpec('a:1', { zone: 'x' })], drop: ['b:1'] })
    expect(names()).toEqual(['a:1', 'c:1', 'd:1'])
    set.replace([endpointSpec('e:1'), endpointSpec('d:1'), endpointSpec('c:1')])
    expect(names()).toEqual(['c:1', 'd:1', 'e:1'])
  })

  test('an address that is named twice counts once, by its last spec', () => {
    const { set } = hosts([endpointSpec('a:1', { weight: 1 }), endpointSpec('a:1', { weight: 2 })])
    expect(set.endpoints.map(({ spec }) => spec.weight)).toEqual([2])
  })

  test('a set that confirms it, and addresses that nobody knows, change nothing', () => {
    const { set } = hosts([endpointSpec('a:1', { metadata: { v: '1' } }), endpointSpec('b:1')])
    const { endpoints } = set
    expect(set.replace([endpointSpec('a:1', { metadata: { v: '1' } }), endpointSpec('b:1')])).toBeNull()
    expect(set.replace([endpointSpec('b:1'), endpointSpec('a:1', { metadata: { v: '1' } })])).toBeNull()
    expect(set.change({ put: [], drop: ['z:1'] })).toEqual({ added: [], changed: [], removed: [] })
    expect(set.endpoints).toBe(endpoints)
  })

  test('the list is another when one comes or goes, so that who reads it may keep it', () => {
    const { set } = hosts([endpointSpec('a:1')])
    const before = set.endpoints
    set.change({ put: [endpointSpec('b:1')], drop: [] })
    expect(before).toHaveLength(1)
    expect(set.endpoints).toHaveLength(2)
  })

  test('IPv6 stands in brackets', () => {
    expect(endpointName({ address: '2001:db8::1', port: 80 })).toBe('[2001:db8::1]:80')
    const { set } = hosts([{ ...endpointSpec('a:80'), address: '::1' }])
    expect(set.change({ put: [], drop: ['[::1]:80'] }).removed).toHaveLength(1)
  })
})

describe('the difference of two sets', () => {
  const base = endpointSpec('a:1', { metadata: { v: '1' } })

  test.each([
    ['port', { port: 2 }],
    ['weight', { weight: 2 }],
    ['priority', { priority: 1 }],
    ['zone', { zone: 'x' }],
    ['health', { health: 'critical' as const }],
    ['reason of health', { healthReason: 'refused' }],
    ['label with another value', { metadata: { v: '2' } }],
    ['label more', { metadata: { v: '1', w: '1' } }],
    ['label less', { metadata: {} }],
    ['label of another name', { metadata: { w: '1' } }],
  ])('sees another %s', (_what, other) => {
    const after = { ...base, ...other }
    expect(deltaOf([base], [after])).toEqual({ put: [after], drop: after.port === base.port ? [] : ['a:1'] })
  })

  test('is null where nothing differs, whatever the order', () => {
    const b = endpointSpec('b:1')
    expect(deltaOf([], [])).toBeNull()
    expect(
      deltaOf(
        [base, b],
        [
          { ...b, metadata: {} },
          { ...base, metadata: { v: '1' } },
        ],
      ),
    ).toBeNull()
  })

  const spec = fc.record({
    address: fc.constantFrom('a', 'b', 'c', '::1', 'd', 'e'),
    port: fc.constantFrom(1, 2),
    weight: fc.integer({ min: 1, max: 2 }),
    priority: fc.nat(1),
    zone: fc.constantFrom('', 'x'),
    metadata: fc.dictionary(fc.constantFrom('v', 'w'), fc.constantFrom('1', '2')),
    health: fc.constantFrom('passing', 'failing', 'critical', 'maintenance', 'draining'),
    healthReason: fc.constantFrom('', 'slow'),
  }) satisfies fc.Arbitrary<EndpointSpec>
  const set = fc.array(spec, { maxLength: 8 })

  test('makes the one of the other: deltas and whole sets lead to the same', () => {
    fc.assert(
      fc.property(fc.array(set, { minLength: 1, maxLength: 5 }), sets => {
        const byDelta = hosts()
        const byWhole = hosts()
        let before: readonly EndpointSpec[] = []
        for (const after of sets) {
          const kept = new Map(byDelta.set.endpoints.map(endpoint => [endpoint.name, endpoint]))
          const delta = deltaOf(before, after)
          if (delta !== null) byDelta.set.change(delta)
          byWhole.set.replace(after)
          before = after
          expect(byDelta.set.endpoints.map(({ spec }) => spec)).toEqual(byWhole.set.endpoints.map(({ spec }) => spec))
          expect(byDelta.names()).toEqual(byWhole.names())
          expect(byDelta.created).toEqual(byWhole.created)
          // And it is what was asked for.
          const wanted = new Map(after.map(each => [endpointName(each), each]))
          expect(new Map(byDelta.set.endpoints.map(({ name, spec }) => [name, spec]))).toEqual(wanted)
          for (const endpoint of byDelta.set.endpoints)
            if (kept.has(endpoint.name)) expect(endpoint).toBe(kept.get(endpoint.name))
          expect(deltaOf(before, after)).toBeNull()
        }
      }),
    )
  })
})
