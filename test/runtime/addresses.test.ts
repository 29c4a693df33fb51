import { expect, test } from 'vitest'
import { Addresses } from '../../proxy/runtime/addresses.ts'

const at = (name: string) => {
  const colon = name.lastIndexOf(':')
  return { name, address: name.slice(0, colon).replace(/[[\]]/g, ''), port: Number(name.slice(colon + 1)) }
}

function on(): Addresses {
  const addresses = new Addresses()
  addresses.turnOn()
  return addresses
}

test('an endpoint belongs to its service as long as it is there', () => {
  const addresses = on()
  addresses.add({ name: '10.0.0.7:80' }, 'orders')
  expect(addresses.serviceOf(at('10.0.0.7:80'))).toBe('orders')
  expect(addresses.serviceOf(at('10.0.0.7:81'))).toBeNull()
  addresses.remove({ name: '10.0.0.7:80' }, 'orders')
  expect(addresses.serviceOf(at('10.0.0.7:80'))).toBeNull()
})

test('of several services that have it the first by name counts, in whatever order they come and go', () => {
  const addresses = on()
  for (const service of ['c', 'a', 'b']) addresses.add({ name: '10.0.0.7:80' }, service)
  expect(addresses.serviceOf(at('10.0.0.7:80'))).toBe('a')
  addresses.remove({ name: '10.0.0.7:80' }, 'a')
  expect(addresses.serviceOf(at('10.0.0.7:80'))).toBe('b')
  addresses.remove({ name: '10.0.0.7:80' }, 'c')
  addresses.remove({ name: '10.0.0.7:80' }, 'other')
  expect(addresses.serviceOf(at('10.0.0.7:80'))).toBe('b')
})

test('a virtual address stands for its service while one endpoint says so', () => {
  const addresses = on()
  for (const name of ['10.0.0.7:80', '10.0.0.8:80']) addresses.add({ name, virtual: '240.0.0.1:80' }, 'orders')
  addresses.remove({ name: '10.0.0.7:80', virtual: '240.0.0.1:80' }, 'orders')
  expect(addresses.serviceOf(at('240.0.0.1:80'))).toBe('orders')
  addresses.remove({ name: '10.0.0.8:80', virtual: '240.0.0.1:80' }, 'orders')
  expect(addresses.serviceOf(at('240.0.0.1:80'))).toBeNull()
})

test('those that the name server gave out stand for every port, and come first', () => {
  const addresses = on()
  addresses.add({ name: '240.64.0.1:80' }, 'other')
  addresses.changeVirtual([['240.64.0.1', 'orders']], [])
  expect([addresses.serviceOf(at('240.64.0.1:80')), addresses.serviceOf(at('240.64.0.1:81'))]).toEqual([
    'orders',
    'orders',
  ])
})

test('nothing is kept while no connections are redirected', () => {
  const addresses = new Addresses()
  addresses.add({ name: '10.0.0.7:80' }, 'orders')
  expect(addresses.serviceOf(at('10.0.0.7:80'))).toBeNull()
})

test('IPv6 is known however it is written', () => {
  const addresses = on()
  addresses.add({ name: '[fd00:0:0::7]:80' }, 'orders')
  expect(addresses.serviceOf(at('[fd00::7]:80'))).toBe('orders')
})
