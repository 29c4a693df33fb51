import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { policies } from '../../proxy/balancer/policies.ts'
import type { Endpoint } from '../../proxy/core/endpoint.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { balancerDeps, bareEndpoints, pickContext } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { seeded } from '../support/random.ts'
import '../support/seed.ts'

const hashing = ['ip_hash', 'ring_hash', 'maglev'] as const

describe.each(hashing)('%s with a bound on load', type => {
  const { create, observe } = policies[type]

  /**
   * Requests by a few hot keys, most of them long: the highest that each endpoint's load ever was, against what the
   * bound allowed just then.
   */
  function excess(weights: readonly number[], hashBalanceFactor: number, slack: number, seed: number): number {
    const random = seeded(seed)
    const endpoints = bareEndpoints(weights)
    const whole = weights.reduce((sum, weight) => sum + weight, 0)
    const picker = create(endpoints, balancerDeps(seed, { tableSize: 1021, hashBalanceFactor }))
    const running: Endpoint[] = []
    const context = pickContext()
    let worst = Number.NEGATIVE_INFINITY
    for (let i = 0; i < 3000; i++) {
      context.hash = Math.floor(random() ** 6 * 1000)
      const picked = picker.pick(context)!
      picked.active++
      running.push(picked)
      const share = picked.weight / whole
      const allowed = Math.max(1, Math.ceil((running.length + slack) * share * (hashBalanceFactor / 100)))
      worst = Math.max(worst, picked.active - allowed)
      while (running.length > 60 || (running.length > 0 && random() < 0.4))
        running.splice(Math.floor(random() * running.length), 1)[0]!.active--
    }
    return worst
  }

  test.each([100, 110, 150, 300])(
    'no endpoint has more than %i percent of its share, whatever is asked for',
    factor => {
      for (const weights of [
        [1, 1],
        [1, 1, 1, 1, 1],
        [1, 2, 3, 4],
        [5, 1, 1, 0.5],
      ])
        expect(excess(weights, factor, 0, 7)).toBeLessThanOrEqual(0)
    },
  )

  test.each([4, 100])('a key stays at home while the bound allows it, %i endpoints', count => {
    const endpoints = bareEndpoints(Array<number>(count).fill(1))
    const unbounded = create(endpoints, balancerDeps(1))
    const picker = create(endpoints, balancerDeps(1, { hashBalanceFactor: 150 }))
    for (const endpoint of endpoints) endpoint.active = 10
    const random = seeded(5)
    // Of 100 endpoints some are seen anew at each pick.
    for (let i = 0; i < 20; i++) picker.pick({ ...pickContext(), hash: i })
    for (let i = 0; i < 100; i++) {
      const context = { ...pickContext(), hash: Math.floor(random() * 2 ** 32) }
      const home = unbounded.pick(context)!
      home.active = 14
      expect(picker.pick(context)).toBe(home)
      home.active = 30
      expect(picker.pick(context)).not.toBe(home)
      home.active = 10
    }
  })

  test('with many endpoints the sum lags behind by an eighth of a request an endpoint, at most', () => {
    expect(excess(Array<number>(40).fill(1), 125, 5, 7)).toBeLessThanOrEqual(0)
  })

  test('without a bound hot keys pile up', () => {
    const endpoints = bareEndpoints([1, 1, 1, 1])
    const picker = create(endpoints, balancerDeps(1))
    for (let i = 0; i < 100; i++) picker.pick({ ...pickContext(), hash: 4711 })!.active++
    expect(Math.max(...endpoints.map(({ active }) => active))).toBe(100)
  })

  test('a key that is passed on goes home again; the record says whose it is and why', () => {
    const endpoints = bareEndpoints([1, 1, 1, 1])
    const picker = create(endpoints, balancerDeps(1, { hashBalanceFactor: 150 }))
    const context = { ...pickContext(), hash: 4711 }
    const home = picker.pick(context)!
    expect(context.record.other).toBeNull()
    home.active = 10
    const other = picker.pick(context)!
    expect(other).not.toBe(home)
    expect(context.record).toMatchObject({ other: home, load: 0, otherLoad: 10 })
    // The same one each time.
    for (let i = 0; i < 10; i++) expect(picker.pick(context)).toBe(other)
    home.active = 0
    expect(picker.pick(context)).toBe(home)
  })

  test('when all are full the least loaded takes it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 50, max: 90 }), { minLength: 2, maxLength: 6 }),
        fc.nat(0xffffffff),
        (actives, hash) => {
          const loop = new EventLoop()
          const deps = balancerDeps(1, { hashBalanceFactor: 100, tableSize: 1021 }, loop)
          const endpoints = bareEndpoints(actives.map(() => 1))
          endpoints.forEach((endpoint, i) => {
            endpoint.active = actives[i]!
            // Failures count as requests, so that nobody is below the bound.
            for (let k = 0; k < 200; k++) observe!(endpoint, 'failure', 1, null, deps)
          })
          const picked = create(endpoints, deps).pick({ ...pickContext(), hash })!
          expect(picked.active).toBe(Math.min(...actives))
        },
      ),
      { numRuns: 50 },
    )
  })

  test('nothing is learnt where nothing is bounded', () => {
    const [endpoint] = bareEndpoints([1])
    observe!(endpoint!, 'failure', 1, { status: 503, headers: new HeaderList([]) }, balancerDeps())
    expect(endpoint!.load.failing).toBe(0)
    observe!(endpoint!, 'failure', 1, null, balancerDeps(1, { hashBalanceFactor: 120 }))
    expect(endpoint!.load.failing).toBeGreaterThan(0)
  })
})

describe.each(hashing)('%s spreads keys', type => {
  test('near the weights', () => {
    const weights = [1, 2, 3, 4]
    const endpoints = bareEndpoints(weights)
    const picker = policies[type].create(endpoints, balancerDeps(1))
    const random = seeded(3)
    const counts = endpoints.map(() => 0)
    for (let i = 0; i < 50_000; i++)
      counts[endpoints.indexOf(picker.pick({ ...pickContext(), hash: Math.floor(random() * 2 ** 32) })!)]!++
    counts.forEach((count, i) => {
      expect(count / 50_000 / (weights[i]! / 10)).toBeGreaterThan(type === 'ring_hash' ? 0.85 : 0.97)
      expect(count / 50_000 / (weights[i]! / 10)).toBeLessThan(type === 'ring_hash' ? 1.15 : 1.03)
    })
  })

  test('and the keys of one that was tried over all others', () => {
    const endpoints = bareEndpoints(Array<number>(5).fill(1))
    const picker = policies[type].create(endpoints, balancerDeps(1))
    const random = seeded(3)
    const counts = endpoints.map(() => 0)
    for (let i = 0; i < 20_000; i++) {
      const hash = Math.floor(random() * 2 ** 32)
      if (picker.pick({ ...pickContext(), hash }) !== endpoints[0]) continue
      counts[endpoints.indexOf(picker.pick({ ...pickContext([endpoints[0]!]), hash })!)]!++
    }
    expect(counts[0]).toBe(0)
    const whole = counts.reduce((sum, count) => sum + count, 0)
    for (const count of counts.slice(1)) {
      expect(count / whole).toBeGreaterThan(0.2)
      expect(count / whole).toBeLessThan(0.3)
    }
  })
})
