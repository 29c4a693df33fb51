import { expect, test } from 'vitest'
import type { DrainSide } from '../../proxy/core/channel.ts'
import { drainer } from '../../proxy/runtime/drain.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'

function drains() {
  const loop = new EventLoop()
  const steps: string[] = []
  const ends: Record<string, (cut: number) => void> = {}
  const listeners = {
    drain(direction: string, timeoutMs: number) {
      steps.push(`${direction} ${timeoutMs}`)
      return new Promise<number>(resolve => (ends[direction] = resolve))
    },
    handOver(timeoutMs: number) {
      steps.push(`hand over ${timeoutMs}`)
      return Promise.resolve(3)
    },
  }
  const drain = drainer(listeners, manualClock(loop), (side: DrainSide, cut) => steps.push(`drained ${side} ${cut}`))
  const turn = () => new Promise(resolve => setImmediate(resolve))
  return { drain, steps, ends, turn, run: (ms: number) => loop.advance(ms) }
}

test('inbound alone: outbound serves on until all is asked for', async () => {
  const { drain, steps, ends, turn, run } = drains()
  drain({ side: 'inbound', delayMs: 1_000, timeoutMs: 5_000 })
  expect(steps).toEqual([])
  run(1_100)
  expect(steps).toEqual(['inbound 5000'])
  ends.inbound!(2)
  await turn()
  expect(steps).toEqual(['inbound 5000', 'drained inbound 2'])
  drain({ side: 'all', delayMs: 0, timeoutMs: 3_000 })
  run(100)
  await turn()
  expect(steps.at(-1)).toMatch(/^outbound /)
  ends.outbound!(1)
  await turn()
  expect(steps.at(-1)).toBe('drained all 1')
})

test('all before the delay of inbound is over: nothing waits for it any more', async () => {
  const { drain, steps, ends, turn, run } = drains()
  drain({ side: 'inbound', delayMs: 60_000, timeoutMs: 5_000 })
  drain({ side: 'all', delayMs: 0, timeoutMs: 3_000 })
  run(100)
  expect(steps).toEqual(['inbound 5000'])
  ends.inbound!(0)
  await turn()
  expect(steps).toContain('drained inbound 0')
  expect(steps.some(step => step.startsWith('outbound '))).toBe(true)
})

test('where another process has the ports, both sides are drained at once', async () => {
  const { drain, steps, turn, run } = drains()
  drain({ side: 'all', delayMs: 0, timeoutMs: 3_000, handsOver: true })
  run(100)
  await turn()
  expect(steps).toEqual(['hand over 3000', 'drained all 3'])
})
