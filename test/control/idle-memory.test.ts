import { expect, test } from 'vitest'
import { keepIdleMemorySmall } from '../../proxy/control/idle-memory.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'

const MB = 1024 * 1024

function proxy() {
  const loop = new EventLoop()
  const done: string[] = []
  const state = { busyMs: 300, resident: 50 * MB, rest: 38 * MB }
  keepIdleMemorySmall({
    threads: {
      busyMs: () => state.busyMs,
      ask: async question => {
        done.push(`data thread: ${question.what}`)
        return []
      },
    },
    shrinkHeap: () => void done.push('control thread: shrink'),
    releasePages() {
      done.push('pages')
      state.resident = state.rest
    },
    resident: () => state.resident,
    clock: manualClock(loop),
  })
  async function pass(seconds: number): Promise<readonly string[]> {
    done.length = 0
    for (let second = 0; second < seconds; second++) {
      loop.advance(1_000)
      await new Promise(setImmediate)
    }
    return [...done]
  }
  return { state, pass }
}

const all = ['data thread: shrink', 'control thread: shrink', 'pages']

test('what a start has left is given back once it is over, data threads first', async () => {
  const { pass } = proxy()
  expect(await pass(1)).toEqual([])
  expect(await pass(2)).toEqual(all)
  expect(await pass(20)).toEqual(['pages', 'pages'])
  expect(await pass(300)).toEqual([])
})

test('pages that come back although nothing happens are given back', async () => {
  const { pass, state } = proxy()
  await pass(20)
  state.resident += 7 * MB
  expect(await pass(20)).toEqual(['pages'])
  expect(await pass(300)).toEqual([])
})

test('what a load has left is given back in the first minute in which there is none', async () => {
  const { pass, state } = proxy()
  await pass(77)
  state.resident = 80 * MB
  for (let minute = 0; minute < 3; minute++) {
    state.busyMs += 6_000
    expect(await pass(60)).toEqual([])
  }
  expect(await pass(60)).toEqual(all)
})

test('a little more than before is left alone, and so is a proxy whose load begins with its start', async () => {
  const { pass, state } = proxy()
  state.busyMs += 1_000
  expect(await pass(3)).toEqual([])
  expect(await pass(20)).toEqual([...all, 'pages'])
  state.resident += 3 * MB
  expect(await pass(180)).toEqual([])
  state.resident += 2 * MB
  expect(await pass(60)).toEqual(['pages'])
})
