import { expect, test } from 'vitest'
import { Turns, type TurnTask } from '../../proxy/core/turn.ts'

function task(log: string[], name: string, then?: () => void): TurnTask {
  return {
    turnEnded() {
      log.push(name)
      then?.()
    },
  }
}

test('tasks run when the outermost turn ends, in order', () => {
  const turns = new Turns(null)
  const log: string[] = []
  turns.enter()
  turns.atEnd(task(log, 'a'))
  turns.enter()
  turns.atEnd(task(log, 'b'))
  turns.leave()
  expect(log).toEqual([])
  turns.atEnd(task(log, 'c'))
  turns.leave()
  expect(log).toEqual(['a', 'b', 'c'])
})

test('a task put off by a task still belongs to this turn', () => {
  const turns = new Turns(null)
  const log: string[] = []
  turns.enter()
  turns.atEnd(task(log, 'a', () => turns.atEnd(task(log, 'b'))))
  turns.leave()
  expect(log).toEqual(['a', 'b'])
})

test('a turn inside a task does not run tasks twice', () => {
  const turns = new Turns(null)
  const log: string[] = []
  turns.enter()
  turns.atEnd(
    task(log, 'a', () => {
      turns.enter()
      turns.atEnd(task(log, 'c'))
      turns.leave()
    }),
  )
  turns.atEnd(task(log, 'b'))
  turns.leave()
  expect(log.toSorted()).toEqual(['a', 'b', 'c'])
})

test('outside any turn, tasks run when the microtasks do', async () => {
  const turns = new Turns(null)
  const log: string[] = []
  turns.atEnd(task(log, 'a'))
  turns.atEnd(task(log, 'b'))
  expect(log).toEqual([])
  await Promise.resolve()
  expect(log).toEqual(['a', 'b'])
  turns.enter()
  turns.leave()
  expect(log).toEqual(['a', 'b'])
})

test('two thousand tasks of one turn leave nothing behind', () => {
  const turns = new Turns(null)
  const log: string[] = []
  turns.enter()
  for (let i = 0; i < 2000; i++) turns.atEnd(task(log, 'x'))
  turns.leave()
  expect(log).toHaveLength(2000)
  turns.enter()
  turns.leave()
  expect(log).toHaveLength(2000)
})

test('two threads have turns of their own', () => {
  const [one, other] = [new Turns(null), new Turns(null)]
  const log: string[] = []
  one.enter()
  other.enter()
  one.atEnd(task(log, 'one'))
  other.leave()
  expect(log).toEqual([])
  one.leave()
  expect(log).toEqual(['one'])
})

test('a turn has one time, whoever asks; outside of turns each look is its own', () => {
  const turns = new Turns(null)
  let time = 100
  const look = () => time++
  expect([turns.now(look), turns.now(look)]).toEqual([100, 101])
  turns.enter()
  expect(turns.now(look)).toBe(102)
  expect(turns.elapsed(look)).toBe(1)
  turns.enter()
  expect(turns.now(look)).toBe(102)
  turns.leave()
  turns.atEnd(task([], 'a', () => expect(turns.now(look)).toBe(102)))
  turns.leave()
  expect(turns.elapsed(look)).toBe(0)
  turns.enter()
  expect(turns.now(look)).toBe(104)
  turns.leave()
})

test('what is put off outside of any turn has the time at which it runs, and not that of the turn before', async () => {
  const turns = new Turns(null)
  let time = 100
  const look = () => time
  turns.enter()
  expect(turns.now(look)).toBe(100)
  turns.leave()
  time = 5_000
  const seen: number[] = []
  turns.atEnd(task([], 'a', () => seen.push(turns.now(look))))
  await Promise.resolve()
  expect(seen).toEqual([5_000])
})
