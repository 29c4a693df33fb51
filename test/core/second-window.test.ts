import { expect, test } from 'vitest'
import { SecondWindow } from '../../proxy/core/second-window.ts'

test('it counts the last ten seconds, whatever passes between', () => {
  const window = new SecondWindow()
  expect(window.sum(5000)).toBe(0)
  window.add(5000, 2)
  window.add(5999, 1)
  window.add(9000, 4)
  expect(window.sum(14_999)).toBe(7)
  expect(window.sum(15_000)).toBe(4)
  window.add(500_000, 1)
  expect(window.sum(500_000)).toBe(1)
})
