import { describe, expect, test } from 'vitest'
import type { ConsulAddressKind } from '../../../mesh-config/snapshot.ts'
import { instancesOf } from '../../../proxy/discovery/consul/endpoints.ts'
import type { Entry, NodeEntry, ServiceEntry } from '../../../proxy/discovery/consul/entry.ts'
import { isNodeLost } from '../../../proxy/discovery/consul/health.ts'
import { check, entry, maintenance, serf } from './entries.ts'

function read(
  entries: unknown,
  { tags = [] as string[], addressKind = 'service' as ConsulAddressKind, priority = 0 } = {},
) {
  return instancesOf(entries, { tags, addressKind }, priority)
}

function only(one: Entry, options = {}) {
  const { endpoints, skipped } = read([one], options)
  expect(skipped).toEqual([])
  expect(endpoints).toHaveLength(1)
  return endpoints[0]!
}

test('an instance is an endpoint', () => {
  const instance = entry(
    { Tags: ['v2', 'canary'], Meta: { zone: 'a', version: '2' }, Weights: { Passing: 5, Warning: 2 } },
    [check('passing', 'HTTP GET: 200 OK')],
  )
  expect(only(instance, { priority: 1 })).toEqual({
    address: '10.0.0.1',
    port: 9001,
    weight: 5,
    priority: 1,
    zone: 'a',
    metadata: { zone: 'a', version: '2', 'tag.v2': 'true', 'tag.canary': 'true' },
    health: 'passing',
    healthReason: '',
  })
})

describe('where it is reached', () => {
  const tagged = {
    lan: { Address: '10.9.0.1', Port: 9101 },
    wan: { Address: '203.0.113.9', Port: 443 },
    'consul-virtual': { Address: '240.0.0.1', Port: 9201 },
  }
  const place = (service: Partial<ServiceEntry>, addressKind: ConsulAddressKind, node: Partial<NodeEntry> = {}) => {
    const { address, port } = only(entry(service, [], node), { addressKind })
    return `${address} ${port}`
  }

  test.each<[string, Partial<ServiceEntry>, ConsulAddressKind, string]>([
    ['its own address', { Address: '10.1.1.1', TaggedAddresses: tagged }, 'service', '10.1.1.1 9001'],
    ['without one, that of its node', {}, 'service', '10.0.0.1 9001'],
    ['a tagged one, with its port', { Address: '10.1.1.1', TaggedAddresses: tagged }, 'lan', '10.9.0.1 9101'],
    ['the tagged one for other datacenters', { TaggedAddresses: tagged }, 'wan', '203.0.113.9 443'],
    ['the virtual one', { TaggedAddresses: tagged }, 'virtual', '240.0.0.1 9201'],
    [
      'a tagged one without a port',
      { TaggedAddresses: { wan: { Address: '203.0.113.9', Port: 0 } } },
      'wan',
      '203.0.113.9 9001',
    ],
    [
      'a tagged IPv6 address',
      { TaggedAddresses: { lan_ipv6: { Address: '2001:db8::9', Port: 9101 } } },
      'lan',
      '2001:db8::9 9101',
    ],
    ['no tagged one: its own', { Address: '10.1.1.1' }, 'wan', '10.1.1.1 9001'],
    ['no own one either: that kind of its node', {}, 'wan', '198.51.100.1 9001'],
    ['no such kind at all: the address of its node', {}, 'virtual', '10.0.0.1 9001'],
    ['IPv6, in brackets or not', { Address: '[2001:DB8::1]' }, 'service', '2001:db8::1 9001'],
    [
      'a name, of an external service',
      { Address: 'Search.example.com', Port: 443 },
      'service',
      'search.example.com 443',
    ],
  ])('%s', (_what, service, kind, expected) => {
    expect(place(service, kind)).toBe(expected)
  })

  test('the IPv6 address of a node', () => {
    expect(place({}, 'lan', { Address: '2001:db8::1', TaggedAddresses: { lan_ipv6: '2001:db8::2' } })).toBe(
      '2001:db8::2 9001',
    )
    expect(place({}, 'service', { Address: '2001:db8::1', TaggedAddresses: null })).toBe('2001:db8::1 9001')
  })

  test('without a port or an address it cannot be called, and that is said', () => {
    const entries = [
      entry({ ID: 'no-port', Port: 0 }),
      entry({ ID: 'bad-port', Port: 70_000 }),
      entry({ ID: 'nowhere' }, [], { Address: '', TaggedAddresses: {} }),
      entry({ ID: 'evil\n\u001b[2J', Port: 0 }),
      entry(),
    ]
    const { endpoints, skipped } = read(entries)
    expect(endpoints).toHaveLength(1)
    expect(skipped).toEqual(['no-port', 'bad-port', 'nowhere', 'evil'].map(id => `${id} has no port or no address`))
  })
})

describe('health', () => {
  const judged = (one: Entry) => {
    const { health, healthReason, weight } = only(one)
    return [health, healthReason, weight]
  }
  const weights = { Weights: { Passing: 10, Warning: 3 } }

  test('without any check, as an external service, it passes', () => {
    expect(judged({ ...entry(weights), Checks: [] })).toEqual(['passing', '', 10])
    expect(judged({ ...entry(weights), Checks: null })).toEqual(['passing', '', 10])
  })

  test('a warning one is used with its warning weight', () => {
    expect(judged(entry(weights, [check('warning', 'disk 90 % full\nmore')]))).toEqual([
      'passing',
      "warning: Service 'orders' check: disk 90 % full",
      3,
    ])
  })

  test('a warning weight of 0 takes it out', () => {
    expect(judged(entry({ Weights: { Passing: 10, Warning: 0 } }, [check('warning')]))).toEqual([
      'failing',
      "warning: Service 'orders' check",
      10,
    ])
  })

  test('weights have the bound of files', () => {
    const huge = { Weights: { Passing: 2_000_000_000, Warning: 1e15 } }
    expect(judged({ ...entry(huge), Checks: [] })[2]).toBe(1_000_000)
    expect(judged(entry(huge, [check('warning')]))[2]).toBe(1_000_000)
  })

  test('where no weights are given each is 1', () => {
    expect(judged(entry({ Weights: null }, [check('warning')]))[2]).toBe(1)
    expect(judged(entry({ Weights: {} }))[2]).toBe(1)
    expect(judged(entry({ Weights: { Passing: 0, Warning: 0 } }))[2]).toBe(1)
  })

  test('one critical check is enough, and is named', () => {
    const checks = [
      check('passing'),
      check('warning'),
      check('critical', 'connect: connection refused', { Name: 'TCP on 9001' }),
      check('critical'),
    ]
    expect(judged(entry(weights, checks))).toEqual(['critical', 'TCP on 9001: connect: connection refused', 10])
  })

  test('what a check says is one bounded line that can be printed', () => {
    const [, reason] = judged(entry({}, [check('critical', `\u001b[31m${'x'.repeat(5_000)}\nsecret`)]))
    expect(reason).toMatch(/^Service 'orders' check: \\x1B\[31mx+\.\.\.$/)
    expect(String(reason).length).toBeLessThan(240)
  })

  test('maintenance wins over everything, with its reason', () => {
    expect(judged(entry(weights, [check('critical'), maintenance('service', 'new disk')]))).toEqual([
      'maintenance',
      'new disk',
      10,
    ])
    expect(judged(entry(weights, [maintenance('node', '')]))).toEqual(['maintenance', 'maintenance', 10])
  })

  test('a node that nobody hears of is told from an instance that says it is ill', () => {
    const lost = { ...entry(), Checks: [serf('critical'), check('passing')] }
    const ill = { ...entry(), Checks: [serf('critical'), check('critical', 'refused')] }
    expect(judged(lost)).toEqual(['critical', 'node lost: n1: Agent not live or unreachable', 1])
    expect(judged(ill)).toEqual(['critical', "Service 'orders' check: refused", 1])
    expect(isNodeLost(only(lost).healthReason)).toBe(true)
    expect(isNodeLost(only(ill).healthReason)).toBe(false)
  })
})

describe('zone', () => {
  const meta = { Meta: { zone: 'of-meta' } }
  const locality = { Locality: { Region: 'r', Zone: 'of-locality' } }
  const nodeLocality = { Locality: { Region: 'r', Zone: 'of-node-locality' } }

  test.each<[string, Partial<ServiceEntry>, Partial<NodeEntry>]>([
    ['of-meta', { ...meta, ...locality }, nodeLocality],
    ['of-locality', locality, nodeLocality],
    ['of-node-locality', {}, { ...nodeLocality, Meta: { zone: 'of-node' } }],
    ['of-node', {}, { Meta: { zone: 'of-node', availability_zone: 'x' } }],
    ['eu-1a', {}, { Meta: { availability_zone: 'eu-1a' } }],
    ['eu-1b', {}, { Meta: { 'availability-zone': 'eu-1b' } }],
    ['', {}, { Meta: null }],
  ])('%s', (zone, service, node) => {
    expect(only(entry(service, [], node)).zone).toBe(zone)
  })
})

describe('which instances count', () => {
  test('only those with all of the tags', () => {
    const entries = [
      entry({ Port: 1, Tags: ['v2', 'eu'] }),
      entry({ Port: 2, Tags: ['v2'] }),
      entry({ Port: 3, Tags: null }),
    ]
    expect(read(entries, { tags: ['v2', 'eu'] }).endpoints.map(({ port }) => port)).toEqual([1])
    expect(read(entries, { tags: ['v2'] }).endpoints.map(({ port }) => port)).toEqual([1, 2])
  })

  test('not those that speak to other sidecars only', () => {
    const kinds = [
      '',
      'typical',
      'connect-proxy',
      'mesh-gateway',
      'terminating-gateway',
      'ingress-gateway',
      'api-gateway',
    ]
    const entries = kinds.map((Kind, i) => entry({ Kind, Port: i + 1 }))
    expect(read(entries).endpoints.map(({ port }) => kinds[port - 1])).toEqual([
      '',
      'typical',
      'ingress-gateway',
      'api-gateway',
    ])
  })

  test('of two at one address the better one', () => {
    const dead = entry({ ID: 'before' }, [check('critical')])
    const alive = entry({ ID: 'after', Meta: { run: '2' } })
    for (const order of [
      [dead, alive],
      [alive, dead],
    ]) {
      const { endpoints } = read(order)
      expect(endpoints.map(({ health, metadata }) => [health, metadata.run])).toEqual([['passing', '2']])
    }
  })

  test('in the same order whatever the order of the answer', () => {
    const entries = [3, 1, 2].map(port => entry({ Port: port }))
    expect(read(entries).endpoints).toEqual(read([...entries].reverse()).endpoints)
  })

  test.each([null, {}, 'x', [1], [{}], [{ Service: null }], [null]])('%j is no list of instances', json => {
    expect(() => read(json)).toThrow('no list of instances')
  })
})
