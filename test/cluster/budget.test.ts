import fc from 'fast-check'
import { expect, test } from 'vitest'
import { retryBudget } from '../../proxy/cluster/budget.ts'
import '../support/seed.ts'

test('a quiet service may retry as often as the minimum says', () => {
  const budget = retryBudget(20, 10)
  let count = 0
  while (budget.tryWithdraw(1000)) count++
  expect(count).toBe(100)
})

test('a busy service may retry its share', () => {
  const budget = retryBudget(20, 0)
  for (let i = 0; i < 1000; i++) budget.deposit(5000)
  let count = 0
  while (budget.tryWithdraw(5000)) count++
  expect(count).toBe(200)
})

test('what was spent comes back after ten seconds, and what was deposited is forgotten', () => {
  const budget = retryBudget(10, 1)
  for (let i = 0; i < 100; i++) budget.deposit(500)
  let count = 0
  while (budget.tryWithdraw(500)) count++
  expect(count).toBe(20)
  expect(budget.tryWithdraw(9_999)).toBe(false)
  count = 0
  while (budget.tryWithdraw(10_000)) count++
  expect(count).toBe(10)
})

test('nothing at all, where the policy says nothing', () => {
  const budget = retryBudget(0, 0)
  for (let i = 0; i < 100; i++) budget.deposit(0)
  expect(budget.tryWithdraw(0)).toBe(false)
})

test('never more than the share and the minimum, in whatever order things come', () => {
  const event = fc.record({ after: fc.nat(3000), kind: fc.constantFrom('deposit', 'withdraw') })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 400 }), fc.nat(100), fc.nat(5), (events, percent, minimum) => {
      const budget = retryBudget(percent, minimum)
      let now = 12_345
      const deposits: number[] = []
      const withdrawals: number[] = []
      for (const { after, kind } of events) {
        now += after
        if (kind === 'deposit') {
          budget.deposit(now)
          deposits.push(now)
        } else if (budget.tryWithdraw(now)) {
          // Buckets of a second: what lies within the last ten seconds for sure, and what may.
          const possible = deposits.filter(at => at > now - 11_000).length
          const spent = withdrawals.filter(at => at > now - 9000).length
          expect(spent).toBeLessThan((possible * percent) / 100 + minimum * 10)
          withdrawals.push(now)
        }
      }
    }),
  )
})
