import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import { policies } from '../../proxy/balancer/policies.ts'
import type { BalancerPolicy, LoadBalancer, PickContext } from '../../proxy/core/balancer.ts'
import type { Random } from '../../proxy/core/clock.ts'
import type { Endpoint } from '../../proxy/core/endpoint.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { chiSquareScore } from '../support/chi-square.ts'
import { balancerDeps, bareEndpoints, pickContext } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { seeded } from '../support/random.ts'
import '../support/seed.ts'

type Settings = Partial<BalancerSpec>
type Subject = readonly [name: string, policy: BalancerPolicy, settings: Settings]

/** Settings that make a picker of another kind. A new policy is in `policies`, so it is here. */
const variants: Readonly<Record<string, readonly Settings[]>> = {
  least_request: [
    { choices: 3 },
    { choices: 16 },
    { fullScan: 64 },
    { activeRequestBias: 0 },
    { activeRequestBias: 0.5 },
    { activeRequestBias: 2 },
  ],
  ip_hash: [{ hashBalanceFactor: 120 }],
  ring_hash: [{ hashBalanceFactor: 120 }, { minimumRingSize: 1, maximumRingSize: 64 }],
  maglev: [{ hashBalanceFactor: 120 }, { tableSize: 251 }],
  peak_ewma: [{ choices: 3 }, { fullScan: 64 }],
  adaptive: [{ choices: 3 }, { fullScan: 64 }],
}
const subjects: Subject[] = Object.entries(policies).flatMap(([name, policy]) => [
  [name, policy, {}] as Subject,
  ...(variants[name] ?? []).map((settings): Subject => [`${name} ${JSON.stringify(settings)}`, policy, settings]),
])

function keyed(random: Random, tried: readonly Endpoint[] = []): PickContext {
  const context = pickContext(tried)
  context.hash = Math.floor(random() * 2 ** 32)
  return context
}

/** What every policy owes, whatever it prefers. */
describe.each(subjects)('%s', (_name, policy, settings) => {
  const create = (endpoints: readonly Endpoint[], chance: number | Random = 1): LoadBalancer =>
    policy.create(endpoints, balancerDeps(chance, { tableSize: 1021, ...settings }))

  test('picks nothing of nothing', () => {
    expect(create([]).pick(pickContext())).toBeNull()
    expect(create([]).pick(keyed(seeded(1)))).toBeNull()
  })

  test('picks the only one, also when it was tried before', () => {
    const [only] = bareEndpoints([3])
    const picker = create([only!])
    for (const tried of [[], [only!]]) {
      expect(picker.pick(pickContext(tried))).toBe(only)
      expect(picker.pick(keyed(seeded(1), tried))).toBe(only)
    }
  })

  test('picks only what it was given, and leaves it as it is', () => {
    const endpoints = bareEndpoints([1, 2, 3, 4])
    const before = endpoints.map(({ active, state, weight, learntWeight }) => [active, state, weight, learntWeight])
    const picker = create(endpoints, 2)
    const random = seeded(2)
    for (let i = 0; i < 100; i++) {
      expect(endpoints).toContain(picker.pick(pickContext()))
      expect(endpoints).toContain(picker.pick(keyed(random)))
    }
    expect(endpoints.map(({ active, state, weight, learntWeight }) => [active, state, weight, learntWeight])).toEqual(
      before,
    )
  })

  test.each([
    [[1, 1]],
    [[1, 1, 1, 1, 1]],
    [[1, 9]],
    [[1, 2, 3, 4]],
    [[100, 1, 50, 7, 7]],
    [[5, 5, 10]],
    [[0.1, 1, 1]],
    [[0.25, 0.5, 1.75]],
    [Array.from({ length: 50 }, (_, i) => 1 + (i % 3))],
  ])('an idle service is shared out by weight: %j', weights => {
    const endpoints = bareEndpoints(weights)
    const picker = create(endpoints, 42)
    const counts = new Map<Endpoint, number>(endpoints.map(endpoint => [endpoint, 0]))
    const context = pickContext()
    for (let i = 0; i < 2000 * weights.length; i++) {
      const picked = picker.pick(context)!
      counts.set(picked, counts.get(picked)! + 1)
    }
    expect(chiSquareScore([...counts.values()], weights)).toBeLessThan(4)
  })

  test('it is the effective weight that counts, not the configured one', () => {
    const endpoints = bareEndpoints([1, 1])
    endpoints[1]!.weight = 0.25
    const picker = create(endpoints, 42)
    const picks = Array.from({ length: 10_000 }, () => picker.pick(pickContext()))
    expect(
      chiSquareScore(
        [
          picks.filter(picked => picked === endpoints[0]).length,
          picks.filter(picked => picked === endpoints[1]).length,
        ],
        [4, 1],
      ),
    ).toBeLessThan(4)
  })

  test('goes elsewhere as long as there is elsewhere', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 8 }),
        fc.nat(),
        fc.array(fc.nat(7), { maxLength: 8 }),
        fc.boolean(),
        (count, seed, indices, hasKey) => {
          const endpoints = bareEndpoints(Array.from({ length: count }, (_, i) => 1 + (i % 3)))
          const tried = [...new Set(indices)].filter(i => i < count).map(i => endpoints[i]!)
          const picked = create(endpoints, seed).pick(hasKey ? keyed(seeded(seed), tried) : pickContext(tried))!
          expect(endpoints).toContain(picked)
          if (tried.length < count) expect(tried).not.toContain(picked)
        },
      ),
    )
  })

  test('goes elsewhere also when one was tried twice', () => {
    const endpoints = bareEndpoints([1, 1, 1])
    const tried = [endpoints[0]!, endpoints[1]!, endpoints[0]!, endpoints[1]!]
    for (let seed = 0; seed < 50; seed++) {
      expect(create(endpoints, seed).pick(pickContext(tried))).toBe(endpoints[2])
      expect(create(endpoints, seed).pick(keyed(seeded(seed), tried))).toBe(endpoints[2])
    }
  })

  test('any weights give a picker that works', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1e-4, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 }),
        fc.nat(),
        (weights, seed) => {
          const endpoints = bareEndpoints(weights)
          const picker = create(endpoints, seed)
          const random = seeded(seed)
          for (let i = 0; i < 20; i++) {
            expect(endpoints).toContain(picker.pick(pickContext()))
            expect(endpoints).toContain(picker.pick(keyed(random)))
          }
        },
      ),
      { numRuns: 25 },
    )
  })

  test('draws at the very ends of chance stay inside, and so do keys', () => {
    const endpoints = bareEndpoints([1, 2, 3])
    for (const draw of [0, 1 - 2 ** -53, 0.5]) {
      const picker = create(endpoints, () => draw)
      for (let i = 0; i < 10; i++) expect(endpoints).toContain(picker.pick(pickContext()))
      expect(endpoints).toContain(picker.pick(pickContext([endpoints[0]!])))
    }
    const picker = create(endpoints)
    for (const hash of [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1])
      expect(endpoints).toContain(picker.pick({ ...pickContext(), hash }))
  })

  test('a busy picker picks on: nobody is left out for good, and never nobody', () => {
    const endpoints = bareEndpoints([1, 2, 3])
    const picker = create(endpoints, 5)
    const random = seeded(6)
    const seen = new Set<Endpoint>()
    for (let i = 0; i < 3000; i++) {
      const picked = picker.pick(keyed(random))!
      seen.add(picked)
      // One comes, and now and then one goes somewhere.
      picked.active++
      const other = endpoints[i % 3]!
      if (other.active > 0 && random() < 0.9) other.active--
    }
    expect(seen.size).toBe(3)
  })

  test('learning takes what comes, however odd, and keeps picking', () => {
    const loop = new EventLoop()
    const deps = balancerDeps(7, { tableSize: 1021, ...settings }, loop)
    const endpoints = bareEndpoints([1, 2, 3])
    const head = (status: number, pairs: string[] = []) => ({ status, headers: new HeaderList(pairs) })
    for (let round = 0; round < 50; round++) {
      for (const endpoint of endpoints) {
        policy.observe?.(endpoint, 'success', 0, head(200), deps)
        policy.observe?.(endpoint, 'failure', 3, null, deps)
        policy.observe?.(endpoint, 'failure', 1e9, head(503, ['retry-after', 'soon']), deps)
        policy.observe?.(endpoint, 'success', 1, head(429, ['retry-after', '99999999999']), deps)
        policy.observe?.(
          endpoint,
          'success',
          1e-9,
          head(200, ['endpoint-load-metrics', 'JSON {"cpu_utilization": "x"']),
          deps,
        )
        policy.observe?.(endpoint, 'ignorable', Number.MAX_VALUE, null, deps)
      }
      loop.advance(round * 97)
      if (policy.reweigh?.(endpoints, deps))
        for (const endpoint of endpoints) endpoint.weight = endpoint.spec.weight * endpoint.learntWeight
      for (const { learntWeight } of endpoints) expect(learntWeight).toBeGreaterThan(0)
      for (const { learntWeight } of endpoints) expect(learntWeight).toBeLessThan(Number.POSITIVE_INFINITY)
      const picker = policy.create(endpoints, deps)
      for (let i = 0; i < 10; i++) expect(endpoints).toContain(picker.pick(keyed(deps.random)))
    }
  })
})

describe.each(Object.entries(policies).filter(([, { hashes }]) => hashes))('%s goes by the key', (_name, policy) => {
  test('one key, one endpoint: whatever the chance, the order of the endpoints and what happens to them', () => {
    const endpoints = bareEndpoints([1, 2, 3, 1, 5])
    const first = policy.create(endpoints, balancerDeps(1))
    const second = policy.create(endpoints.toReversed(), balancerDeps(2))
    const random = seeded(3)
    for (let i = 0; i < 500; i++) {
      const context = keyed(random)
      const picked = first.pick(context)!
      picked.active++
      expect(second.pick(context)).toBe(picked)
      expect(first.pick(context)).toBe(picked)
    }
  })

  test('one key, one second choice: a retry of the same key goes to the same other endpoint', () => {
    const endpoints = bareEndpoints([1, 1, 1, 1])
    const first = policy.create(endpoints, balancerDeps(1))
    const second = policy.create(endpoints.toReversed(), balancerDeps(2))
    const random = seeded(3)
    const others = new Set<Endpoint>()
    for (let i = 0; i < 300; i++) {
      const { hash } = keyed(random)
      const own = first.pick({ ...pickContext(), hash })!
      const other = first.pick({ ...pickContext([own]), hash })!
      expect(second.pick({ ...pickContext([own]), hash })).toBe(other)
      if (own === endpoints[0]) others.add(other)
    }
    // What one cannot take is spread over all.
    expect(others.size).toBe(3)
  })
})
