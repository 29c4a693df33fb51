import { describe, expect, test } from 'vitest'
import { meaningOf } from '../../proxy/dns/meaning.ts'

const options = { domain: 'mesh', isHere: (_service: string, datacenter: string) => datacenter === 'dc1' }
const meaning = (name: string) => meaningOf(name, options)
const service = (name: string, form: string) => ({ kind: 'service', service: name, form })

describe('a name', () => {
  test.each<[string, object]>([
    ['orders.mesh', service('orders', 'domain')],
    ['a.b.mesh', service('a.b', 'domain')],
    ['orders', service('orders', 'bare')],
    ['orders_v2', service('orders_v2', 'bare')],
    ['themesh', service('themesh', 'bare')],
    ['orders.service.consul', service('orders', 'consul')],
    ['orders.service.dc1.consul', service('orders', 'consul')],
    ['orders.service.dc1.dc.consul', service('orders', 'consul')],
    ['orders.virtual.consul', service('orders', 'consul')],
    ['mesh', { kind: 'none', isThere: true }],
    ['-.mesh', { kind: 'none', isThere: false }],
    ['a\\.b.mesh', { kind: 'none', isThere: false }],
    ['24.142.110.240.in-addr.arpa', { kind: 'reverse', address: [240, 110, 142, 24] }],
    [
      '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa',
      { kind: 'reverse', address: [0xfd, ...Array.from({ length: 14 }, () => 0), 1] },
    ],
  ])('%s is understood', (name, expected) => expect(meaning(name)).toMatchObject(expected))

  test.each([
    // What search domains make of a bare name: it exists there, or the next one is tried.
    'orders.default.svc.cluster.local',
    'orders.example.com',
    'orders.mesh.example.com',
    'a.themesh',
    'localhost',
    '',
    // Another datacenter, another prepared query: Consul knows.
    'orders.service.dc2.consul',
    'v1.orders.service.consul',
    '_http._tcp.service.consul',
    'orders.query.consul',
    'node1.node.consul',
    '300.1.1.1.in-addr.arpa',
    '1.1.1.in-addr.arpa',
  ])('"%s" is for the other servers', name => expect(meaning(name)).toEqual({ kind: 'other' }))
})
