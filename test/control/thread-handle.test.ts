import { expect, test } from 'vitest'
import { type DataThread, startDataThread } from '../../proxy/control/thread-handle.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { snapshotOf } from '../support/specs.ts'

const version = (name: string) => ({ ...snapshotOf([], []), version: name })

test('two snapshots at once are applied one after the other, and each is asked for when its turn comes', async () => {
  const asked: string[] = []
  const ask = (name: string) => () => {
    asked.push(name)
    return version(name)
  }
  const thread = await new Promise<DataThread>(resolve => {
    const started: DataThread = startDataThread({
      entry: new URL('../support/stand-in-worker.ts', import.meta.url),
      booted: null,
      workerData: {
        index: 0,
        shared: false,
        snapshot: version('one'),
        origins: {},
        spanAgent: false,
        virtualAddresses: [],
      },
      clock: manualClock(new EventLoop()),
      said() {},
      started: () => resolve(started),
      ended() {},
    })
  })
  const both = Promise.all([thread.apply(ask('refused')), thread.apply(ask('three'))])
  await Promise.resolve()
  expect(asked).toEqual(['refused'])
  expect(await both).toEqual([['the port is taken'], []])
  expect(asked).toEqual(['refused', 'three'])
  expect(thread.listeners()).toEqual(['own three'])
  await thread.terminate()
})
