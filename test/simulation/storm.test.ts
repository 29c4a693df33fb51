import { describe, expect, test } from 'vitest'
import { metastable, RUN_MS, SPIKE } from './storm/metastable.ts'
import { POLICIES, RETRIED_THREE_TIMES } from './storm/policies.ts'
import { storm } from './storm/tiers.ts'

/**
 * How many requests reach the last of three services for each one of the caller, while it is down: the budget of one hop,
 * 1.2, and the ten a second of each sidecar. The other hops know that it was tried again below.
 */
const MOST = 1.3

const RATE = 200
const FOR_MS = 10_000

describe('the last of three services is down', () => {
  test('without a bound three attempts at each hop make 27 of one request', async () => {
    const naive = POLICIES['three attempts at each hop, nothing bounds them']
    const { amplification } = await storm({ ...naive, rate: 20, forMs: 2000, bottom: 'busy' })
    expect(amplification).toBe(27)
  })

  test('503 is passed on as it comes: it is no failure that retries.on has', async () => {
    const { amplification } = await storm({ policy: {}, rate: RATE, forMs: FOR_MS, bottom: 'busy' })
    expect(amplification).toBe(1)
  })

  test.each(['busy', 'gone'] as const)('%s: budgets bound three attempts at each hop', async bottom => {
    const ours = POLICIES['Outrigger, three attempts, 503 tried again too']
    const { amplification } = await storm({ ...ours, rate: RATE, forMs: 2 * FOR_MS, bottom })
    expect(amplification).toBeLessThan(MOST)
  })
})

describe('a cache is lost while load is four times as much', () => {
  test('retries without a budget keep the store down for good', async () => {
    const { good, recoveredAfterS } = await metastable(RETRIED_THREE_TIMES['Envoy: num_retries 3, no retry budget'])
    expect(recoveredAfterS).toBeNull()
    expect(Math.max(...good.slice(-20)), 'good answers a second, long after').toBe(0)
  })

  test('with the budget it is well again within seconds of the end', async () => {
    const { asked, good, recoveredAfterS } = await metastable(RETRIED_THREE_TIMES['Outrigger, four attempts'])
    expect(recoveredAfterS).toBeLessThanOrEqual(5)
    const since = SPIKE.toMs / 1000 + 5
    expect(good.slice(since, RUN_MS / 1000)).toEqual(asked.slice(since))
  })
})
