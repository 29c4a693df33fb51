import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { byAddress, isSameEndpoint, keepSame, mergeEndpoints, sorted } from '../../proxy/discovery/endpoint-lists.ts'
import '../support/seed.ts'
import { endpointSpec } from '../support/specs.ts'
import { anyEndpoint } from './support/any-endpoint.ts'

const lists = fc.array(fc.array(anyEndpoint, { maxLength: 8 }), { maxLength: 4 })

test('of one address in several lists the last list counts', () => {
  fc.assert(
    fc.property(lists, all => {
      const expected = new Map<string, EndpointSpec>()
      for (const endpoint of all.flat()) expected.set(`${endpoint.address} ${endpoint.port}`, endpoint)
      const merged = [...mergeEndpoints(all).values()]
      expect(new Set(merged)).toEqual(new Set(expected.values()))
      expect(merged).toHaveLength(expected.size)
    }),
  )
})

test('the first list keeps its order', () => {
  const merged = mergeEndpoints([
    [endpointSpec('b:1'), endpointSpec('a:1')],
    [endpointSpec('0:1'), endpointSpec('b:1', { weight: 5 })],
  ])
  expect([...merged.values()].map(({ address, weight }) => `${address} ${weight}`)).toEqual(['b 5', 'a 1', '0 1'])
})

test('one set has one order', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(anyEndpoint, { selector: ({ address, port }) => `${address} ${port}` }),
      fc.integer(),
      (endpoints, turn) => {
        const at = endpoints.length === 0 ? 0 : Math.abs(turn) % endpoints.length
        const turned = [...endpoints.slice(at), ...endpoints.slice(0, at)]
        expect(sorted(byAddress(turned))).toEqual(sorted(byAddress(endpoints)))
      },
    ),
  )
})

test('what is the same is the same object, and the list too when all of it is', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyEndpoint, { selector: ({ address, port }) => `${address} ${port}` }), before => {
      expect(keepSame(before, structuredClone(before))).toBe(before)
      if (before.length === 0) return
      const other = structuredClone(before)
      other[0] = { ...other[0]!, weight: other[0]!.weight + 1 }
      const kept = keepSame(before, other)
      expect(kept[0]).toBe(other[0])
      for (let i = 1; i < before.length; i++) expect(kept[i]).toBe(before[i])
      expect(keepSame(before, before.slice(1))).toEqual(before.slice(1))
    }),
  )
})

test('every field tells two endpoints apart', () => {
  const one: EndpointSpec = endpointSpec('10.0.0.1:80', { metadata: { version: 'v1' } })
  const others: Partial<EndpointSpec>[] = [
    { address: '10.0.0.2' },
    { port: 81 },
    { weight: 2 },
    { priority: 1 },
    { zone: 'a' },
    { metadata: { version: 'v2' } },
    { metadata: {} },
    { metadata: { version: 'v1', more: '' } },
    { metadata: { other: 'v1' } },
    { health: 'failing' },
    { healthReason: 'x' },
  ]
  expect(isSameEndpoint(one, structuredClone(one))).toBe(true)
  for (const other of others) expect(isSameEndpoint(one, { ...one, ...other })).toBe(false)
  expect(new Set(others.flatMap(other => Object.keys(other)))).toEqual(new Set(Object.keys(one)))
})
