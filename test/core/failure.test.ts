import { expect, test } from 'vitest'
import { type Failure, failures } from '../../proxy/core/failure.ts'

const rows: readonly Failure[] = Object.values(failures)

test('each failure has a name of its own', () => {
  expect(new Set(rows.map(({ failure }) => failure)).size).toBe(rows.length)
})

test('only what the endpoint did counts against it, and an endpoint that drains did nothing wrong', () => {
  const blamed = rows.filter(({ outcome }) => outcome === 'failure')
  expect(blamed.filter(({ side }) => side !== 'upstream')).toEqual([])
  expect(rows.filter(row => row.side === 'upstream' && !blamed.includes(row))).toEqual([failures.goawayUnprocessed])
})

test('what has a condition may be sent again', () => {
  const conditional = rows.filter(({ condition }) => condition !== null)
  expect(conditional.length).toBeGreaterThan(8)
  expect(conditional.filter(({ replay }) => replay === 'never')).toEqual([])
})
