import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { retryBudget } from '../../proxy/cluster/budget.ts'
import { CELL_MEMORY_BYTES } from '../../proxy/core/cells.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
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

describe('one budget for all data threads', () => {
  function threads(count: number, percent: number, minimum: number) {
    const memory = new SharedArrayBuffer(CELL_MEMORY_BYTES / 32)
    return Array.from({ length: count }, (_, thread) =>
      retryBudget(percent, minimum, { service: 'orders', cells: sharedCells(memory, thread, count) }),
    )
  }

  test('what one thread deposits, another may spend, and all of it is spent once', () => {
    const [one, other] = threads(2, 10, 1)
    for (let i = 0; i < 100; i++) one!.deposit(5000)
    let count = 0
    for (let i = 0; i < 30; i++) {
      if (other!.tryWithdraw(5000)) count++
      if (one!.tryWithdraw(5900)) count++
    }
    expect(count).toBe(20)
    expect(one!.state(5900)).toEqual({ spent: 20, allowed: 20 })
    expect(other!.state(5900)).toEqual({ spent: 20, allowed: 20 })
    // Nobody came for ten seconds: the buckets of both are old.
    expect(other!.state(15_000)).toEqual({ spent: 0, allowed: 10 })
  })

  test('a share of it ends earlier', () => {
    const budget = retryBudget(0, 2)
    let count = 0
    while (budget.tryWithdraw(0, 0.5)) count++
    expect(count).toBe(10)
    while (budget.tryWithdraw(0)) count++
    expect(count).toBe(20)
  })

  test('whatever threads do at the same time, there is never one retry too many', async () => {
    const memory = new SharedArrayBuffer(CELL_MEMORY_BYTES / 32)
    const barrier = new SharedArrayBuffer(4)
    const rounds = 300
    const granted = await Promise.all(
      [0, 1].map(
        thread =>
          new Promise<number[]>((resolve, reject) => {
            const worker = new Worker(new URL('budget-thread.ts', import.meta.url), {
              workerData: { memory, barrier, thread, threads: 2, rounds },
            })
            worker.once('message', resolve)
            worker.once('error', reject)
          }),
      ),
    )
    const totals = granted[0]!.map((count, round) => count + granted[1]![round]!)
    expect(Math.max(...totals)).toBe(500)
    // Where both asked for the last one at the same moment, neither has it; the next to ask does.
    expect(Math.min(...totals)).toBeGreaterThanOrEqual(499)
  })
})
