import { describe, expect, test } from 'vitest'
import { formatAddress } from '../../../mesh-config/address.ts'
import { type EndpointOptions, endpointsOf } from '../../../proxy/discovery/kubernetes/endpoints.ts'
import { type Json, serviceOf, sliceOf } from '../../../proxy/discovery/kubernetes/objects.ts'
import { endpoint, service, slice } from './support/scripted-api.ts'

const usual: EndpointOptions = { port: null, family: 'auto', speaks: () => true }

function found(of: Json | undefined, slices: readonly Json[], options: Partial<EndpointOptions> = {}): string[] {
  const known = { service: of === undefined ? undefined : serviceOf(of), slices: slices.map(sliceOf) }
  return endpointsOf(known, { ...usual, ...options }).map(
    ({ health, ...at }) => `${formatAddress(at)}${health === 'passing' ? '' : ` ${health}`}`,
  )
}

const versioned = (object: Json, resourceVersion: string): Json => ({
  ...object,
  metadata: { ...(object.metadata as object), resourceVersion },
})

describe('what conditions say', () => {
  test.each([
    [{ ready: true, serving: true, terminating: false }, ''],
    [{}, ''],
    [{ ready: null, serving: null, terminating: null }, ''],
    [{ ready: false, serving: false, terminating: false }, ' critical'],
    [{ ready: false }, ' critical'],
    [{ ready: false, serving: true, terminating: true }, ' draining'],
    [{ ready: false, serving: false, terminating: true }, ' draining'],
    // publishNotReadyAddresses.
    [{ ready: true, serving: false, terminating: true }, ''],
  ])('%j', (conditions, health) => {
    const slices = [slice('a', 'orders', [endpoint('10.1.0.1', conditions), endpoint('10.1.0.2')])]
    expect(found(service('orders'), slices)).toEqual([`10.1.0.1:8080${health}`, '10.1.0.2:8080'])
  })

  test('while none is ready, those that serve while they terminate are used', () => {
    const going = { ready: false, serving: true, terminating: true }
    const slices = [
      slice('a', 'orders', [endpoint('10.1.0.1', going), endpoint('10.1.0.2', { ...going, serving: false })]),
    ]
    expect(found(service('orders'), slices)).toEqual(['10.1.0.1:8080', '10.1.0.2:8080 draining'])
  })
})

test('an endpoint in two slices is one, as the one written last has it', () => {
  const old = versioned(slice('a', 'orders', [endpoint('10.1.0.1')]), '99')
  const young = versioned(slice('b', 'orders', [endpoint('10.1.0.1', { ready: false })]), '100')
  expect(found(service('orders'), [old, young])).toEqual(['10.1.0.1:8080 critical'])
  expect(found(service('orders'), [young, old])).toEqual(['10.1.0.1:8080 critical'])
})

describe('of two families', () => {
  const four = slice('a', 'orders', [endpoint('10.1.0.1'), endpoint('10.1.0.2')])
  const six = { ...slice('b', 'orders', [endpoint('fd00::1'), endpoint('fd00::2')]), addressType: 'IPv6' }
  const both = (first: string, second: string) => service('orders', undefined, { ipFamilies: [first, second] })

  test('a pod counts once, by the first family of its Service that this machine has', () => {
    expect(found(both('IPv6', 'IPv4'), [four, six])).toEqual(['[fd00::1]:8080', '[fd00::2]:8080'])
    expect(found(both('IPv4', 'IPv6'), [four, six])).toEqual(['10.1.0.1:8080', '10.1.0.2:8080'])
    expect(found(both('IPv6', 'IPv4'), [four, six], { speaks: family => family === 4 })).toHaveLength(2)
    expect(found(both('IPv4', 'IPv6'), [six])).toHaveLength(2)
  })

  test('a setting decides', () => {
    expect(found(both('IPv4', 'IPv6'), [four, six], { family: 'ipv6' })).toEqual(['[fd00::1]:8080', '[fd00::2]:8080'])
    expect(found(both('IPv4', 'IPv6'), [four], { family: 'ipv6' })).toEqual([])
  })
})

describe('which port', () => {
  const ports = [
    { name: 'metrics', port: 9100 },
    { name: 'http', port: 8080 },
    { name: 'dns', port: 53, protocol: 'UDP' },
  ]
  const slices = [
    {
      ...slice('a', 'orders', [endpoint('10.1.0.1')]),
      ports: [
        { name: 'http', port: 3000 },
        { name: 'metrics', port: 3100 },
      ],
    },
    { ...slice('b', 'orders', [endpoint('10.1.0.2')]), ports: [{ name: 'http', port: 3001 }] },
  ]

  test('the usual one, a number or a name; slices may have different ones', () => {
    expect(found(service('orders', ports), slices)).toEqual(['10.1.0.1:3000', '10.1.0.2:3001'])
    expect(found(service('orders', ports), slices, { port: 9100 })).toEqual(['10.1.0.1:3100'])
    expect(found(service('orders', ports), slices, { port: 'metrics' })).toEqual(['10.1.0.1:3100'])
  })

  test('one that the Service has not is an error that says which it has', () => {
    expect(() => found(service('orders', ports), slices, { port: 'grpc' })).toThrow(
      'the Service orders has the ports metrics 9100, http 8080, and not grpc',
    )
    const none = [
      { name: 'a', port: 1 },
      { name: 'b', port: 2 },
    ]
    expect(() => found(service('orders', none), slices)).toThrow('say which, such as port: 1')
  })

  test('80 comes before a name, as in http://orders', () => {
    const two = [
      { name: 'http', port: 8080 },
      { name: 'web', port: 80 },
    ]
    const of = [{ ...slice('a', 'orders', [endpoint('10.1.0.1')]), ports: [{ name: 'web', port: 3000 }] }]
    expect(found(service('orders', two), of)).toEqual(['10.1.0.1:3000'])
  })

  test.each([null, []])('slices without ports (%j): the port of the Service', none => {
    const of = [{ ...slice('a', 'orders', [endpoint('10.1.0.1')]), ports: none }]
    expect(found(service('orders'), of)).toEqual(['10.1.0.1:80'])
    expect(found(service('orders', []), of, { port: 5432 })).toEqual(['10.1.0.1:5432'])
  })

  test('slices without a Service', () => {
    expect(found(undefined, [slice('a', 'orders', [endpoint('10.1.0.1')])])).toEqual(['10.1.0.1:8080'])
  })
})

test('an ExternalName is a host outside', () => {
  const outside = service('db', [], { type: 'ExternalName', externalName: 'DB.example.com.' })
  expect(found(outside, [], { port: 5432 })).toEqual(['db.example.com:5432'])
  expect(found(service('db', [{ port: 5433 }], { type: 'ExternalName', externalName: 'a.b' }), [])).toEqual([
    'a.b:5433',
  ])
  expect(() => found(service('db', [], { type: 'ExternalName', externalName: '../etc' }), [])).toThrow('no host name')
})

test('where it stands, and what it is', () => {
  const more = {
    zone: 'a',
    hints: { forZones: [{ name: 'b' }] },
    nodeName: 'n1',
    targetRef: { kind: 'Pod', name: 'orders-7' },
  }
  const of = {
    service: serviceOf(service('orders')),
    slices: [sliceOf(slice('a', 'orders', [endpoint('10.1.0.1', {}, more)]))],
  }
  expect(endpointsOf(of, usual)[0]).toMatchObject({ zone: 'b', metadata: { pod: 'orders-7', node: 'n1' } })
})

test.each([
  null,
  7,
  { endpoints: 7 },
  { endpoints: [null, 7, {}, { addresses: [7] }, { addresses: ['nonsense', 'x'] }, { addresses: [] }] },
  { ports: [{ port: 99999 }, { port: -1 }, 'x'], endpoints: [{ addresses: ['10.0.0.1'], conditions: 7, hints: 'x' }] },
])('what makes no sense counts as nothing: %j', object => {
  const of = sliceOf({ metadata: { name: 'a' }, ...(object as object | null) })
  expect(endpointsOf({ service: serviceOf(service('orders')), slices: [of] }, usual).length).toBeLessThan(2)
})
