import { expect, test } from 'vitest'
import { Addresses } from '../../proxy/runtime/addresses.ts'
import { Mesh } from '../support/mesh.ts'

test('the service of an address is known from the message on that tells it, until one takes it back', () => {
  const addresses = new Addresses()
  const serviceAt = (address: string) => addresses.virtualOf({ address, port: 80, name: `${address}:80` })
  addresses.changeVirtual(
    [
      ['240.64.0.1', 'orders'],
      ['fd00::1', 'orders'],
    ],
    [],
  )
  expect([serviceAt('240.64.0.1'), serviceAt('fd00::1'), serviceAt('240.64.0.2')]).toEqual(['orders', 'orders', null])
  addresses.changeVirtual([['240.64.0.1', 'stock']], ['240.64.0.1', 'fd00::1'])
  expect([serviceAt('240.64.0.1'), serviceAt('fd00::1')]).toEqual(['stock', null])
})

test('a data thread answers that it knows them', () => {
  const mesh = new Mesh()
  mesh.thread.receive({ kind: 'virtual-addresses', id: 7, put: [['240.64.0.1', 'orders']], drop: [] })
  expect(mesh.messages).toContainEqual({ kind: 'addresses-known', id: 7 })
})
