import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { retryAfterMs } from '../../proxy/balancer/retry-after.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { parseRetryAfter } from '../../proxy/core/retry-after.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import '../support/seed.ts'

const now = Date.UTC(2026, 10, 21, 7, 54, 36)

describe('Retry-After', () => {
  test.each([
    ['0', 0],
    ['1', 1000],
    ['120', 120_000],
    ['300', 300_000],
    ['301', 300_000],
    ['99999999999', 300_000],
    // The three forms of a date (RFC 9110 section 5.6.7).
    ['Sat, 21 Nov 2026 07:55:06 GMT', 30_000],
    ['Saturday, 21-Nov-26 07:55:06 GMT', 30_000],
    ['Sat Nov 21 07:55:06 2026', 30_000],
    // What is over, and what is far away.
    ['Sat, 21 Nov 2026 07:54:00 GMT', 0],
    ['Sun, 22 Nov 2026 07:54:36 GMT', 300_000],
  ])('%s', (value, expected) => {
    expect(parseRetryAfter(value, now)).toBe(expected)
  })

  test.each([
    '',
    ' ',
    '-1',
    '+5',
    '1.5',
    '1e3',
    '0x10',
    '5, 10',
    '5s',
    'soon',
    'NaN',
    'Infinity',
    '2026-11-21T07:55:06Z',
    'Sat, 99 Nov 2026 07:55:06 GMT',
    'Sat, 21 Nov 2026 07:55:06 +0100',
    'Sat, 21 Nov 2026 07:55:06 GMT, 5',
    '9999999999999999',
    `Sat, ${'1'.repeat(5000)}`,
  ])('nonsense is no answer: %j', value => {
    expect(parseRetryAfter(value, now)).toBe(-1)
  })

  test('whatever comes, it is -1 or a time within five minutes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(Mon|Tue)[a-z]{0,4},? [0-9A-Za-z: -]{5,30}$/)), value => {
        const asked = parseRetryAfter(value, now)
        expect(asked === -1 || (asked >= 0 && asked <= 300_000)).toBe(true)
      }),
    )
  })
})

describe('where it is looked for', () => {
  const loop = new EventLoop()
  const clock = manualClock(loop)
  const asked = (status: number, ...pairs: string[]) => retryAfterMs({ status, headers: new HeaderList(pairs) }, clock)

  test('in 429 and 503', () => {
    expect(asked(429, 'Retry-After', '7')).toBe(7000)
    expect(asked(503, 'Retry-After', '7')).toBe(7000)
    expect(asked(502, 'Retry-After', '7')).toBe(-1)
    expect(asked(503)).toBe(-1)
    expect(retryAfterMs(null, clock)).toBe(-1)
  })

  test('gRPC says it in milliseconds, with status 200; a negative one is no time', () => {
    expect(asked(200, 'grpc-status', '14', 'grpc-retry-pushback-ms', '1500')).toBe(1500)
    expect(asked(200, 'grpc-retry-pushback-ms', '999999999')).toBe(300_000)
    expect(asked(200, 'grpc-retry-pushback-ms', '-1')).toBe(-1)
    expect(asked(200, 'grpc-retry-pushback-ms', 'x')).toBe(-1)
    expect(asked(200, 'retry-after', '7')).toBe(-1)
  })

  test('a date counts from the wall clock', () => {
    expect(asked(503, 'retry-after', new Date(clock.wallTime() + 20_000).toUTCString())).toBe(20_000)
  })
})
