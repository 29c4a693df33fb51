import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { needsFacts, parseFilter } from '../../mesh-config/filter-expression.ts'
import '../support/seed.ts'

const parsed = (text: string) => {
  const result = parseFilter(text)
  return result.ok ? result.filter : `${result.what}: ${result.fix}`
}

const term = (field: string, key: string | null, test: string, value: string, negated = false) => ({
  kind: 'term',
  selector: { field, key },
  test,
  negated,
  value,
})

describe('a filter', () => {
  test('is read as go-bexpr reads it', () => {
    expect(parsed('Service.Meta.version == v2')).toEqual(term('meta', 'version', 'equal', 'v2'))
    expect(parsed('Service.Meta["a b"]!="x y"')).toEqual(term('meta', 'a b', 'equal', 'x y', true))
    expect(parsed('"primary" not in Service.Tags')).toEqual(term('tags', null, 'in', 'primary', true))
    expect(parsed('Service.Tags contains `a"b`')).toEqual(term('tags', null, 'in', 'a"b'))
    expect(parsed('Service.Meta is not empty')).toEqual(term('meta', null, 'empty', '', true))
    expect(parsed('Service.ID not matches "^a.*"')).toEqual(term('service.id', null, 'matches', '^a.*', true))
    expect(parsed('Service.Port == 80')).toEqual(term('service.port', null, 'equal', '80'))
  })

  test('`and` binds closer than `or`, `not` closer than both, and parentheses closest', () => {
    const [a, b, c] = ['a', 'b', 'c'].map(key => term('meta', key, 'equal', '1')) as [object, object, object]
    const [x, y, z] = ['a', 'b', 'c'].map(key => `Service.Meta.${key} == 1`)
    expect(parsed(`${x} or ${y} and ${z}`)).toEqual({ kind: 'or', left: a, right: { kind: 'and', left: b, right: c } })
    expect(parsed(`(${x} or ${y}) and ${z}`)).toEqual({
      kind: 'and',
      left: { kind: 'or', left: a, right: b },
      right: c,
    })
    expect(parsed(`not ${x} and ${y}`)).toEqual({ kind: 'and', left: { kind: 'not', of: a }, right: b })
  })

  test.each([
    ['', 'it is empty: leave it out where every endpoint counts'],
    ['Checks.Status == passing', /there is no field Checks.Status: write one of Service.Meta/],
    ['Service.Meta == a', /Service.Meta is no text/],
    ['Service.Tags matches "a"', /Service.Tags is no text/],
    ['Service.Meta.a.b == c', /has nothing below it/],
    ['Service.Meta.a is empty', /is a text, which is not asked that: write == ""/],
    ['Service.Port matches "8"', /is a number/],
    ['Service.ID', /no comparison follows "ID"/],
    ['Service.ID == ', /ends too early/],
    ['(Service.ID == a', /a parenthesis is not closed/],
    ['Service.ID == a b', /nothing can follow before "b"/],
    ['Service.ID == server-1', /nothing can follow before "-1"/],
    ['Service.ID == "a', /a text has no end at character 15/],
    ['Service.ID == a; x', /";" means nothing at character 16/],
    [`Service.ID == "${'a'.repeat(5000)}"`, /at most 4096 are read/],
    [`${'not '.repeat(500)}Service.ID == a`, /nests too deeply/],
    [`${'('.repeat(500)}Service.ID == a`, /nests too deeply/],
    [Array(140).fill('Service.ID == a').join(' or '), /more than 128 tests/],
  ])('%.40s is refused with a remedy', (text, expected) => {
    if (typeof expected === 'string') expect(parsed(text)).toBe(expected)
    else expect(parsed(text)).toMatch(expected)
  })

  test('says whether it looks at more than what every endpoint has', () => {
    const needs = (text: string) => {
      const result = parseFilter(text)
      return result.ok && needsFacts(result.filter)
    }
    expect(needs('Service.Meta.a == 1 and "b" in Service.Tags')).toBe(false)
    expect(needs('Service.Meta.a == 1 and not Node.Meta.rack == r1')).toBe(true)
  })

  test('nothing that a registry may hold makes it throw, or takes long', () => {
    const words = fc.constantFrom(
      'Service.Meta.a',
      '==',
      'and',
      'or',
      'not',
      '(',
      ')',
      '"x"',
      'in',
      '[',
      '.',
      '"',
      'is',
      '-1',
    )
    fc.assert(fc.property(fc.array(words), parts => void parseFilter(parts.join(' '))))
    fc.assert(fc.property(fc.string(), text => void parseFilter(text)))
  })
})
