import { expect, test } from 'vitest'
import type { Exchange } from '../../proxy/core/exchange.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { requestId } from '../../proxy/filter/request-id.ts'

function idsOf(random: () => number, count: number): string[] {
  const filter = requestId(random)
  return Array.from({ length: count }, () => {
    const headers = new HeaderList()
    const exchange = { request: { headers }, requestId: '' } as unknown as Exchange
    filter.onRequest!(exchange, 0)
    expect(headers.get('x-request-id')).toBe(exchange.requestId)
    return exchange.requestId
  })
}

test.each([0, 0.5, 1 - 2 ** -20])('ids are UUIDs and count up, wherever they begin (%f)', random => {
  const ids = idsOf(() => random, 70_000)
  expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  const numbers = ids.map(id => Number.parseInt(id.slice(24), 16))
  expect(numbers).toEqual(numbers.map((_, i) => numbers[0]! + i))
  expect(new Set(ids.map(id => id.slice(0, 24))).size).toBe(1)
})

test('an id that the caller gave stays', () => {
  const headers = new HeaderList(['X-Request-Id', 'mine'])
  const exchange = { request: { headers }, requestId: '' } as unknown as Exchange
  requestId(Math.random).onRequest!(exchange, 0)
  expect([exchange.requestId, headers.pairs]).toEqual(['mine', ['X-Request-Id', 'mine']])
})
