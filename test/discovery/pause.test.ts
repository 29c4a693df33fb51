import { expect, test } from 'vitest'
import { backOffMs, pause } from '../../proxy/discovery/pause.ts'
import { seeded } from '../support/random.ts'
import { virtualTime } from './consul/tape.ts'

test('back-off begins at once, doubles, ends at its cap, and is never the same twice', () => {
  const random = seeded(7)
  for (let failures = 1; failures < 200; failures++) {
    const delays = Array.from({ length: 50 }, () => backOffMs(failures, 30_000, random))
    const [least, most] =
      failures === 1
        ? [50, 250]
        : [Math.min(30_000, 1_000 * 2 ** (failures - 2)) / 2, Math.min(30_000, 1_000 * 2 ** (failures - 2))]
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(least)
    expect(Math.max(...delays)).toBeLessThanOrEqual(most)
    expect(new Set(delays).size).toBeGreaterThan(40)
  }
})

test('a pause ends with its time, with its signal, or at once when there is nothing to wait for', async () => {
  const { clock, pass } = virtualTime()
  const ended: string[] = []
  const end = new AbortController()
  void pause(clock, 1_000, end.signal).then(() => ended.push('time'))
  void pause(clock, 5_000, end.signal).then(() => ended.push('signal'))
  void pause(clock, 0, end.signal).then(() => ended.push('nothing'))
  await pass(990)
  expect(ended).toEqual(['nothing'])
  await pass(20)
  expect(ended).toEqual(['nothing', 'time'])
  end.abort()
  await pass(0)
  expect(ended).toEqual(['nothing', 'time', 'signal'])
  void pause(clock, 5_000, end.signal).then(() => ended.push('was over'))
  await pass(0)
  expect(ended.at(-1)).toBe('was over')
})
