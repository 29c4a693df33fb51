import { getHeapStatistics } from 'node:v8'
import { expect, test } from 'vitest'
import { shrinkHeap } from '../../proxy/system/shrink-heap.ts'

test('garbage is collected, and the room for it given back', () => {
  let kept: object[] | null = Array.from({ length: 200_000 }, (_, index) => ({ index }))
  const before = getHeapStatistics().total_physical_size
  expect(kept).toHaveLength(200_000)
  kept = null
  shrinkHeap(Number.POSITIVE_INFINITY)
  expect(before - getHeapStatistics().total_physical_size).toBeGreaterThan(5e6)
})
