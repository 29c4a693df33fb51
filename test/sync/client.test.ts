import { describe, expect, test } from 'vitest'
import type { DialListener } from '../../proxy/core/wire.ts'
import { agentClient } from '../../proxy/sync/client.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { logTape } from '../support/log-tape.ts'

/** A client whose dials fail with the codes given, the last one again and again. */
function clientOf(codes: readonly string[], distrust = '') {
  const loop = new EventLoop()
  const log = logTape()
  const dialled: number[] = []
  const start = loop.now
  const client = agentClient({
    hello: () => expect.unreachable(),
    wanted: () => [],
    summary: () => null,
    update() {},
    tooLong() {},
    dial(_path, listener: DialListener) {
      const code = codes[Math.min(dialled.length, codes.length - 1)]!
      dialled.push(Math.round(loop.now - start))
      return loop.after(0, () => listener.failed(code))
    },
    codec: () => expect.unreachable(),
    distrust: () => distrust,
    userAgent: 'outrigger/1',
    changed() {},
    clock: manualClock(loop),
    random: () => 1,
    log,
  })
  return { loop, log, dialled, client }
}

describe('where no agent is', () => {
  test('a default socket is looked at every two seconds at the most, and nothing is said', () => {
    const { loop, log, dialled, client } = clientOf(['ENOENT'])
    client.follow({ path: '/run/a.sock', isDefault: true })
    loop.advance(60_000)
    expect([client.state, client.status().trouble, log.lines()]).toEqual(['off', '', []])
    const gaps = dialled.slice(1).map((at, i) => at - dialled[i]!)
    expect(gaps.slice(0, 6)).toEqual([100, 200, 400, 800, 1600, 2000])
    expect(Math.max(...gaps)).toBeLessThanOrEqual(2_010)
  })

  test('one that the file names is a trouble, said once', () => {
    const { loop, log, client } = clientOf(['ENOENT'])
    client.follow({ path: '/run/a.sock', isDefault: false })
    loop.advance(60_000)
    expect(client.status()).toMatchObject({ state: 'connecting', trouble: expect.stringMatching(/start the agent/) })
    expect(log.lines()).toEqual([expect.stringMatching(/^warn agent: unix:\/run\/a\.sock cannot be reached/)])
  })

  test('another trouble is said too', () => {
    const { loop, log, client } = clientOf(['ENOENT', 'EACCES', 'EACCES', 'ENOTSOCK'])
    client.follow({ path: '/run/a.sock', isDefault: false })
    loop.advance(60_000)
    expect(log.lines()).toHaveLength(3)
  })
})

test('a default socket of another user is not even dialled, and is looked at again', () => {
  const { loop, log, dialled, client } = clientOf(['ENOENT'], '/tmp/x belongs to another user')
  client.follow({ path: '/tmp/x/agent.sock', isDefault: true })
  loop.advance(120_000)
  expect(dialled).toEqual([])
  expect(client.status().trouble).toMatch(/another user/)
  expect(log.lines()).toHaveLength(1)
})

test('nothing is tried any longer when no agent is to be followed', () => {
  const { loop, dialled, client } = clientOf(['ECONNREFUSED'])
  client.follow({ path: '/run/a.sock', isDefault: false })
  loop.advance(1_000)
  client.follow(null)
  const tries = dialled.length
  loop.advance(60_000)
  expect([dialled.length, client.state]).toEqual([tries, 'off'])
  expect(client.call('/a.B/C', Buffer.alloc(1), () => expect.unreachable())).toBe(false)
})
