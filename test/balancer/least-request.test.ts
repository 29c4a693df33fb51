import { describe, expect, test } from 'vitest'
import { leastRequest } from '../../proxy/balancer/least-request.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { chiSquareScore } from '../support/chi-square.ts'
import { balancerDeps, bareEndpoints, pickContext } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { traffic } from './traffic.ts'

describe('least_request', () => {
  test('of two endpoints the busier is never picked', () => {
    const [a, b] = bareEndpoints([1, 1])
    const picker = leastRequest.create([a!, b!], balancerDeps(3))
    a!.active = 1
    for (let i = 0; i < 1000; i++) expect(picker.pick(pickContext())).toBe(b)
  })

  test('load counts by weight: an endpoint is taken if it would be no busier than the other even with this request', () => {
    const [a, b] = bareEndpoints([10, 1])
    const picker = leastRequest.create([a!, b!], balancerDeps(3))
    const picks = (activeA: number, activeB: number) => {
      a!.active = activeA
      b!.active = activeB
      return new Set(Array.from({ length: 300 }, () => picker.pick(pickContext())))
    }
    expect(picks(9, 1)).toEqual(new Set([a]))
    // 1.1 against 1, but b would have 2: as in an idle service, the weight decides.
    expect(picks(11, 1)).toEqual(new Set([a, b]))
    expect(picks(20, 1)).toEqual(new Set([b]))
  })

  test('a light endpoint gets its share of a service that is hardly busy, and not every second request', () => {
    const { shares } = traffic('least_request', {
      weights: [99, 1],
      requestsPerSecond: 200,
      seconds: 100,
      reply: (_index, _atMs, chance) => ({ afterMs: 10 * chance(), status: 200 }),
    })
    expect(shares[1]).toBeGreaterThan(0.006)
    expect(shares[1]).toBeLessThan(0.014)
  })

  test.each([20, 300, 3000])('weights under load, %i requests a second', requestsPerSecond => {
    const weights = [1, 2, 3]
    const { shares } = traffic('least_request', {
      weights,
      requestsPerSecond,
      seconds: 12_000 / requestsPerSecond,
      reply: (_index, _atMs, chance) => ({ afterMs: 10 * chance(), status: 200 }),
    })
    shares.forEach((share, i) => {
      expect(share / (weights[i]! / 6)).toBeGreaterThan(0.8)
      expect(share / (weights[i]! / 6)).toBeLessThan(1.2)
    })
  })

  test('each pair is compared as often as any other', () => {
    const endpoints = bareEndpoints([1, 1, 1, 1])
    const picker = leastRequest.create(endpoints, balancerDeps(5))
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
    for (const settings of [{}, { fullScan: 2 }]) {
      const context = pickContext()
      expect(leastRequest.create([a!, b!], balancerDeps(1, settings)).pick(context)).toBe(b)
      expect(context.record).toMatchObject({ other: a, load: 2, otherLoad: 7 })
    }
  })

  /** Judged by what it is for: one slow endpoint among ten, on virtual time. */
  test('a slow endpoint gets little, and requests hardly ever wait for it', () => {
    const loop = new EventLoop()
    const endpoints = bareEndpoints(Array<number>(10).fill(1))
    const picker = leastRequest.create(endpoints, balancerDeps(11, {}, loop))
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

describe('choices and fullScan', () => {
  const loads = [5, 3, 8, 1, 9, 4, 7, 6]

  /** How often each of eight differently busy endpoints is picked. */
  function counts(settings: { choices?: number; fullScan?: number }): number[] {
    const endpoints = bareEndpoints(loads.map(() => 1))
    endpoints.forEach((endpoint, i) => {
      endpoint.active = loads[i]!
    })
    const picker = leastRequest.create(endpoints, balancerDeps(17, settings))
    const picked = endpoints.map(() => 0)
    for (let i = 0; i < 20_000; i++) picked[endpoints.indexOf(picker.pick(pickContext())!)]!++
    return picked
  }

  test.each([2, 3, 5, 7])(
    '%i choices: each set of so many is as likely as any other, and the least busy of it is taken',
    choices => {
      const binomial = (n: number, k: number): number => (k === 0 ? 1 : (binomial(n - 1, k - 1) * n) / k)
      const rank = (load: number) => loads.filter(other => other > load).length
      const shares = loads.map(load => (rank(load) < choices - 1 ? 0 : binomial(rank(load), choices - 1)))
      const picked = counts({ choices })
      const likely = shares.map((_, i) => i).filter(i => shares[i]! > 0)
      for (const [i, count] of picked.entries()) if (!likely.includes(i)) expect(count).toBe(0)
      expect(
        chiSquareScore(
          likely.map(i => picked[i]!),
          likely.map(i => shares[i]!),
        ),
      ).toBeLessThan(4)
    },
  )

  test('as many choices as endpoints, and a full scan: always the least busy', () => {
    expect(counts({ choices: 8 })[3]).toBe(20_000)
    expect(counts({ choices: 16 })[3]).toBe(20_000)
    expect(counts({ fullScan: 8 })[3]).toBe(20_000)
    expect(counts({ fullScan: 7 })[3]).toBeLessThan(10_000)
  })

  test('the record of a full scan names another one than was picked, also among equals', () => {
    const endpoints = bareEndpoints([1, 1, 1])
    endpoints[1]!.active = 3
    const picker = leastRequest.create(endpoints, balancerDeps(23, { fullScan: 3 }))
    for (let i = 0; i < 100; i++) {
      const context = pickContext()
      const picked = picker.pick(context)
      expect([endpoints[0], endpoints[2]]).toContain(picked)
      expect(context.record.other).not.toBe(picked)
      expect(context.record.load).toBe(0)
    }
  })

  test('a full scan breaks ties fairly, wherever in the list they are, and by weight', () => {
    for (const [weights, least] of [
      [
        [1, 1, 1, 1, 1],
        [1, 2],
      ],
      [
        [1, 1, 1, 1, 1],
        [0, 3, 4],
      ],
      [
        [1, 2, 3, 1, 1],
        [0, 1, 2, 3, 4],
      ],
    ] as const) {
      const endpoints = bareEndpoints(weights)
      for (const [i, endpoint] of endpoints.entries())
        endpoint.active = (least as readonly number[]).includes(i) ? 0 : 9
      const picker = leastRequest.create(endpoints, balancerDeps(23, { fullScan: 5 }))
      const picked = endpoints.map(() => 0)
      for (let i = 0; i < 20_000; i++) picked[endpoints.indexOf(picker.pick(pickContext())!)]!++
      expect(
        chiSquareScore(
          least.map(i => picked[i]!),
          least.map(i => weights[i]!),
        ),
      ).toBeLessThan(4)
    }
  })
})

describe('activeRequestBias', () => {
  test('0: only the weight counts', () => {
    const endpoints = bareEndpoints([1, 3])
    endpoints[0]!.active = 1000
    const picker = leastRequest.create(endpoints, balancerDeps(5, { activeRequestBias: 0 }))
    const picks = Array.from({ length: 10_000 }, () => endpoints.indexOf(picker.pick(pickContext())!))
    expect(chiSquareScore([picks.filter(i => i === 0).length, picks.filter(i => i === 1).length], [1, 3])).toBeLessThan(
      4,
    )
  })

  test('between 0 and 1: for that part of the picks', () => {
    const endpoints = bareEndpoints([1, 1])
    endpoints[0]!.active = 1000
    const picker = leastRequest.create(endpoints, balancerDeps(5, { activeRequestBias: 0.4 }))
    const busier = Array.from({ length: 20_000 }, () => picker.pick(pickContext())).filter(
      picked => picked === endpoints[0],
    ).length
    expect(chiSquareScore([busier, 20_000 - busier], [0.5 * 0.6, 1 - 0.5 * 0.6])).toBeLessThan(4)
  })

  test('above 1: requests count for more than weight', () => {
    // Thirty requests at weight 10 against four at weight 1: lighter for its weight, until requests count twice.
    const endpoints = bareEndpoints([10, 1])
    endpoints[0]!.active = 30
    endpoints[1]!.active = 4
    const pickedBy = (activeRequestBias: number) => {
      const picker = leastRequest.create(endpoints, balancerDeps(5, { activeRequestBias }))
      return new Set(Array.from({ length: 300 }, () => picker.pick(pickContext())))
    }
    expect(pickedBy(1)).toEqual(new Set([endpoints[0]]))
    expect(pickedBy(2)).toEqual(new Set([endpoints[1]]))
  })

  test('nothing changes between equal weights', () => {
    const [a, b] = bareEndpoints([2, 2])
    a!.active = 4
    b!.active = 5
    const picker = leastRequest.create([a!, b!], balancerDeps(3, { activeRequestBias: 3 }))
    for (let i = 0; i < 500; i++) expect(picker.pick(pickContext())).toBe(a)
  })
})

describe('failures', () => {
  const unavailable = { status: 503, headers: new HeaderList([]) }

  /** Whether the first of two idle endpoints is ever picked, so long after it failed once. */
  function isPickedAfter(
    elapsedMs: number,
    head: { status: number; headers: HeaderList } | null,
    settings = {},
  ): boolean {
    const loop = new EventLoop()
    const deps = balancerDeps(3, settings, loop)
    const [a, b] = bareEndpoints([1, 1])
    const picker = leastRequest.create([a!, b!], deps)
    leastRequest.observe!(a!, 'failure', 0.5, head, deps)
    loop.advance(elapsedMs)
    return Array.from({ length: 100 }, () => picker.pick(pickContext())).includes(a!)
  }

  test('a failed request counts as one under way for as long as the penalty says', () => {
    expect(isPickedAfter(0, null)).toBe(false)
    expect(isPickedAfter(4990, null)).toBe(false)
    expect(isPickedAfter(5010, null)).toBe(true)
    expect(isPickedAfter(1990, unavailable, { failurePenaltyMs: 2000 })).toBe(false)
    expect(isPickedAfter(2010, unavailable, { failurePenaltyMs: 2000 })).toBe(true)
    expect(isPickedAfter(0, null, { failurePenaltyMs: 0 })).toBe(true)
  })

  test('or its Retry-After', () => {
    const tooMany = { status: 429, headers: new HeaderList(['Retry-After', '60']) }
    expect(isPickedAfter(59_990, tooMany)).toBe(false)
    expect(isPickedAfter(60_010, tooMany)).toBe(true)
  })

  test('the record counts it too', () => {
    const deps = balancerDeps(3)
    const [a, b] = bareEndpoints([1, 1])
    leastRequest.observe!(a!, 'failure', 0.5, null, deps)
    const context = pickContext()
    expect(leastRequest.create([a!, b!], deps).pick(context)).toBe(b)
    expect(context.record).toMatchObject({ other: a, load: 0, otherLoad: 3 })
  })

  test('what is forgotten costs nothing any more', () => {
    const loop = new EventLoop()
    const deps = balancerDeps(3, {}, loop)
    const [a, b] = bareEndpoints([1, 1])
    leastRequest.observe!(a!, 'failure', 0.5, null, deps)
    loop.advance(60_000)
    leastRequest.create([a!, b!], deps).pick(pickContext())
    expect(a!.load.failing).toBe(0)
  })
})
