import { expect, test } from 'vitest'
import { atTurnEnd, enterTurn, leaveTurn, type TurnTask } from '../../proxy/core/turn.ts'

function task(log: string[], name: string, then?: () => void): TurnTask {
  return {
    turnEnded() {
      log.push(name)
      then?.()
    },
  }
}

test('tasks run when the outermost turn ends, in order', () => {
  const log: string[] = []
  enterTurn()
  atTurnEnd(task(log, 'a'))
  enterTurn()
  atTurnEnd(task(log, 'b'))
  leaveTurn()
  expect(log).toEqual([])
  atTurnEnd(task(log, 'c'))
  leaveTurn()
  expect(log).toEqual(['a', 'b', 'c'])
})

test('a task put off by a task still belongs to this turn', () => {
  const log: string[] = []
  enterTurn()
  atTurnEnd(task(log, 'a', () => atTurnEnd(task(log, 'b'))))
  leaveTurn()
  expect(log).toEqual(['a', 'b'])
})

test('a turn inside a task does not run tasks twice', () => {
  const log: string[] = []
  enterTurn()
  atTurnEnd(
    task(log, 'a', () => {
      enterTurn()
      atTurnEnd(task(log, 'c'))
      leaveTurn()
    }),
  )
  atTurnEnd(task(log, 'b'))
  leaveTurn()
  expect(log.toSorted()).toEqual(['a', 'b', 'c'])
})

test('outside any turn, tasks run when the microtasks do', async () => {
  const log: string[] = []
  atTurnEnd(task(log, 'a'))
  atTurnEnd(task(log, 'b'))
  expect(log).toEqual([])
  await Promise.resolve()
  expect(log).toEqual(['a', 'b'])
  enterTurn()
  leaveTurn()
  expect(log).toEqual(['a', 'b'])
})

test('two thousand tasks of one turn leave nothing behind', () => {
  const log: string[] = []
  enterTurn()
  for (let i = 0; i < 2000; i++) atTurnEnd(task(log, 'x'))
  leaveTurn()
  expect(log).toHaveLength(2000)
  enterTurn()
  leaveTurn()
  expect(log).toHaveLength(2000)
})
