import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BreakerSpec } from '../../mesh-config/snapshot.ts'
import { BREAKER_WORDS, Breaker } from '../../proxy/cluster/breaker.ts'
import { seeded } from '../support/random.ts'

const SPEC: BreakerSpec = {
  errorPercent: 50,
  slowCallMs: 0,
  slowPercent: 50,
  windowMs: 10_000,
  volume: 10,
  openMs: 5_000,
  maxOpenMs: 60_000,
  jitterPercent: 0,
  probes: 3,
}

/** The breaker of as many data threads over one cell. */
function breakers(count: number, overrides: Partial<BreakerSpec> = {}) {
  const words = new Int32Array(new SharedArrayBuffer(BREAKER_WORDS * 4))
  const said: string[] = []
  const all = Array.from(
    { length: count },
    (_, thread) =>
      new Breaker(
        { ...SPEC, ...overrides },
        {
          cell: { words, close() {} },
          random: seeded(thread + 1),
          changed: (to, why, forMs) => void said.push(`${to}${to === 'open' ? ` ${forMs}` : ''}: ${why}`),
        },
      ),
  )
  return { all, first: all[0]!, said }
}

const answer = (breaker: Breaker, now: number, failed = false) => breaker.ended(now, now - 1, failed)

describe('a breaker', () => {
  test('opens at the share of failures, once there is the volume, and says the numbers', () => {
    const { first, said } = breakers(1)
    for (let i = 0; i < 9; i++) answer(first, 100, true)
    expect(first.state).toBe('closed')
    answer(first, 100, true)
    expect(first.state).toBe('open')
    expect(said).toEqual(['open 5000: 10 of 10 answers (100 %) failed (limit 50 %) within 10 s'])
    expect([first.admit(200), first.refuses(200), first.leftMs(100)]).toEqual([false, true, 5000])
  })

  test('stays closed below the share', () => {
    const { first } = breakers(1)
    for (let i = 0; i < 100; i++) answer(first, i, (i % 9) % 2 === 1)
    expect(first.state).toBe('closed')
    expect(first.seen(100)).toEqual({ answers: 100, failed: 44, slow: 0 })
  })

  test('forgets what is older than the window', () => {
    const { first } = breakers(1)
    for (let i = 0; i < 9; i++) answer(first, 1000, true)
    answer(first, 11_500, true)
    expect(first.state).toBe('closed')
    expect(first.seen(11_500)).toEqual({ answers: 1, failed: 1, slow: 0 })
    expect(first.seen(40_000)).toEqual({ answers: 0, failed: 0, slow: 0 })
  })

  test('opens at the share of slow answers', () => {
    const { first, said } = breakers(1, { slowCallMs: 1000 })
    for (let i = 0; i < 10; i++) {
      first.took(100, i < 5 ? 1000 : 999)
      answer(first, 100)
    }
    // Judged with the next slow one: answers that are quick make nothing worse.
    first.took(100, 1500)
    expect(first.state).toBe('open')
    expect(said).toEqual(['open 5000: 6 of 10 answers (60 %) were slow (limit 50 %) within 10 s'])
  })

  test('is probed by so many requests, and closes when they went well', () => {
    const { first, said } = breakers(1)
    for (let i = 0; i < 10; i++) answer(first, 0, true)
    expect(first.admit(4_999)).toBe(false)
    expect([first.admit(5_000), first.admit(5_000), first.admit(5_000), first.admit(5_001)]).toEqual([
      true,
      true,
      true,
      false,
    ])
    expect(first.state).toBe('half-open')
    // Of a request that began before: it shows nothing of the present.
    first.ended(5_002, 4_000, true)
    for (let i = 0; i < 3; i++) first.ended(5_010, 5_000, i === 0)
    expect(first.state).toBe('closed')
    expect(first.seen(5_010)).toEqual({ answers: 0, failed: 0, slow: 0 })
    expect(said.slice(1)).toEqual(['half-open: 3 requests probe', 'closed: 3 probes went well'])
  })

  test('opens for twice as long when the probes fail, up to a limit, and begins anew once it was closed', () => {
    const { first, said } = breakers(1, { maxOpenMs: 18_000 })
    let now = 0
    for (let i = 0; i < 10; i++) answer(first, now, true)
    for (let round = 0; round < 3; round++) {
      now += first.leftMs(now)
      expect(first.admit(now)).toBe(true)
      expect(first.admit(now)).toBe(true)
      first.ended(now, now, true)
      first.ended(now, now, true)
    }
    expect(said.filter(text => text.startsWith('open')).map(text => Number.parseInt(text.slice(5), 10))).toEqual([
      5_000, 10_000, 18_000, 18_000,
    ])
    now += first.leftMs(now)
    for (let i = 0; i < 3; i++) first.admit(now)
    for (let i = 0; i < 3; i++) first.ended(now, now, false)
    for (let i = 0; i < 10; i++) answer(first, now + 1, true)
    expect(first.leftMs(now + 1)).toBe(5_000)
  })

  test('opens again when the probes are slow', () => {
    const { first } = breakers(1, { slowCallMs: 1000 })
    for (let i = 0; i < 10; i++) answer(first, 0, true)
    for (let i = 0; i < 3; i++) first.admit(5_000)
    first.took(6_100, 1_100)
    expect(first.state).toBe('half-open')
    first.took(6_200, 1_200)
    expect(first.state).toBe('open')
  })

  test('lets others probe when the probes come to nothing', () => {
    const { first } = breakers(1)
    for (let i = 0; i < 10; i++) answer(first, 0, true)
    for (let i = 0; i < 3; i++) first.admit(5_000)
    expect([first.admit(9_999), first.refuses(9_999), first.refuses(10_000)]).toEqual([false, true, false])
    expect(first.admit(10_000)).toBe(true)
    // A late answer of the first round counts for nothing.
    for (let i = 0; i < 3; i++) first.ended(10_001, 5_000, true)
    expect(first.state).toBe('half-open')
  })

  test('opens for a time within the jitter', () => {
    const { first } = breakers(1, { jitterPercent: 10 })
    const times: number[] = []
    let now = 0
    for (let i = 0; i < 10; i++) answer(first, now, true)
    for (let i = 0; i < 200; i++) {
      times.push(first.leftMs(now))
      now += first.leftMs(now)
      for (let probe = 0; probe < 3; probe++) first.admit(now)
      for (let probe = 0; probe < 3; probe++) first.ended(now, now, false)
      for (let failed = 0; failed < 10; failed++) answer(first, now + 1, true)
      now += 1
    }
    expect(Math.min(...times)).toBeLessThan(4_700)
    expect(Math.max(...times)).toBeGreaterThan(5_300)
    for (const ms of times) expect(Math.abs(ms - 5_000)).toBeLessThanOrEqual(500)
  })

  test('goes on over the turn of the 32-bit clock', () => {
    const { first } = breakers(1)
    const late = 2 ** 31 - 1000
    for (let i = 0; i < 10; i++) answer(first, late, true)
    expect([first.leftMs(late + 2000), first.admit(late + 4_999), first.admit(late + 5_000)]).toEqual([
      3_000,
      false,
      true,
    ])
  })
})

describe('over data threads', () => {
  test('a breaker is one', () => {
    const { all, said } = breakers(2)
    const [first, second] = all as [Breaker, Breaker]
    for (let i = 0; i < 10; i++) answer(i % 2 === 0 ? first : second, 100, true)
    expect([first.state, second.state, said.length]).toEqual(['open', 'open', 1])
    expect([first, second, first, second].map(one => one.admit(5_100))).toEqual([true, true, true, false])
    for (const one of [second, second, first]) one.ended(5_200, 5_100, false)
    expect([first.state, said.length]).toEqual(['closed', 3])
  })

  test('whatever comes: as many probes as there may be, nothing while it is open, and every change is told once', () => {
    const step = fc.record({
      thread: fc.nat(2),
      what: fc.constantFrom('admit', 'good', 'bad', 'slow'),
      passes: fc.constantFrom(0, 0, 1, 50, 900, 4_000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 1, max: 5 }), (steps, probes) => {
        const { all, said } = breakers(3, { probes, slowCallMs: 100, volume: 3 })
        let now = 1000
        let round = ''
        let admitted = 0
        const changes = () => said.length
        for (const { thread, what, passes } of steps) {
          now += passes
          const breaker = all[thread]!
          const before = breaker.state
          const left = breaker.leftMs(now)
          const refuses = breaker.refuses(now)
          if (what === 'admit') {
            const isIn = breaker.admit(now)
            expect(isIn).toBe(!refuses)
            if (before === 'open') expect(isIn).toBe(left === 0)
            if (before === 'closed') expect(isIn).toBe(true)
            const since = `${changes()}`
            if (since !== round || now - lastRound >= SPEC.openMs) {
              if (since !== round) admitted = 0
              round = since
            }
            if (breaker.state === 'half-open' && isIn) {
              if (now - lastRound >= SPEC.openMs) {
                lastRound = now
                admitted = 0
              }
              expect(++admitted).toBeLessThanOrEqual(probes)
            }
          } else {
            if (what === 'slow') breaker.took(now, 100)
            breaker.ended(now, now, what === 'bad')
          }
          expect(new Set(all.map(one => one.state)).size).toBe(1)
        }
        for (let i = 1; i < said.length; i++) {
          const [from, to] = [said[i - 1]!, said[i]!].map(text => text.split(/[ :]/)[0])
          expect(['open half-open', 'half-open open', 'half-open closed', 'closed open']).toContain(`${from} ${to}`)
        }
      }),
      { numRuns: 300 },
    )
  })
})

let lastRound = Number.NEGATIVE_INFINITY
