import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import type { Timer } from '../../proxy/core/clock.ts'
import { timerWheel } from '../../proxy/system/timer-wheel.ts'
import { EventLoop } from '../support/event-loop.ts'
import { testTurns } from '../support/turns.ts'
import '../support/seed.ts'

const TICK = 10

function wheel(loop = new EventLoop()) {
  let wakes = 0
  const timer = timerWheel(
    () => loop.now,
    (callback, delayMs) => {
      wakes++
      return loop.after(delayMs, callback)
    },
    testTurns,
  )
  return { loop, timer, wakes: () => wakes }
}

test('a thread that was held up looks at what has come before its timers fire', () => {
  let time = 0
  const wakes: (() => void)[] = []
  const timer = timerWheel(
    () => time,
    callback => {
      wakes.push(callback)
      return () => {}
    },
    testTurns,
  )
  const fired: string[] = []
  const answered = timer(() => fired.push('answered in time'))
  answered.arm(100)
  timer(() => fired.push('silent')).arm(100)
  time = 1000
  wakes.pop()!()
  expect(fired).toEqual([])
  answered.cancel()
  wakes.pop()!()
  expect(fired).toEqual(['silent'])
})

describe('a timer', () => {
  test.each([0, 1, 9, 10, 11, 999, 1000, 40_955, 40_960, 40_970, 41_000, 300_000, 3_600_000])(
    'of %i ms fires once, not early, and a tick late at most',
    delay => {
      const { loop, timer } = wheel()
      const fired: number[] = []
      loop.advance(3)
      const start = loop.now
      timer(() => fired.push(loop.now - start)).arm(delay)
      loop.advance(delay + 100_000)
      expect(fired).toHaveLength(1)
      expect(fired[0]).toBeGreaterThanOrEqual(delay)
      expect(fired[0]).toBeLessThanOrEqual(delay + TICK)
    },
  )

  test('that is cancelled does not fire, and may be armed again', () => {
    const { loop, timer } = wheel()
    const callback = vi.fn()
    const one = timer(callback)
    one.arm(100)
    one.cancel()
    one.cancel()
    loop.advance(1000)
    expect(callback).not.toHaveBeenCalled()
    one.arm(100)
    loop.advance(110)
    expect(callback).toHaveBeenCalledOnce()
  })

  test('that is armed again while armed fires at the later time only', () => {
    const { loop, timer } = wheel()
    const fired: number[] = []
    const start = loop.now
    const one = timer(() => fired.push(loop.now - start))
    one.arm(100)
    loop.advance(50)
    one.arm(100)
    loop.advance(10_000)
    expect(fired).toEqual([150])
  })

  test('may arm itself from its own callback, for at once, without holding up the rest', () => {
    const { loop, timer } = wheel()
    let count = 0
    const one = timer(() => {
      if (++count < 1000) one.arm(0)
    })
    one.arm(0)
    loop.settle()
    // At once is a tick later at the latest, not for ever now.
    expect(count).toBeLessThan(3)
    loop.advance(1000 * TICK)
    expect(count).toBe(1000)
  })

  test('may cancel and arm others that are due at the same moment', () => {
    const { loop, timer } = wheel()
    const fired: string[] = []
    const second = timer(() => fired.push('second'))
    const third = timer(() => fired.push('third'))
    const first = timer(() => {
      fired.push('first')
      second.cancel()
      third.cancel()
      third.arm(50)
    })
    second.arm(100)
    third.arm(100)
    first.arm(100)
    loop.advance(1000)
    // Whichever came first in its slot: the first one, when it ran, had its say.
    expect(fired.filter(name => name === 'first')).toEqual(['first'])
    if (fired[0] === 'first') expect(fired).toEqual(['first', 'third'])
  })

  test('of a thousand at the same moment each fires once', () => {
    const { loop, timer } = wheel()
    let count = 0
    for (let i = 0; i < 1000; i++) timer(() => count++).arm(777)
    loop.advance(787)
    expect(count).toBe(1000)
  })
})

describe('the wheel', () => {
  test('sleeps while nothing is armed', () => {
    const { loop, timer, wakes } = wheel()
    const one = timer(() => {})
    one.arm(100)
    loop.advance(200)
    const before = wakes()
    loop.advance(10_000_000)
    expect(wakes()).toBe(before)
  })

  test('a day of sleep is no day of ticks', () => {
    const { loop, timer, wakes } = wheel()
    loop.advance(86_400_000)
    const fired = vi.fn()
    timer(fired).arm(20)
    loop.advance(30)
    expect(fired).toHaveBeenCalledOnce()
    expect(wakes()).toBeLessThan(5)
  })

  test('after a stall of the process everything that fell due fires, once, and the future does not', () => {
    let now = 0
    let wake: (() => void) | null = null
    const timer = timerWheel(
      () => now,
      callback => {
        wake = callback
        return () => {
          if (wake === callback) wake = null
        }
      },
      testTurns,
    )
    const fired: number[] = []
    for (let i = 1; i <= 100; i++) timer(() => fired.push(i)).arm(i * 1000)
    // The first wake-up only lets the event loop look at what has come.
    const stalled = () => {
      wake!()
      wake!()
    }
    now = 60_000
    stalled()
    expect(fired.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
    now = 200_000
    stalled()
    expect(fired).toHaveLength(100)
  })

  test('many timers armed and taken back, as a busy proxy does, wake nobody', () => {
    const { loop, timer, wakes } = wheel()
    const timers = Array.from({ length: 100 }, () => timer(() => {}))
    for (let round = 0; round < 1000; round++) {
      for (const one of timers) one.arm(15_000)
      loop.advance(1)
      for (const one of timers) one.cancel()
    }
    expect(wakes()).toBeLessThan(20)
  })

  test('does what a list of deadlines would do', () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('arm' as const),
        which: fc.nat(7),
        ms: fc.oneof(fc.nat(50), fc.nat(100_000), fc.constantFrom(40_950, 40_960, 81_920)),
      }),
      fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(7), ms: fc.constant(0) }),
      fc.record({
        kind: fc.constant('pass' as const),
        which: fc.constant(0),
        ms: fc.oneof(fc.nat(30), fc.nat(90_000)),
      }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.double({ min: 0, max: 20, noNaN: true }), (steps, offset) => {
        const { loop, timer } = wheel()
        loop.advance(offset)
        const due: (number | null)[] = Array(8).fill(null)
        const timers: Timer[] = due.map((_, i) =>
          timer(() => {
            expect(due[i], `timer ${i} fires though it is not armed`).not.toBeNull()
            expect(loop.now, 'early').toBeGreaterThanOrEqual(due[i]! - 1e-6)
            expect(loop.now, 'late').toBeLessThanOrEqual(due[i]! + TICK + 1)
            due[i] = null
          }),
        )
        for (const { kind, which, ms } of steps) {
          if (kind === 'arm') {
            timers[which]!.arm(ms)
            due[which] = loop.now + ms
          } else if (kind === 'cancel') {
            timers[which]!.cancel()
            due[which] = null
          } else loop.advance(ms)
          for (const at of due) if (at !== null) expect(at + TICK + 1, 'forgotten').toBeGreaterThanOrEqual(loop.now)
        }
        loop.advance(200_000)
        expect(due.every(at => at === null)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})
