import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type WatchDeps, watchConsul } from '../../../proxy/discovery/consul/watch.ts'
import { seeded } from '../../support/random.ts'
import { answer, denied, refused, scripted, virtualTime } from './tape.ts'

type Replies = Parameters<typeof scripted>[1]

const WAIT = 300_000

function watching(replies: Replies, over: Partial<WatchDeps> & { accept?: (json: unknown) => void } = {}) {
  const time = virtualTime()
  const { ask, asked } = scripted(time, replies)
  const said: unknown[] = []
  const end = new AbortController()
  const { accept = () => {}, ...deps } = over
  const finished = watchConsul(
    {
      ask,
      onAnswer(json) {
        accept(json)
        said.push(json)
      },
      isNews: json =>
        JSON.stringify(said.findLast(Array.isArray)?.toSorted()) !== JSON.stringify((json as unknown[]).toSorted()),
      onSame: () => said.push('same'),
      onTrouble: reason => said.push(`trouble: ${reason}`),
    },
    { clock: time.clock, random: seeded(1), waitMs: WAIT, maxStaleMs: 10_000, ...deps },
    end.signal,
  )
  return { time, asked, said, end, finished }
}

test('the first question is answered at once, the next ones wait behind the index, with jitter', async () => {
  const { time, asked, said } = watching([answer(['a'], { index: 7 }), answer(['a', 'b'], { index: 9 })])
  await time.pass(1_000)
  expect(said).toEqual([['a'], ['a', 'b']])
  expect(asked.map(({ index, stale }) => [index, stale])).toEqual([
    [0, true],
    [7, true],
    [9, true],
  ])
  for (const { waitMs } of asked) {
    expect(waitMs).toBeGreaterThanOrEqual(WAIT * 0.9)
    expect(waitMs).toBeLessThanOrEqual(WAIT)
  }
  expect(new Set(asked.map(({ waitMs }) => waitMs)).size).toBe(3)
})

test('an answer that says what the last one said is not read again, and confirms it', async () => {
  let read = 0
  const { time, said } = watching(
    [answer(['a'], { index: 7 }), answer(['a'], { index: 8 }), answer(['b'], { index: 9 })],
    { accept: () => void read++ },
  )
  await time.pass(2_000)
  expect(said).toEqual([['a'], 'same', ['b']])
  expect(read).toBe(2)
})

test('an index that goes back starts anew, asks the leader, and what came with it is not believed before it is said twice', async () => {
  const { time, asked, said } = watching([
    answer(['a'], { index: 70 }),
    answer([], { index: 3 }),
    answer([], { index: 3 }),
    answer(['b'], { index: 4 }),
  ])
  await time.pass(2_000)
  expect(asked.map(({ index, stale }) => [index, stale])).toEqual([
    [0, true],
    [70, true],
    [0, false],
    [0, false],
    [4, true],
  ])
  expect(said).toEqual([['a'], ['b']])
})

test('after a failure, too, what is older than what is known is asked of the leader: a server that was just started knows little', async () => {
  const replies = [
    answer(['a'], { index: 70 }),
    refused(),
    answer([], { index: 3 }),
    answer(['a', 'b'], { index: 71 }),
    refused(),
    answer([], { index: 4 }),
    // Not yet believed: it may not have read all that it has.
    answer([], { index: 5 }),
    answer([], { index: 6 }),
  ]
  const { time, asked, said } = watching(replies)
  await time.pass(5_000)
  // The second time the leader says it: everything was lost.
  expect(said).toEqual([['a'], ['a', 'b'], []])
  expect(asked.map(({ index, stale }) => [index, stale])).toEqual([
    [0, true],
    [70, true],
    [0, true],
    [0, false],
    [71, true],
    [0, true],
    [0, false],
    [0, false],
    [6, true],
  ])
})

test('a streamed answer that is news is only a cause to ask anew, without waiting; one that is none confirms', async () => {
  const streamed = (body: unknown, index: number) => answer(body, { index, streamed: true })
  const replies = [
    answer(['a', 'b'], { index: 7 }),
    streamed(['a'], 8),
    // It was about what the token may not see.
    answer(['a', 'b'], { index: 8 }),
    streamed(['b', 'a'], 9),
    streamed(['a', 'b', 'c'], 10),
    answer(['a', 'b', 'c'], { index: 10 }),
  ]
  const { time, asked, said } = watching(replies)
  await time.pass(3_000)
  expect(said).toEqual([['a', 'b'], 'same', 'same', ['a', 'b', 'c']])
  expect(asked.map(({ index }) => index)).toEqual([0, 7, 0, 8, 9, 0, 10])
})

test('a copy that is older than what is known, with an index that is higher, does not hide what comes', async () => {
  const old = () => answer(['old'], { index: 90, streamed: true })
  const now = () => answer(['now'], { index: 17 })
  const replies = [
    answer(['old'], { index: 90 }),
    refused(),
    // Of any server, and then of the leader, twice, because the index went back.
    now(),
    now(),
    now(),
    ...Array.from({ length: 30 }, () => [old(), now()]).flat(),
    old(),
    answer(['next'], { index: 18 }),
  ]
  const { time, asked, said } = watching(replies)
  await time.pass(40_000, 50)
  expect(said[0]).toEqual(['old'])
  expect(said[1]).toEqual(['now'])
  expect(new Set(said.slice(2, -1))).toEqual(new Set(['same']))
  expect(said.at(-1)).toEqual(['next'])
  // Twice for each of 32 rounds, the later ones 0.8 s apart.
  expect(asked.at(-2)!.at).toBeGreaterThan(20_000)
})

test('an index below 1 counts as 1', async () => {
  const { time, asked } = watching([answer(['a'], { index: 0 }), answer(['b'], { index: 0 })])
  await time.pass(1_000)
  expect(asked.map(({ index }) => index)).toEqual([0, 1, 1])
})

test('what changes all the time is asked for five times a second at most', async () => {
  const { time, asked } = watching(Array.from({ length: 200 }, (_, i) => answer([i], { index: i + 1 })))
  await time.pass(10_000)
  expect(asked.length).toBeGreaterThan(40)
  expect(asked.length).toBeLessThanOrEqual(51)
})

test('what answers at once and says nothing new is asked for less and less often', async () => {
  const { time, asked } = watching(Array.from({ length: 200 }, (_, i) => answer(['a'], { index: i + 1 })))
  await time.pass(20_000)
  expect(asked.length).toBeGreaterThan(20)
  expect(asked.length).toBeLessThanOrEqual(28)
})

test('an answer that costs much is asked for less often', async () => {
  const time = virtualTime()
  const { ask, asked } = scripted(
    time,
    Array.from({ length: 200 }, (_, i) => answer([i], { index: i + 1 })),
  )
  // Time that passes while an answer is read: nothing else is due then.
  let spent = 0
  const clock = { ...time.clock, now: () => time.clock.now() + spent }
  const deps = { clock, random: seeded(1), waitMs: WAIT, maxStaleMs: 0 }
  const onAnswer = () => {
    spent += 30
  }
  void watchConsul(
    { ask, onAnswer, isNews: () => true, onSame() {}, onTrouble() {} },
    deps,
    new AbortController().signal,
  )
  await time.pass(10_000)
  expect(asked.length).toBeGreaterThan(12)
  expect(asked.length).toBeLessThanOrEqual(20)
})

test('one broken connection is tried again at once and not spoken of', async () => {
  const { time, asked, said } = watching([answer(['a'], { index: 7 }), refused(), answer(['a'], { index: 7 })])
  await time.pass(1_000)
  expect(said).toEqual([['a'], 'same'])
  // The registry may have lost its data: the old index would wait for a long time.
  expect(asked.map(({ index }) => index)).toEqual([0, 7, 0, 7])
  expect(asked[2]!.at - asked[1]!.at).toBeLessThanOrEqual(260)
})

test('failures are met with back-off up to half a minute, and an answer ends it', async () => {
  const { time, asked, said } = watching([
    answer(['a'], { index: 7 }),
    ...Array.from({ length: 12 }, refused),
    answer(['b'], { index: 9 }),
    refused(),
  ])
  await time.pass(400_000, 50)
  const gaps = asked.map(({ at }, i) => at - (asked[i - 1]?.at ?? at)).slice(2, 14)
  expect(gaps[0]).toBeLessThanOrEqual(300)
  for (const [i, gap] of gaps.slice(1).entries()) {
    const span = Math.min(30_000, 1_000 * 2 ** i)
    expect(gap).toBeGreaterThanOrEqual(span * 0.5)
    expect(gap).toBeLessThanOrEqual(span + 100)
  }
  expect(said[0]).toEqual(['a'])
  expect(said.slice(1, 12)).toEqual(Array(11).fill('trouble: Consul at http://127.0.0.1:8500 refuses connections'))
  expect(said.slice(12)).toEqual([['b']])
  // As after any first failure.
  expect(asked[15]!.at - asked[14]!.at).toBeLessThanOrEqual(300)
})

test('as long as there was no answer each failure is spoken of', async () => {
  const { time, said } = watching([refused(), answer(['a'])])
  await time.pass(1_000)
  expect(said).toEqual(['trouble: Consul at http://127.0.0.1:8500 refuses connections', ['a']])
})

test('a token that lacks rights is spoken of at once, and tried again within ten seconds', async () => {
  const { time, asked, said } = watching([answer(['a']), ...Array.from({ length: 20 }, denied)])
  await time.pass(120_000, 50)
  expect(said.slice(0, 2)).toEqual([['a'], 'trouble: Consul denies it'])
  const gaps = asked.map(({ at }, i) => at - (asked[i - 1]?.at ?? at))
  expect(Math.max(...gaps)).toBeLessThanOrEqual(10_100)
})

test('an answer that is not JSON is trouble, and asked for again', async () => {
  const { time, asked, said } = watching([
    answer(['a'], { index: 3 }),
    answer('<html>gateway', { index: 4 }),
    answer('{"x":', { index: 4 }),
    answer(['b'], { index: 4 }),
  ])
  await time.pass(5_000)
  expect(said).toEqual([
    ['a'],
    'trouble: the answer of Consul makes no sense: it is no JSON; it begins with "{\\"x\\":"',
    ['b'],
  ])
  expect(asked.map(({ index }) => index)).toEqual([0, 3, 0, 0, 4])
})

test('what makes no sense to the reader is trouble, and the same answer is read again', async () => {
  const bad = new Error('no list of instances')
  let broken = true
  const accept = () => {
    if (broken) throw bad
  }
  const { time, said } = watching([answer({}), answer({}), answer({})], { accept })
  await time.pass(400)
  expect(said).toEqual(['trouble: no list of instances', 'trouble: no list of instances'])
  broken = false
  await time.pass(2_000)
  expect(said.slice(2)).toEqual([{}])
})

test('after two minutes the next question is for all of it', async () => {
  const forever = Array.from({ length: 20 }, (_, i) => ({ after: 70_000, answer: answer(['a'], { index: 5 + i }) }))
  const { time, asked } = watching([answer(['a'], { index: 4 }), ...forever])
  await time.pass(425_000, 100)
  const whole = asked.filter(({ index }) => index === 0).map(({ at }) => Math.round(at / 1000))
  expect(whole).toEqual([0, 140, 280, 420])
})

test('data that is older than allowed is asked for again, from the leader', async () => {
  const old = [answer(['old'], { index: 9, lastContactMs: 10_001 }), answer(['old'], { index: 9, knownLeader: false })]
  const { time, asked, said } = watching([
    answer(['a'], { index: 7, lastContactMs: 10_000 }),
    old[0]!,
    answer(['b'], { index: 9 }),
    old[1]!,
    answer(['c'], { index: 10 }),
  ])
  await time.pass(1_000)
  expect(said).toEqual([['a'], ['b'], ['c']])
  expect(asked.map(({ index, stale }) => [index, stale])).toEqual([
    [0, true],
    [7, true],
    [7, false],
    [9, true],
    [9, false],
    [10, true],
  ])
})

test('nothing is lost when there is no leader to ask', async () => {
  const leaderless = () => answer([], { index: 9, knownLeader: false })
  const { time, said } = watching([
    answer(['a'], { index: 7 }),
    leaderless(),
    refused(),
    leaderless(),
    refused(),
    answer(['a'], { index: 7 }),
  ])
  await time.pass(10_000)
  expect(said).toEqual([['a'], 'trouble: Consul at http://127.0.0.1:8500 refuses connections', 'same'])
})

test('old data is better than none, unless it says that there is nothing', async () => {
  const cold = (body: unknown) => [answer(body, { index: 9, lastContactMs: 60_000 }), refused()]
  const some = watching(cold(['old']))
  await some.time.pass(40)
  expect(some.said).toEqual([['old'], 'trouble: Consul at http://127.0.0.1:8500 refuses connections'])
  const none = watching(cold([]))
  await none.time.pass(40)
  expect(none.said).toEqual(['trouble: Consul at http://127.0.0.1:8500 refuses connections'])
})

test('where nothing stale is allowed only the leader is asked', async () => {
  const { time, asked } = watching(
    [answer(['a'], { index: 7 }), refused(), answer(['a'], { index: 7, lastContactMs: 99_999 })],
    { maxStaleMs: 0 },
  )
  await time.pass(1_000)
  expect(asked.map(({ stale }) => stale)).toEqual([false, false, false, false])
})

test('it ends at once while a question waits, and while it waits itself', async () => {
  const waits = watching([answer(['a'])])
  await waits.time.pass(1_000)
  waits.end.abort()
  await waits.finished
  const pauses = watching(Array.from({ length: 9 }, refused))
  await pauses.time.pass(5_000)
  const before = pauses.asked.length
  pauses.end.abort()
  await pauses.finished
  await pauses.time.pass(60_000, 100)
  expect(pauses.asked).toHaveLength(before)
})

test('whatever comes back, it goes on, and does not ask all the time', async () => {
  const reply = fc.oneof(
    fc
      .record({
        index: fc.integer({ min: 0, max: 20 }),
        lastContactMs: fc.constantFrom(0, 20_000),
        knownLeader: fc.boolean(),
      })
      .chain(over => fc.constantFrom('[]', '["a"]', '["b"]', 'nonsense').map(body => answer(body, over))),
    fc.constantFrom(refused(), denied()),
  )
  const property = fc.asyncProperty(fc.array(reply, { minLength: 1, maxLength: 30 }), async replies => {
    const { time, asked, end, finished } = watching([...replies])
    await time.pass(31 * 31_000, 200)
    const perSecond = new Map<number, number>()
    for (const { at } of asked) perSecond.set(Math.floor(at / 1_000), (perSecond.get(Math.floor(at / 1_000)) ?? 0) + 1)
    // An answer that is not believed is asked for anew at once, from the leader.
    expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(12)
    expect(asked.length).toBeGreaterThanOrEqual(replies.length)
    end.abort()
    await finished
  })
  await fc.assert(property, { numRuns: 30, seed: 4 })
})
