import { describe, expect, test } from 'vitest'
import { askableName, hostTable, serviceOfHost } from '../../proxy/router/hosts.ts'

const find = hostTable([
  { name: 'orders', hosts: ['orders.example.com', '*.orders.example.com', '*.example.com'] },
  { name: 'Stock', hosts: ['*.eu.example.com', '[2001:db8::1]'] },
  { name: 'orders.internal', hosts: [] },
])

test.each([
  ['orders', 'orders'],
  ['orders:80', 'orders'],
  ['ORDERS:8080', 'orders'],
  ['stock', 'Stock'],
  ['Stock', 'Stock'],
  ['orders.internal', 'orders.internal'],
  ['orders.service.consul', 'orders'],
  ['Orders.Service.Consul:80', 'orders'],
  ['orders.service.dc1.consul', 'orders'],
  ['orders.service.consul.', 'orders'],
  ['orders.example.com', 'orders'],
  ['a.orders.example.com', 'orders'],
  ['a.b.example.com:443', 'orders'],
  ['a.eu.example.com', 'Stock'],
  ['[2001:db8::1]:80', 'Stock'],
  ['orders.', 'orders'],
  ['Orders.:80', 'orders'],
  ['orders:', 'orders'],
  ['orders.example.com.', 'orders'],
  ['orders.example.com.:80', 'orders'],
  ['A.EU.Example.com.:443', 'Stock'],
  ['orders.internal.', 'orders.internal'],
  ['orders.service.dc1.consul.:80', 'orders'],
])('%s is %s', (authority, service) => {
  expect(find(authority)).toBe(service)
})

describe('names of a Service of Kubernetes', () => {
  const shop = (name: string) => [name, `${name}.shop`, `${name}.shop.svc`, `${name}.shop.svc.cluster.local`]
  const registered = (name: string, port: number, isUsual: boolean, otherPorts: number[]) => ({
    hosts: shop(name),
    port,
    isUsual,
    otherPorts,
    addresses: [`10.0.0.5:${port}`],
  })
  const table = hostTable([
    { name: 'orders', hosts: ['orders.example.com'], registered: registered('orders', 80, true, [9090, 9100]) },
    { name: 'orders-api', hosts: [], registered: registered('orders', 9090, false, [80, 9100]) },
    { name: 'billing', hosts: ['orders.shop'], registered: registered('billing', 80, true, []) },
  ])

  test.each([
    ['orders', 'orders'],
    ['orders:80', 'orders'],
    ['Orders.Shop.SVC.cluster.local.', 'orders'],
    ['orders:9090', 'orders-api'],
    ['orders.shop.svc:9090', 'orders-api'],
    // The port of a proxy, mostly.
    ['orders:15001', 'orders'],
    ['10.0.0.5:9090', 'orders-api'],
    ['orders.example.com:9090', 'orders'],
    // What a file says comes before what the registry says.
    ['orders.shop', 'billing'],
    ['billing.shop.svc', 'billing'],
  ])('%s is %s', (authority, service) => {
    expect(table(authority)).toBe(service)
  })

  test.each(['orders:9100', 'orders.shop.svc:9100', 'orders.other', '10.0.0.5:9100'])(
    '%s is not known yet',
    authority => {
      expect(table(authority)).toBeNull()
    },
  )
})

test.each([
  ['orders', 'orders'],
  ['Orders:8080', 'orders:8080'],
  ['orders.shop', 'orders.shop'],
  ['orders.shop.svc:9090', 'orders.shop:9090'],
  ['orders.shop.svc.cluster.local.', 'orders.shop'],
  ['10.0.0.5:9090', '10.0.0.5:9090'],
  ['[fd00::5]:9090', '[fd00::5]:9090'],
  ['10.0.0.5', null],
  ['www.example.com', null],
  ['orders.shop.svc.example.com', null],
  ['orders.svc.cluster.local', null],
  ['a.orders.shop.svc.cluster.local', null],
  ['localhost:80', null],
  ['orders_v2', null],
  ['', null],
  ['-a', null],
])('Kubernetes is asked of %j by the name %j', (authority, name) => {
  expect(askableName(authority, 'cluster.local')).toBe(name)
})

test.each([
  '',
  ':80',
  'nobody',
  'example.com',
  '.example.com',
  'orders.example.com.evil.org',
  'xorders',
  'orders.service.consul.evil.org',
  'a.orders.service.consul',
  'orders.service.a.b.consul',
  'nobody.service.consul',
  '[::1]:80',
  '.',
  '.:80',
  'orders..',
  'orders.example.com..',
  '__proto__',
  'constructor',
])('%j is nobody', authority => {
  expect(find(authority)).toBeNull()
})

test('the name of a service wins over a host of another one, in whatever order they stand', () => {
  const table = hostTable([
    { name: 'a', hosts: ['b.example.com'] },
    { name: 'b', hosts: ['*.example.com'] },
  ])
  expect(table('b.example.com')).toBe('a')
  expect(table('a.example.com')).toBe('b')
})

test.each([
  ['orders', 'orders'],
  ['orders.', 'orders'],
  ['Orders.:80', 'orders'],
  ['orders.service.consul.:80', 'orders'],
  ['www.example.com.', null],
  ['orders..', null],
  ['.', null],
])('%s would be %s in Consul', (authority, service) => {
  expect(serviceOfHost(authority)).toBe(service)
})
