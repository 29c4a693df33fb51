import { expect, test } from 'vitest'
import { Account, Ledger } from '../../proxy/core/ledger.ts'
import { TapeWire } from '../support/tape-wire.ts'
import { testTurns, turn } from '../support/turns.ts'

const KIB = 1024

function start(limit = 1000 * KIB) {
  const cuts: number[] = []
  const ledger = new Ledger(testTurns, count => cuts.push(count))
  ledger.limitTo(limit)
  const order: string[] = []
  const open = (name: string) => {
    const wire = new TapeWire()
    const account = new Account(ledger, wire)
    wire.handler = {
      bytes() {},
      drained() {},
      ended() {},
      closed() {},
      overflow() {
        order.push(name)
        account.add(-account.bytes)
      },
    }
    return account
  }
  return { ledger, cuts, order, open }
}

test('up to half of the limit nothing changes; above it everybody may hold less, until there is room again', () => {
  const { ledger, open } = start()
  const account = open('a')
  account.add(500 * KIB)
  expect(ledger.mark).toBe(Number.POSITIVE_INFINITY)
  account.add(1)
  expect(ledger.mark).toBe(64 * KIB)
  account.add(-50 * KIB)
  expect(ledger.mark).toBe(64 * KIB)
  account.add(-51 * KIB)
  expect(ledger.mark).toBe(Number.POSITIVE_INFINITY)
})

test('above the limit the largest are cut, as many as it takes, and only when the turn ends', () => {
  const { ledger, cuts, order, open } = start()
  turn(() => {
    for (let i = 0; i < 50; i++) open(`small ${i}`).add(10 * KIB)
    open('large').add(400 * KIB)
    open('larger').add(200 * KIB)
    expect(order).toEqual([])
  })
  expect(order).toEqual(['large'])
  expect(cuts).toEqual([1])
  expect(ledger.held).toBe(700 * KIB)
})

test('of those that hold much alike, the ones that have held it longest', () => {
  const { order, open } = start()
  const [a, b, c] = ['a', 'b', 'c'].map(open) as [Account, Account, Account]
  a.add(150 * KIB)
  b.add(140 * KIB)
  // All of it has left, and more has come.
  a.add(-150 * KIB)
  a.add(160 * KIB)
  c.add(170 * KIB)
  turn(() => open('d').add(600 * KIB))
  expect(order).toEqual(['d'])
  turn(() => open('e').add(535 * KIB))
  expect(order).toEqual(['d', 'e'])
  turn(() => Array.from({ length: 6 }, (_, i) => open(`f${i}`).add(100 * KIB)))
  expect(order).toEqual(['d', 'e', 'b', 'a'])
})

test('a wire whose handler cannot say what runs on it is reset', () => {
  const { ledger } = start()
  const wire = new TapeWire()
  const account = new Account(ledger, wire)
  turn(() => account.add(2000 * KIB))
  expect(wire.closing).toBe('reset')
})

test('a lower limit counts at once', () => {
  const { ledger, order, open } = start()
  open('a').add(300 * KIB)
  turn(() => ledger.limitTo(200 * KIB))
  expect(order).toEqual(['a'])
})
