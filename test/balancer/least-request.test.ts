import { describe, expect, test } from 'vitest'
import { leastRequest } from '../../proxy/balancer/least-request.ts'
import { chiSquareScore } from '../support/chi-square.ts'
import { bareEndpoints, pickContext } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { seeded } from '../support/random.ts'

describe('least_request', () => {
  test('of two endpoints the busier is never picked', () => {
    const [a, b] = bareEndpoints([1, 1])
    const picker = leastRequest([a!, b!], seeded(3))
    a!.active = 1
    for (let i = 0; i < 1000; i++) expect(picker.pick(pickContext())).toBe(b)
  })

  test('load counts by weight: ten requests of weight ten are as busy as one of weight one', () => {
    const [a, b] = bareEndpoints([10, 1])
    const picker = leastRequest([a!, b!], seeded(3))
    a!.active = 9
    b!.active = 1
    for (let i = 0; i < 200; i++) expect(picker.pick(pickContext())).toBe(a)
    a!.active = 11
    for (let i = 0; i < 200; i++) expect(picker.pick(pickContext())).toBe(b)
  })

  test('each pair is compared as often as any other', () => {
    const endpoints = bareEndpoints([1, 1, 1, 1])
    const picker = leastRequest(endpoints, seeded(5))
    const pairs = new Map<string, number>()
    for (let i = 0; i < 60_000; i++) {
      const context = pickContext()
      const picked = picker.pick(context)!
      const pair = [endpoints.indexOf(picked), endpoints.indexOf(context.record.other!)].toSorted().join()
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
    }
    expect(pairs.size).toBe(6)
    expect(chiSquareScore([...pairs.values()], Array(6).fill(1))).toBeLessThan(4)
  })

  test('the record says between whom it was, and with which loads', () => {
    const [a, b] = bareEndpoints([1, 1])
    a!.active = 7
    b!.active = 2
    const context = pickContext()
    expect(leastRequest([a!, b!], seeded(1)).pick(context)).toBe(b)
    expect(context.record).toMatchObject({ other: a, load: 2, otherLoad: 7 })
  })

  /** Judged by what it is for: one slow endpoint among ten, on virtual time. */
  test('a slow endpoint gets little, and requests hardly ever wait for it', () => {
    const loop = new EventLoop()
    const random = seeded(11)
    const endpoints = bareEndpoints(Array<number>(10).fill(1))
    const picker = leastRequest(endpoints, random)
    const served = Array<number>(10).fill(0)
    let most = 0
    for (let i = 0; i < 20_000; i++) {
      const endpoint = picker.pick(pickContext())!
      const index = endpoints.indexOf(endpoint)
      endpoint.active++
      served[index]!++
      most = Math.max(most, endpoint.active)
      loop.after(index === 0 ? 500 : 10, () => endpoint.active--)
      // A thousand requests a second: ten are under way when all is well.
      loop.advance(1)
    }
    // Round robin would send a tenth there, and a hundred requests would pile up.
    expect(served[0]! / 20_000).toBeLessThan(0.02)
    expect(most).toBeLessThan(12)
    expect(chiSquareScore(served.slice(1), Array(9).fill(1))).toBeLessThan(4)
  })
})
