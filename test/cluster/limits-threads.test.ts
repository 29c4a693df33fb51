import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { CELL_MEMORY_BYTES } from '../../proxy/core/cells.ts'

test('real threads that reach for the same permits at the same time never have more than the limit', async () => {
  const memory = new SharedArrayBuffer(CELL_MEMORY_BYTES)
  const running = new Int32Array(new SharedArrayBuffer(4))
  const threads = 3
  const limit = 2
  const results = await Promise.all(
    Array.from({ length: threads }, (_, thread) => {
      const { promise, resolve, reject } = Promise.withResolvers<{ taken: number; most: number; left: number }>()
      const worker = new Worker(new URL('../support/take-worker.ts', import.meta.url), {
        workerData: { memory, thread, threads, limit, rounds: 300_000, running },
      })
      worker.once('message', resolve)
      worker.once('error', reject)
      return promise
    }),
  )
  for (const { taken, most, left } of results) {
    expect(taken).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(limit)
    expect(left).toBe(0)
  }
})
