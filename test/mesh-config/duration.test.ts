import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  durationMs,
  durationPattern,
  formatDuration,
  guessDuration,
  maxDurationMs,
  parseDuration,
} from '../../mesh-config/duration.ts'

describe('durations', () => {
  test.each([
    ['250ms', 250],
    ['2s', 2000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1m30s', 90_000],
    ['1h1m1s1ms', 3_661_001],
    ['0', 0],
    ['0s', 0],
    ['off', 0],
    ['90s', 90_000],
  ])('%s is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each(['', '5', 's', '-1s', '1.5s', '5 s', '5S', '1s1m', '1d', 'OFF', '1s ', '99999h'])('%j is not one', text => {
    expect(parseDuration(text)).toBeNull()
    expect(() => durationMs(text)).toThrow()
  })

  test('any number of milliseconds can be written and read back', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: maxDurationMs }), ms => parseDuration(formatDuration(ms)) === ms))
  })

  test('whatever is written has one short form, of the same length in time', () => {
    const part = (unit: string) => fc.integer({ min: 0, max: 99 }).map(count => `${count}${unit}`)
    fc.assert(
      fc.property(
        fc.subarray(['h', 'm', 's', 'ms'], { minLength: 1 }).chain(units => fc.tuple(...units.map(part))),
        parts => {
          const ms = parseDuration(parts.join(''))!
          expect(formatDuration(ms).length).toBeLessThanOrEqual(Math.max(3, String(ms).length + 2))
          expect(durationMs(formatDuration(ms))).toBe(ms)
        },
      ),
    )
  })

  test('the pattern given to editors accepts what the parser accepts', () => {
    const pattern = new RegExp(durationPattern)
    const text = fc.stringMatching(/^[0-9hms.of ]{0,8}$/)
    fc.assert(fc.property(text, each => parseDuration(each) === null || pattern.test(each)))
    fc.assert(fc.property(text, each => !pattern.test(each) || each.length > 7 || parseDuration(each) !== null))
  })

  test.each([
    ['5 sec', '5s'],
    ['1.5s', '1500ms'],
    [5, '5s'],
    ['2 minutes', '2m'],
    ['100MS', '100ms'],
    ['1d', '24h'],
    ['90 Secs.', '90s'],
  ])('%j probably meant %s', (input, meant) => {
    expect(guessDuration(input)).toBe(meant)
  })

  test.each(['soon', '-5s', '', '5 parsecs', '0.0001ms', '100d'])('%j is anyone’s guess', input => {
    expect(guessDuration(input)).toBeNull()
  })
})
