import { expect, test } from 'vitest'
import { gather, partsOf } from '../../proxy/control/handed.ts'
import { predecessorOf, sharesOf } from '../../proxy/control/inherited.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'

const socket = (name: string, address: string, port: number, descriptors: number[]) => ({
  name,
  address,
  port,
  descriptors,
})
const listener = (name: string, address: string, port: number) => ({ name, listen: { address, port } })

test('a listener goes on with the socket at its address, whatever it was for; others are let go', () => {
  const shares = sharesOf(
    [
      socket('inbound 127.0.0.1:1', '127.0.0.1', 1, [5]),
      socket('outbound 127.0.0.1:2', '127.0.0.1', 2, [6]),
      socket('outbound 127.0.0.1:3', '127.0.0.1', 3, [7]),
    ],
    [listener('outbound 127.0.0.1:1', '127.0.0.1', 1), listener('outbound 0.0.0.0:2', '0.0.0.0', 2)],
    1,
  )
  expect(shares.threads).toEqual([[socket('outbound 127.0.0.1:1', '127.0.0.1', 1, [5])]])
  expect(shares.left).toEqual([6, 7])
  expect([...shares.names]).toEqual(['outbound 127.0.0.1:1'])
})

test('port 0 goes by the name', () => {
  const shares = sharesOf(
    [socket('inbound 127.0.0.1:0', '127.0.0.1', 0, [5]), socket('outbound 127.0.0.1:0', '127.0.0.1', 0, [6])],
    [listener('outbound 127.0.0.1:0', '127.0.0.1', 0)],
    1,
  )
  expect(shares.threads[0]!.map(({ descriptors }) => descriptors)).toEqual([[6]])
  expect(shares.left).toEqual([5])
})

test.each([
  [2, 2, [[5], [6]]],
  [2, 1, [[5, 6]]],
  [1, 3, [[5], [], []]],
  [3, 2, [[5, 7], [6]]],
])('of %d data threads before, for %d now: no socket is left', (before, now, expected) => {
  const descriptors = [5, 6, 7].slice(0, before)
  const { threads, left } = sharesOf(
    [socket('inbound 0.0.0.0:1', '0.0.0.0', 1, descriptors)],
    [listener('inbound 0.0.0.0:1', '0.0.0.0', 1)],
    now,
  )
  expect(threads.map(share => share.flatMap(each => each.descriptors))).toEqual(expected)
  expect(left).toEqual([])
})

test('what another version hands over is not used', async () => {
  const given = await gather('1.0.0', [() => ({ found: ['orders'] }), async () => ({ sticky: 'x' })])
  expect(partsOf(JSON.parse(JSON.stringify(given)))).toEqual({ found: ['orders'], sticky: 'x' })
  expect(partsOf({ ...given, version: 99 })).toBe('it is of version 99, and this program reads 1')
  expect(partsOf(null)).toBe('it makes no sense')
  expect(partsOf({ ...given, parts: { found: [1], sticky: 2, learnt: [{ orders: [{}] }] } })).toEqual({})
})

test('a variable that nothing of ours has set is refused, in words', () => {
  const clock = manualClock(new EventLoop())
  expect(predecessorOf({}, clock)).toBeNull()
  for (const text of ['hello', '{}', '{"version":7}'])
    expect(() => predecessorOf({ OUTRIGGER_LISTENERS: text }, clock)).toThrow('is not what this version understands')
})
