import { describe, expect, test } from 'vitest'
import { formatOf } from '../../proxy/admin/page.ts'
import { columns, count, duration } from '../../proxy/admin/text.ts'

describe('what the caller would rather have', () => {
  test.each([
    ['curl', '*/*', null],
    ['nothing said', undefined, null],
    ['a person at a terminal', 'text/plain', 'text'],
    ['a program', 'application/json', 'json'],
    ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'html'],
    ['the better one', 'text/plain;q=0.4, application/json; q=0.9', 'json'],
    ['the first of equals', 'text/plain, application/json', 'text'],
    ['not this', 'text/html;q=0, text/plain;q=0.1', 'text'],
    ['any case', 'Text/Plain', 'text'],
    ['Prometheus', 'application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1', null],
    ['nonsense', ';;,q=', null],
  ])('%s: %s', (_who, accept, format) => {
    expect(formatOf(new URLSearchParams(), accept)).toBe(format)
  })

  test('what stands in the address wins', () => {
    expect(formatOf(new URLSearchParams('format=text'), 'application/json')).toBe('text')
    expect(formatOf(new URLSearchParams('format=xml'), 'application/json')).toBe('json')
  })
})

test('columns are as wide as their widest cell, and lines have no blanks at the end', () => {
  const rows = [
    ['NAME', 'N', ''],
    ['a', '1,000', 'x'],
    ['long', '2', ''],
  ]
  expect(columns(rows, ['left', 'right'], '  ')).toBe(['  NAME      N', '  a     1,000  x', '  long      2'].join('\n'))
})

test('numbers for people', () => {
  expect([0, 999, 1_000, 1_234_567].map(count)).toEqual(['0', '999', '1,000', '1,234,567'])
  expect([0, 0.384, 1, 12.34, 123.4, 1_500, 12_340, 200_000, 7_380_000, 200_000_000].map(duration)).toEqual([
    '0.00 ms',
    '0.38 ms',
    '1.0 ms',
    '12.3 ms',
    '123 ms',
    '1.50 s',
    '12.3 s',
    '3m 20s',
    '2h 3m',
    '2d 7h',
  ])
})
