import { expect, test } from 'vitest'
import type { Answer, Asked } from '../../../proxy/discovery/consul/answer.ts'
import { crowdOf } from '../../../proxy/discovery/consul/crowd.ts'
import { seeded } from '../../support/random.ts'
import { consulSpec } from './registry.ts'
import { answer, refused, virtualTime } from './tape.ts'

interface Check {
  readonly ServiceName: string
  readonly Node: string
  readonly CheckID: string
  readonly ModifyIndex: number
}

const check = (service: string, index: number, id = 'c'): Check => ({
  ServiceName: service,
  Node: 'n1',
  CheckID: id,
  ModifyIndex: index,
})

/** Both questions wait until `say` or `register`; `filters` are those of the checks. */
function crowd() {
  const time = virtualTime()
  const filters: string[] = []
  let pending: ((answer: Answer | Error) => void) | null = null
  let renamed: ((index: number) => void) | null = null
  let index = 10
  let checks: Check[] = []
  let down = false
  const client = {
    spec: consulSpec,
    checks: (filter: string, _where: unknown, asked: Asked, signal: AbortSignal) =>
      new Promise<Answer>((resolve, reject) => {
        if (filters.at(-1) !== filter) filters.push(filter)
        if (down) return reject(refused())
        pending = said => (said instanceof Error ? reject(said) : resolve(said))
        signal.addEventListener('abort', () => reject(new Error('aborted')))
        if (asked.index < index) resolve(answer(checks, { index }))
      }),
    services: (_where: unknown, asked: Asked, signal: AbortSignal) =>
      new Promise<Answer>((resolve, reject) => {
        renamed = now => resolve(answer({}, { index: now }))
        signal.addEventListener('abort', () => reject(new Error('aborted')))
        if (asked.index === 0) resolve(answer({}, { index: 100 }))
      }),
  }
  const made = crowdOf(client, { datacenter: null }, { clock: time.clock, random: seeded(2) })
  const never = new AbortController().signal
  return {
    time,
    filters,
    never,
    crowd: made,
    async say(all: Check[]) {
      checks = all
      pending?.(answer(all, { index: ++index }))
      await time.pass(300)
    },
    fail() {
      down = true
      pending?.(refused())
    },
    async register(to: number) {
      renamed?.(to)
      await time.pass(300)
    },
    /** Says when it has changed. */
    follow(name: string) {
      const member = made.join(name)
      const times: number[] = []
      const next = (): Promise<void> =>
        member
          .changed(300_000, never)
          .then(() => void times.push(time.now()))
          .then(next)
      void next()
      return { member, times }
    },
  }
}

test('who has joined is woken by its own checks only, once for each change', async () => {
  const { time, say, follow, filters } = crowd()
  const [a, b] = [follow('a.b'), follow('c')]
  await say([check('a.b', 1), check('c', 2)])
  await time.pass(1_000)
  // Once, for what may have been missed before it was watched.
  expect([a.times.length, b.times.length]).toEqual([1, 1])
  expect(filters).toEqual(['ServiceName matches `^(a\\.b|c)$` or (ServiceName == "" and Status != "passing")'])
  await say([check('a.b', 3), check('c', 2)])
  expect([a.times.length, b.times.length]).toEqual([2, 1])
  await say([check('c', 2), check('a.b', 3)])
  expect([a.times.length, b.times.length]).toEqual([2, 1])
  await say([check('a.b', 3)])
  expect([a.times.length, b.times.length]).toEqual([2, 2])
})

test('a node that is not well, or well again, wakes everybody', async () => {
  const { time, say, follow } = crowd()
  const [a, b] = [follow('a'), follow('b')]
  await say([check('a', 1), check('b', 1)])
  await time.pass(1_000)
  await say([check('a', 1), check('b', 1), check('', 2, 'serfHealth')])
  expect([a.times.length, b.times.length]).toEqual([2, 2])
  await say([check('a', 1), check('b', 1)])
  expect([a.times.length, b.times.length]).toEqual([3, 3])
})

test('a change is not lost while its member asks', async () => {
  const { time, say, crowd: made, never } = crowd()
  const member = made.join('a')
  await time.pass(500)
  await member.changed(300_000, never)
  await say([check('a', 5)])
  let woken = false
  void member.changed(300_000, never).then(() => {
    woken = true
  })
  await time.pass(0)
  expect(woken).toBe(true)
})

test('something registered wakes everybody, the second time a little later', async () => {
  const { time, register, follow } = crowd()
  const a = follow('a')
  await time.pass(10_000)
  const from = a.times.length
  await register(101)
  expect(a.times.length - from).toBe(1)
  await register(102)
  expect(a.times.length - from).toBe(1)
  await time.pass(1_000)
  expect(a.times.length - from).toBe(2)
})

test('as long as its questions fail everybody asks every few seconds', async () => {
  const { time, fail, follow } = crowd()
  const a = follow('a')
  await time.pass(1_000)
  fail()
  await time.pass(360_000, 50)
  const from = time.now() - 25_000
  const late = a.times.filter(at => at > from)
  expect(late.length).toBeGreaterThanOrEqual(4)
  expect(late.length).toBeLessThanOrEqual(12)
})

test('a wait ends with its time and with its signal', async () => {
  const { time, crowd: made, never } = crowd()
  const member = made.join('a')
  await time.pass(1_000)
  await member.changed(1, never)
  const end = new AbortController()
  const ended: string[] = []
  void member.changed(60_000, never).then(() => ended.push('time'))
  await time.pass(60_100, 100)
  expect(ended).toEqual(['time'])
  void member.changed(60_000, end.signal).then(() => ended.push('signal'))
  await time.pass(100)
  end.abort()
  await time.pass(0)
  expect(ended).toEqual(['time', 'signal'])
})
