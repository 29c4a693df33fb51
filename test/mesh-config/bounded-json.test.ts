import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseJson } from '../../mesh-config/bounded-json.ts'
import '../support/seed.ts'

test('reads what JSON.parse reads, and refuses what it refuses', () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ depthSize: 'small' }),
      fc.constantFrom(0, 2),
      (value, indent) =>
        void expect(parseJson(JSON.stringify(value, null, indent))).toEqual(JSON.parse(JSON.stringify(value))),
    ),
  )
  for (const text of ['', '[', '{"a":', '"\\', 'nul', '[1,]']) expect(() => parseJson(text)).toThrow('it is no JSON')
})

describe('what would fill the memory is not parsed', () => {
  test.each([
    ['brackets', '['.repeat(30_000_000)],
    ['closed brackets', `${'['.repeat(65)}${']'.repeat(65)}`],
    ['braces', '{"a":'.repeat(1_000_000)],
  ])('%s', (_what, text) => {
    expect(() => parseJson(text)).toThrow('it is nested deeper than 64 levels')
  })

  test('many values', () => {
    expect(() => parseJson(`[${'[],'.repeat(2_500_000)}[]]`)).toThrow('it has more than 4000000 values')
  })
})

test('brackets in texts are no values, whatever is escaped there', () => {
  const value = { 'a["\\': '[[[["\\\\"]]]{{{'.repeat(100), b: '\\', c: '"' }
  expect(parseJson(JSON.stringify(value))).toEqual(value)
})
