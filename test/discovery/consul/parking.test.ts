import { expect, test } from 'vitest'
import { parking } from '../../../proxy/discovery/consul/parking.ts'
import { virtualTime } from './tape.ts'

const cars = (count: number) => Array.from({ length: count }, () => ({}))

test('half of what the agent allows a host may wait; who has a place keeps it', () => {
  const places = parking(virtualTime().clock)
  const all = cars(150)
  expect(all.filter(places.mayPark)).toEqual(all.slice(0, 100))
  expect(all.map(places.mayPark)).toEqual(all.map((_, i) => i < 100))
  places.leave(all[3]!)
  expect(places.mayPark(all[149]!)).toBe(true)
  expect(places.mayPark(all[3]!)).toBe(false)
})

test.each([
  [200, 100],
  [1_000, 500],
  [0, 1_000],
  [5, 4],
])('where the agent allows %i connections, %i may wait', (allowed, limit) => {
  const places = parking(virtualTime().clock)
  places.allow(allowed)
  expect(places.limit()).toBe(limit)
  expect(cars(2_000).filter(places.mayPark)).toHaveLength(limit)
})

test('when the agent refuses connections half of them leave, once for many refusals, and come back little by little', async () => {
  const time = virtualTime()
  const places = parking(time.clock)
  const all = cars(100)
  all.forEach(places.mayPark)
  for (let i = 0; i < 40; i++) places.crowdedOut()
  expect(places.limit()).toBe(50)
  expect(all.filter(places.mayPark)).toHaveLength(50)
  await time.pass(2_000)
  places.crowdedOut()
  expect(places.limit()).toBe(25)
  for (let i = 0; i < 10; i++) {
    await time.pass(2_000)
    places.crowdedOut()
  }
  expect(places.limit()).toBe(4)
  const counts: number[] = []
  for (let i = 0; i < 6; i++) {
    await time.pass(301_000, 1_000)
    counts.push(all.filter(places.mayPark).length)
  }
  expect(counts).toEqual([8, 16, 32, 64, 100, 100])
})

test('what the agent allows is learnt late, and changes nothing while it refuses', () => {
  const places = parking(virtualTime().clock)
  cars(100).forEach(places.mayPark)
  places.crowdedOut()
  places.allow(1_000)
  expect(places.limit()).toBe(50)
  places.allow(20)
  expect(places.limit()).toBe(10)
})
