import { describe, expect, test } from 'vitest'
import { type NameAnswer, nameCache } from '../../proxy/system/name-cache.ts'
import { virtualTime } from '../discovery/consul/tape.ts'

function stage() {
  const time = virtualTime()
  const asked: string[] = []
  const pending = new Map<string, PromiseWithResolvers<NameAnswer>>()
  const cache = nameCache({
    clock: time.clock,
    resolve(name) {
      asked.push(name)
      const one = Promise.withResolvers<NameAnswer>()
      pending.set(name, one)
      return one.promise
    },
  })
  return {
    time,
    asked,
    /** What connections to a name were told: addresses, or the trouble. */
    find(name: string) {
      const told: string[] = []
      cache.find(name, (addresses, trouble) => told.push(addresses.length > 0 ? addresses.join(' ') : `! ${trouble}`))
      return told
    },
    async answer(name: string, addresses: string, ttlMs = 30_000) {
      pending.get(name)!.resolve({ addresses: addresses.split(' ').filter(Boolean), ttlMs })
      await time.pass(0)
    },
    async fail(name: string, reason: string) {
      pending.get(name)!.reject(new Error(reason))
      await time.pass(0)
    },
  }
}

test('the first connections wait for one question; those after it take the answer at once', async () => {
  const { find, asked, answer } = stage()
  const [first, second] = [find('a'), find('a')]
  expect([first, second]).toEqual([[], []])
  await answer('a', '10.0.0.1 10.0.0.2')
  expect([first, second, find('a')]).toEqual([['10.0.0.1 10.0.0.2'], ['10.0.0.1 10.0.0.2'], ['10.0.0.1 10.0.0.2']])
  expect(asked).toEqual(['a'])
})

test('a bad neighbour: a name that gets no answer has one question under way, fails its own connections in time, and concerns no other', async () => {
  const { find, asked, answer, time } = stage()
  const dead = Array.from({ length: 1_000 }, () => find('dead'))
  const good = find('good')
  await answer('good', '10.0.0.1')
  expect(good).toEqual(['10.0.0.1'])
  await time.pass(5_020)
  expect(new Set(dead.map(told => told.join()))).toEqual(new Set(['! the name dead had no answer within 5 s']))
  // While it is still asked for, nobody waits again.
  for (let i = 0; i < 100; i++) expect(find('dead')).toEqual(['! the name dead had no answer within 5 s'])
  await time.pass(60_000)
  expect(asked.filter(name => name === 'dead')).toHaveLength(1)
  expect(find('good')).toEqual(['10.0.0.1'])
})

describe('asked for again', () => {
  test.each([
    [5_000, 5_000],
    [0, 1_000],
    [Number.POSITIVE_INFINITY, 30_000],
  ])('after a TTL of %d ms, off the way of connections', async (ttlMs, afterMs) => {
    const { find, asked, answer, time } = stage()
    find('a')
    await answer('a', '10.0.0.1', ttlMs)
    await time.pass(afterMs - 100)
    expect(asked).toHaveLength(1)
    await time.pass(1_200)
    expect(asked).toHaveLength(2)
    expect(find('a')).toEqual(['10.0.0.1'])
    await answer('a', '10.0.0.2')
    expect(find('a')).toEqual(['10.0.0.2'])
  })

  test('a name server that fails or is silent leaves the last answer in force', async () => {
    const { find, answer, fail, time } = stage()
    find('a')
    await answer('a', '10.0.0.1', 1_000)
    await time.pass(2_000)
    await fail('a', 'no name server answers')
    await time.pass(60_000)
    expect(find('a')).toEqual(['10.0.0.1'])
  })

  test('that there is no such name any more is believed when it is said again', async () => {
    const { find, answer, time } = stage()
    find('a')
    await answer('a', '10.0.0.1', 1_000)
    await time.pass(2_000)
    await answer('a', '')
    expect(find('a')).toEqual(['10.0.0.1'])
    await time.pass(3_100)
    await answer('a', '')
    expect(find('a')).toEqual(['! there is no name a'])
  })

  test('where there was no answer, within seconds, and connections fail at once until then', async () => {
    const { find, asked, fail, answer, time } = stage()
    const first = find('a')
    await fail('a', 'no name server takes questions')
    expect([first, find('a')]).toEqual([['! no name server takes questions'], ['! no name server takes questions']])
    expect(asked).toHaveLength(1)
    await time.pass(2_100)
    expect(asked).toHaveLength(2)
    await answer('a', '10.0.0.1')
    expect(find('a')).toEqual(['10.0.0.1'])
  })

  test('not when nothing has connected to it for ten minutes: it is forgotten', async () => {
    const { find, asked, answer, time } = stage()
    find('a')
    await answer('a', '10.0.0.1', Number.POSITIVE_INFINITY)
    for (let i = 0; i < 40; i++) {
      await time.pass(31_100, 1_000)
      await answer('a', '10.0.0.1', Number.POSITIVE_INFINITY)
    }
    const before = asked.length
    expect(before).toBeLessThanOrEqual(21)
    await time.pass(600_000, 1_000)
    expect(asked).toHaveLength(before)
    expect(find('a')).toEqual([])
  })
})
