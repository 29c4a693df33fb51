import { expect, test } from 'vitest'
import { accessLogQueue, MAX_OUTSTANDING } from '../../proxy/telemetry/access-log-queue.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'

function queueOf() {
  const loop = new EventLoop()
  const sent: { lines: string; dropped: number }[] = []
  const queue = accessLogQueue((lines, dropped) => sent.push({ lines, dropped }), manualClock(loop))
  return { loop, queue, sent }
}

test('lines leave together after 100 ms, and nothing is sent when there were none', () => {
  const { loop, queue, sent } = queueOf()
  queue.add('a\n')
  loop.advance(60)
  queue.add('b\n')
  queue.add('')
  expect(sent).toEqual([])
  loop.advance(50)
  expect(sent).toEqual([{ lines: 'a\nb\n', dropped: 0 }])
  loop.advance(1_000)
  expect(sent).toHaveLength(1)
})

test('32 KiB leave at once, and the time begins anew', () => {
  const { loop, queue, sent } = queueOf()
  queue.add('a\n')
  loop.advance(90)
  queue.add(`${'x'.repeat(32 * 1024)}\n`)
  expect(sent).toHaveLength(1)
  queue.add('b\n')
  loop.advance(90)
  expect(sent).toHaveLength(1)
  loop.advance(20)
  expect(sent[1]).toEqual({ lines: 'b\n', dropped: 0 })
})

test('a control thread that writes nothing costs 1 MiB and then lines, which are counted; credit lets new ones in', () => {
  const { loop, queue, sent } = queueOf()
  const line = `${'x'.repeat(1023)}\n`
  for (let i = 0; i < 2_000; i++) queue.add(line)
  loop.advance(200)
  const length = () => sent.reduce((sum, { lines }) => sum + lines.length, 0)
  const dropped = () => sent.reduce((sum, batch) => sum + batch.dropped, 0)
  expect(length()).toBe(MAX_OUTSTANDING)
  expect(dropped()).toBe(2_000 - MAX_OUTSTANDING / 1024)
  queue.add(line)
  queue.credit(1024)
  queue.add(line)
  queue.add(line)
  loop.advance(200)
  expect(length()).toBe(MAX_OUTSTANDING + 1024)
  expect(dropped()).toBe(2_000 - MAX_OUTSTANDING / 1024 + 2)
})

test('what waits at the end is not lost', () => {
  const { queue, sent } = queueOf()
  queue.add('last\n')
  queue.flush()
  expect(sent).toEqual([{ lines: 'last\n', dropped: 0 }])
})
