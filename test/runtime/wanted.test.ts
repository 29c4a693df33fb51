import { expect, test } from 'vitest'
import type { ToControl } from '../../proxy/core/channel.ts'
import { wanted } from '../../proxy/runtime/wanted.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'

function wantedOf() {
  const loop = new EventLoop()
  const sent: ToControl[] = []
  return { ...wanted(manualClock(loop), message => sent.push(message)), sent, loop }
}

test('many requests, one question; all get the answer', async () => {
  const { want, settle, sent } = wantedOf()
  const answers = [want('cart', 2_000), want('cart', 2_000)]
  expect(sent).toEqual([{ kind: 'want', service: 'cart' }])
  settle('cart', null)
  expect(await Promise.all(answers)).toEqual([null, null])
  settle('cart', { certain: true, reason: 'nobody waits' })
})

test('no answer in time: why, and the next request asks again', async () => {
  const { want, sent, loop } = wantedOf()
  const answer = want('cart', 2_000)
  loop.advance(2_010)
  expect(await answer).toEqual({ certain: false, reason: 'the registry gave no answer on "cart" within 2000 ms' })
  void want('cart', 2_000)
  expect(sent).toHaveLength(2)
})

test('only so many names are asked for at a time; more are not known, and not said to be absent', async () => {
  const { want, sent } = wantedOf()
  for (let i = 0; i < 10_000; i++) void want(`s${i}`, 2_000)
  expect(await want('one-more', 2_000)).toMatchObject({
    certain: false,
    reason: expect.stringContaining('name "one-more" in a file'),
  })
  void want('s1', 2_000)
  expect(sent).toHaveLength(10_000)
})
