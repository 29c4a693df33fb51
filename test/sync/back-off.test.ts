import { expect, test } from 'vitest'
import { backOff } from '../../proxy/sync/back-off.ts'

test('each wait is up to twice the one before, with jitter down to half, and never longer than it may be', () => {
  const [longest, shortest] = [backOff(() => 1, 2_000), backOff(() => 0, 2_000)]
  const waits = (wait: { next(): number }) => Array.from({ length: 7 }, () => wait.next())
  expect(waits(longest)).toEqual([100, 200, 400, 800, 1600, 2000, 2000])
  expect(waits(shortest)).toEqual([50, 100, 200, 400, 800, 1000, 1000])
  longest.reset()
  expect(longest.next()).toBe(100)
})
