import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { Snapshot } from '../../mesh-config/snapshot.ts'
import { ANSWER_MS, APPLY_MS } from '../../proxy/control/thread-handle.ts'
import { type DataThreads, dataThreads } from '../../proxy/control/workers.ts'
import type { EndpointsAnswer, Question, VirtualAddressEntry } from '../../proxy/core/channel.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { logTape } from '../support/log-tape.ts'
import { snapshotOf } from '../support/specs.ts'

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

function threadsOf(count: number) {
  const loop = new EventLoop()
  const log = logTape()
  const said: string[] = []
  const ended: number[] = []
  /** What peers add to each snapshot. */
  const filling: { of: Partial<Snapshot> } = { of: {} }
  const addresses: VirtualAddressEntry[] = []
  const threads = dataThreads({
    entry: new URL('../support/stand-in-worker.ts', import.meta.url),
    count,
    clock: manualClock(loop),
    log,
    fill: snapshot => ({ snapshot: { ...snapshot, ...filling.of }, origins: { a: 1 } }),
    spanAgent: () => false,
    virtualAddresses: () => addresses,
    said: (thread, message) => said.push(`${thread} ${message.kind === 'log' ? message.lines.trim() : message.kind}`),
    ended: thread => ended.push(thread),
  })
  stops.push(threads.stop)
  return { threads, loop, log, said, ended, filling, addresses }
}

function version(name: string, service = 'web'): Snapshot {
  return { ...snapshotOf([], []), version: name, service }
}

/** The threads are real, so what they do takes real time; deadlines and back-off are the clock's. */
async function until(true_: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 24_000; i++) {
    if (await true_()) return
    await sleep(5)
  }
  throw new Error('it did not come about')
}

const which: Question = { what: 'endpoints' }
const explain = (url: string): Question => ({ what: 'explain', method: 'GET', url, headers: [], listener: null })

async function versions(threads: DataThreads): Promise<string[]> {
  return (await threads.ask(which)).map(
    ({ thread, answer }) => `${thread} ${(answer as EndpointsAnswer).services[0]!.name}`,
  )
}

describe('starting', () => {
  test('all threads serve the snapshot; several are told to share their ports', async () => {
    const { threads, said } = threadsOf(2)
    expect(await threads.start(version('a'))).toEqual([])
    expect(await versions(threads)).toEqual(['0 a', '1 a'])
    expect(threads.listeners()).toEqual(['shared a'])
    expect(said).toContain('1 series')
  })

  test('one thread alone has its ports for itself', async () => {
    const { threads } = threadsOf(1)
    await threads.start(version('a'))
    expect(threads.listeners()).toEqual(['own a'])
  })

  test('a snapshot that is refused is a start that failed, with the reasons said once', async () => {
    const { threads } = threadsOf(2)
    expect(await threads.start(version('refused'))).toEqual(['the port is taken'])
  })

  test('a thread that crashes at the start is not tried again', async () => {
    const { threads, loop } = threadsOf(1)
    const [reason] = await threads.start(version('a', 'crashes-at-start'))
    expect(reason).toContain('cannot even start')
    loop.advance(60_000)
    expect(threads.restarts()).toBe(0)
  })

  test('a thread that says nothing does not hold up the start for ever', async () => {
    const { threads, loop } = threadsOf(1)
    const started = threads.start(version('silent'))
    loop.advance(APPLY_MS + 20)
    expect(await started).toEqual([`data thread 0 was not ready within ${APPLY_MS / 1000} s`])
  })
})

describe('applying a snapshot', () => {
  test('reaches every thread', async () => {
    const { threads } = threadsOf(2)
    await threads.start(version('a'))
    expect(await threads.apply(version('b'))).toEqual([])
    expect(await versions(threads)).toEqual(['0 b', '1 b'])
    expect(threads.listeners()).toEqual(['shared b'])
  })

  test.each(['refused', 'refused-by-1'])('%s: every thread stays on, or is back on, what it had', async name => {
    const { threads } = threadsOf(2)
    await threads.start(version('a'))
    expect(await threads.apply(version(name))).toEqual(['the port is taken'])
    expect(await versions(threads)).toEqual(['0 a', '1 a'])
  })

  test('a thread that crashes over it is replaced by one on the old snapshot', async () => {
    const { threads, loop } = threadsOf(2)
    await threads.start(version('a'))
    expect(await threads.apply(version('crashes'))).toEqual(['data thread 0 ended while it applied the snapshot'])
    loop.advance(20)
    await until(() => threads.status().every(({ state }) => state === 'running'))
    expect(await versions(threads)).toEqual(['0 a', '1 a'])
  })

  test('a thread that does not answer is a refusal', async () => {
    const { threads, loop } = threadsOf(1)
    await threads.start(version('a'))
    const applied = threads.apply(version('silent'))
    loop.advance(APPLY_MS + 20)
    expect(await applied).toEqual([`data thread 0 did not answer within ${APPLY_MS / 1000} s`])
  })

  test('a thread that is being replaced meanwhile comes up on the new one', async () => {
    const { threads, loop } = threadsOf(2)
    await threads.start(version('a'))
    void threads.ask(explain('/crash'))
    await until(() => threads.status().every(({ state }) => state === 'ended'))
    expect(await threads.apply(version('b'))).toEqual([])
    loop.advance(20)
    await until(() => threads.status().every(({ state }) => state === 'running'))
    expect(await versions(threads)).toEqual(['0 b', '1 b'])
  })
})

test('a snapshot that overtakes the start of a replacement reaches it too', async () => {
  const { threads, loop } = threadsOf(2)
  await threads.start(version('a'))
  void threads.ask(explain('/crash'))
  await until(() => threads.status().every(({ state }) => state === 'ended'))
  loop.advance(20)
  expect(threads.status().map(({ state }) => state)).toEqual(['starting', 'starting'])
  expect(await threads.apply(version('b'))).toEqual([])
  await until(async () => (await versions(threads)).join() === '0 b,1 b')
})

describe('a thread that ends', () => {
  test.each([
    ['/crash', /Error: broken invariant/],
    ['/exit', /exited with code 7/],
  ])('%s: is replaced at once, with the reason in the log and in the status', async (url, reason) => {
    const { threads, loop, log, ended } = threadsOf(1)
    await threads.start(version('a'))
    expect(await threads.ask(explain(url))).toEqual([{ thread: 0, answer: null }])
    expect(ended).toEqual([0])
    expect(log.lines()).toEqual([expect.stringMatching(reason)])
    loop.advance(20)
    await until(() => threads.status()[0]!.state === 'running')
    expect(threads.status()[0]).toMatchObject({ restarts: 1, lastEnd: expect.stringMatching(reason) })
    expect(await versions(threads)).toEqual(['0 a'])
  })

  test('a crash loop is slowed down, up to ten seconds between two starts', async () => {
    const { threads, loop, log } = threadsOf(1)
    await threads.start(version('a'))
    const waits = () =>
      log
        .lines()
        .flatMap(line => (line.includes('ended and is replaced') ? [Number(/ in (\d+) ms/.exec(line)?.[1] ?? 0)] : []))
    for (let crash = 1; crash <= 8; crash++) {
      await threads.ask(explain('/crash'))
      await until(() => waits().length === crash)
      loop.advance(Math.max(0, waits().at(-1)! - 20))
      if (crash > 1) expect(threads.status()[0]!.state).toBe('ended')
      loop.advance(40)
      await until(() => threads.status()[0]!.state === 'running')
    }
    expect(waits()).toEqual([0, 200, 400, 800, 1_600, 3_200, 6_400, 10_000])
    // A quiet minute ends the loop.
    loop.advance(60_000)
    await threads.ask(explain('/crash'))
    await until(() => log.lines().at(-1)!.includes('crashesInARow=1'))
  })
})

describe('questions', () => {
  test('a thread that hangs costs its own answer only', async () => {
    const { threads, loop } = threadsOf(1)
    await threads.start(version('a'))
    const asked = threads.ask(explain('/hang'))
    loop.advance(ANSWER_MS + 20)
    expect(await asked).toEqual([{ thread: 0, answer: null }])
    expect(await versions(threads)).toEqual(['0 a'])
  })
})

describe('draining', () => {
  test('tells how many requests were cut in all, and threads that end are not replaced any more', async () => {
    const { threads, loop, log } = threadsOf(2)
    await threads.start(version('a'))
    expect(await threads.drain('all', 0, 1_000)).toBe(1 + 2)
    await threads.ask(explain('/crash'))
    loop.advance(60_000)
    expect(threads.restarts()).toBe(0)
    expect(log.lines()).toEqual([])
  })
})

test('a thread that takes the place of one that crashed drains inbound where the others have', async () => {
  const { threads, said, loop } = threadsOf(1)
  await threads.start(version('a'))
  expect(await threads.drain('inbound', 5_000, 1_000)).toBe(0)
  await threads.ask(explain('/crash'))
  loop.advance(20)
  await until(() => said.includes('0 drains inbound after 0'))
  expect(said.filter(line => line.includes('drains'))).toEqual([
    '0 drains inbound after 5000',
    '0 drains inbound after 0',
  ])
})

test('credit for written log lines reaches the thread that sent them', async () => {
  const { threads, said } = threadsOf(2)
  await threads.start(version('a'))
  threads.answer(1, { kind: 'log-credit', bytes: 42 })
  await until(() => said.includes('1 credit 42'))
})

describe('news of peers', () => {
  const news = { kind: 'endpoints', service: 'orders', delta: { put: [], drop: ['a:1'] } } as const

  test('reaches every data thread', async () => {
    const { threads, said } = threadsOf(2)
    await threads.start(version('a'))
    threads.tell(news)
    threads.tell({ kind: 'origins', zones: { b: 2 } })
    await until(() =>
      ['0', '1'].every(
        thread => said.includes(`${thread} endpoints orders`) && said.includes(`${thread} origins {"b":2}`),
      ),
    )
  })

  test('is in the snapshot that a thread starts with and that a reload brings', async () => {
    const { threads, filling } = threadsOf(1)
    filling.of = { version: 'filled' }
    await threads.start(version('a'))
    expect(await versions(threads)).toEqual(['0 filled'])
    filling.of = { version: 'filled anew' }
    expect(await threads.apply(version('b'))).toEqual([])
    expect(await versions(threads)).toEqual(['0 filled anew'])
  })

  test('that came while a thread was starting is brought to it once it runs', async () => {
    const { threads, said, filling, loop } = threadsOf(1)
    await threads.start(version('a'))
    await threads.ask(explain('/crash'))
    loop.advance(10)
    filling.of = { version: 'with the news' }
    threads.tell(news)
    await until(async () => (await versions(threads)).includes('0 with the news'))
    await until(() => said.includes('0 origins {"a":1}'))
  })
})

describe('virtual addresses', () => {
  test('are known when every thread says so, and one that is replaced starts with all of them', async () => {
    const { threads, loop, said, addresses } = threadsOf(2)
    await threads.start(version('a'))
    expect(await threads.know([['240.64.0.1', 'orders']], [])).toBe(true)
    expect(said).toEqual(expect.arrayContaining(['0 addresses 240.64.0.1=orders', '1 addresses 240.64.0.1=orders']))
    addresses.push(['240.64.0.1', 'orders'])
    void threads.ask(explain('/exit'))
    await until(() => {
      loop.advance(100)
      return said.includes('1 started with 240.64.0.1,orders')
    })
  })

  test('are not, where a thread does not say so in time', async () => {
    const { threads, loop, said } = threadsOf(1)
    await threads.start(version('a'))
    const known = threads.know([['240.64.0.2', 'silent']], [])
    await until(() => said.includes('0 addresses 240.64.0.2=silent'))
    loop.advance(ANSWER_MS + 100)
    expect(await known).toBe(false)
  })

  test('need not be known by a thread that has ended', async () => {
    const { threads } = threadsOf(1)
    await threads.start(version('a'))
    const known = threads.know([['240.64.0.2', 'silent']], [])
    void threads.ask(explain('/exit'))
    expect(await known).toBe(true)
  })
})
