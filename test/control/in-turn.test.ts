import { expect, test } from 'vitest'
import { inTurn } from '../../proxy/control/in-turn.ts'

test('one after the other, in order; what fails fails alone', async () => {
  const turn = inTurn()
  const seen: string[] = []
  const work = (name: string) => async () => {
    seen.push(`${name} begins`)
    await new Promise(resolve => setImmediate(resolve))
    seen.push(`${name} ends`)
    if (name === 'b') throw new Error('b is broken')
    return name
  }
  const results = await Promise.allSettled(['a', 'b', 'c'].map(name => turn(work(name))))
  expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  expect(results.map(result => (result.status === 'fulfilled' ? result.value : String(result.reason)))).toEqual([
    'a',
    'Error: b is broken',
    'c',
  ])
})
