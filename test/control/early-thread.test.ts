import { expect, test } from 'vitest'
import { bootEarly, takeEarly } from '../../proxy/control/early-thread.ts'
import { startDataThread } from '../../proxy/control/thread-handle.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { snapshotOf } from '../support/specs.ts'

test('a data thread that has booted gets its work as a message, and is taken once', async () => {
  bootEarly()
  const booted = takeEarly()!
  expect(takeEarly()).toBe(null)
  const reasons = await new Promise(resolve => {
    startDataThread({
      entry: null,
      booted,
      workerData: {
        index: 0,
        shared: false,
        snapshot: snapshotOf([], []),
        origins: {},
        spanAgent: false,
        virtualAddresses: [],
      },
      clock: manualClock(new EventLoop()),
      said() {},
      started: resolve,
      ended: resolve,
    })
  })
  expect(reasons).toEqual([])
  await booted.terminate()
})

test('one that has ended is not taken', async () => {
  const worker = bootEarly()
  await worker.terminate()
  expect(takeEarly()).toBe(null)
})
