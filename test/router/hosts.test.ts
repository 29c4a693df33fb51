import { expect, test } from 'vitest'
import { hostTable, serviceOfHost } from '../../proxy/router/hosts.ts'

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
