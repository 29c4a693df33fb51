import { describe, expect, test } from 'vitest'
import type { RetrySpec } from '../../mesh-config/snapshot.ts'
import { Tiers } from '../support/tiers.ts'
import { ok, respond } from '../support/upstream.ts'

/**
 * Three tiers that each try three times, and the bottom is down: retries of the tiers do not multiply. The
 * applications in between answer in their own words.
 */

const down = respond('HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n')
const policy = { on: ['connect-failure', 'gateway-error'], attempts: 3 } as const
const REQUESTS = 1000

async function amplification(passesOn: readonly string[], retries: Partial<RetrySpec>, requests = REQUESTS) {
  const tiers = await Tiers.start(3, { retries: { ...policy, ...retries }, passesOn, bottom: down })
  const heard = tiers.load(requests / 2, 2)
  expect([...heard]).toEqual([[503, requests]])
  for (const sidecar of tiers.sidecars) expect(sidecar.stat('outrigger_upstream_requests_active')).toBe(0)
  return tiers.atBottom / requests
}

const unlimited = { percent: 100, minPerSecond: 1_000_000 }
/** The minimum is there for quiet services, and counts for ten seconds at once. */
const ofMinimum = (minPerSecond: number) => (10 * minPerSecond) / REQUESTS

describe('the bottom is down', () => {
  test.each(['x-request-id', 'traceparent'])(
    'applications that pass %s on: only the tier above the bottom tries again, within its budget',
    async name => {
      const measured = await amplification([name], { budget: { percent: 20, minPerSecond: 5 } })
      expect(measured).toBeGreaterThan(1.1)
      expect(measured).toBeLessThanOrEqual(1.3)
    },
  )

  test('applications that pass nothing on: each tier has its budget, and they multiply', async () => {
    const measured = await amplification([], { budget: { percent: 20, minPerSecond: 5 } })
    expect(measured).toBeGreaterThan(1.3)
    expect(measured).toBeLessThanOrEqual((1.2 + ofMinimum(5)) ** 3)
  })

  test('without budgets it would be 3 x 3 x 3; with ids passed on the tiers tell each other, and it is 3', async () => {
    expect(await amplification([], { budget: unlimited }, 60)).toBe(27)
    expect(await amplification(['x-request-id'], { budget: unlimited }, 60)).toBe(3)
  })

  test('what is not tried again by default stays 1: an answer of an application', async () => {
    expect(await amplification([], { on: ['connect-failure', 'refused-stream', 'reset-before-response'] })).toBe(1)
  })
})

test('when the bottom is back, nothing is left of it', async () => {
  const tiers = await Tiers.start(3, { retries: policy, passesOn: ['x-request-id'], bottom: down })
  tiers.load(200, 1)
  tiers.bottom = ok
  const before = tiers.atBottom
  expect([...tiers.load(200, 1)]).toEqual([[200, 200]])
  expect(tiers.atBottom - before).toBe(200)
})

test('a bottom of which one instance in three is down costs no request, and the tiers above send theirs once', async () => {
  const tiers = await Tiers.start(3, { retries: policy, passesOn: ['x-request-id'], bottom: ok })
  tiers.sidecars[2]!.upstream('10.0.0.1:20000').answer = down
  expect([...tiers.load(200, 1)]).toEqual([[200, 200]])
  expect(tiers.sidecars.map(sidecar => sidecar.stat('outrigger_retries_total') > 0)).toEqual([false, false, true])
})

test('what an application does for a request that came as a retry may use half of the budget of its sidecar', async () => {
  const sent = async (passesOn: readonly string[]) => {
    const retries = { ...policy, attempts: 2, budget: { percent: 0, minPerSecond: 1 } }
    const tiers = await Tiers.start(2, { retries, passesOn, bottom: down })
    for (let i = 0; i < 20; i++) tiers.ask('x-outrigger-attempt: 2\r\n')
    tiers.loop.advance(500)
    return tiers.atBottom
  }
  // 20 requests, and 5 of the 10 retries.
  expect(await sent(['x-request-id'])).toBe(25)
  // Nothing ties the calls of the application to those requests: the tier above adds 5, and each has 10 below it.
  expect(await sent([])).toBe(25 + 10)
})
