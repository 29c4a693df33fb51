import { expect, test } from 'vitest'
import { Waiting, type WaitingQuery } from '../../proxy/dns/waiting.ts'

function setUp(most: number, perClient: number) {
  const waiting = new Waiting({ most, perClient })
  const ended: string[] = []
  let count = 0
  const add = (client: string): WaitingQuery => {
    const name = `${client}${++count}`
    const query = { client, end: () => void ended.push(name) }
    waiting.add(query)
    return query
  }
  return { waiting, ended, add }
}

test('a client has so many queries, and the next ends its oldest', () => {
  const { waiting, ended, add } = setUp(100, 2)
  add('a')
  add('b')
  add('a')
  add('a')
  expect(ended).toEqual(['a1'])
  expect(waiting.size).toBe(3)
})

test('where there is no room, a client that floods gives it, and the others keep theirs', () => {
  const { waiting, ended, add } = setUp(10, 8)
  const kept = add('quiet')
  for (let i = 0; i < 8; i++) add('flood')
  add('second')
  add('third')
  add('fourth')
  expect(ended).toEqual(['flood2', 'flood3'])
  waiting.remove(kept)
  waiting.remove(kept)
  expect(waiting.size).toBe(9)
})

test('where all have one, the oldest ends', () => {
  const { waiting, ended, add } = setUp(3, 2)
  for (const client of ['a', 'b', 'c', 'd', 'e']) add(client)
  expect(ended).toEqual(['a1', 'b2'])
  expect(waiting.ended).toBe(2)
})

test('counts are right whatever comes and goes', () => {
  const { waiting, add } = setUp(50, 7)
  const open: WaitingQuery[] = []
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  for (let i = 0; i < 5_000; i++) {
    if (random(3) > 0) open.push(add(`client ${random(12)}`))
    else if (open.length > 0) waiting.remove(open.splice(random(open.length), 1)[0]!)
    expect(waiting.size).toBeLessThanOrEqual(50)
  }
  for (const query of open) waiting.remove(query)
  expect(waiting.size).toBe(0)
})

test('all of a client end with it', () => {
  const { waiting, ended, add } = setUp(10, 10)
  add('a')
  add('b')
  add('a')
  waiting.endAll('a')
  waiting.endAll('a')
  expect(ended).toEqual(['a1', 'a3'])
  expect(waiting.size).toBe(1)
})
