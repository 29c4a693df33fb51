import { expect, test } from 'vitest'
import { http2 } from '../../proxy/codec/h2/codec.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { Turns } from '../../proxy/core/turn.ts'
import { systemTurns } from '../../proxy/system/turns.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { responseLimits } from '../support/recorder.ts'
import { TapeWire } from '../support/tape-wire.ts'
import { turn } from '../support/turns.ts'

const immediate = () => new Promise<void>(done => setImmediate(done))

test('without an event loop a round is a turn; with one it ends when all that was there has been read', async () => {
  const ended: string[] = []
  const task = (name: string) => ({ roundEnded: () => void ended.push(name) })
  new Turns(null).atRoundEnd(task('at once'))
  expect(ended).toEqual(['at once'])
  turn(() => systemTurns.atRoundEnd(task('one')), systemTurns)
  turn(() => systemTurns.atRoundEnd(task('two')), systemTurns)
  expect(ended).toEqual(['at once'])
  await immediate()
  expect(ended).toEqual(['at once', 'one', 'two'])
  turn(() => systemTurns.atRoundEnd(task('three')), systemTurns)
  await immediate()
  expect(ended).toEqual(['at once', 'one', 'two', 'three'])
})

test('requests of many turns leave on their connection in one write', async () => {
  const wire = new TapeWire()
  wire.turns = systemTurns
  let writes = 0
  wire.write = () => {
    writes++
    return true
  }
  const connection = http2(manualClock(new EventLoop())).connect(
    wire,
    { released() {}, closed() {}, idleHint() {} },
    { bufferBytes: 2 ** 20, ...responseLimits },
  )
  await immediate()
  writes = 0
  const head = {
    method: 'GET',
    scheme: 'http',
    authority: 'a',
    path: '/',
    upgrade: '',
    headers: new HeaderList(),
  } as const
  for (let i = 0; i < 8; i++) turn(() => connection.open().head(head, true), systemTurns)
  await immediate()
  // The first was alone on it, and did not wait for others.
  expect(writes).toBe(2)
})
