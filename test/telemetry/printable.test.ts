import { expect, test } from 'vitest'
import { printable, quotable } from '../../proxy/core/printable.ts'

test('every character that forges a line or steers a terminal is written out, all others are left alone', () => {
  for (let code = 0; code < 0x3000; code++) {
    const character = String.fromCharCode(code)
    const isUnsafe = code < 0x20 || (code >= 0x7f && code <= 0x9f) || code === 0x2028 || code === 0x2029
    expect(printable(`a${character}${character}b`) === `a${character}${character}b`, code.toString(16)).toBe(!isUnsafe)
    expect(printable(character)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/)
  }
})

test('between quotes, quotes and backslashes are written out too', () => {
  expect(quotable('a"b\\c\n')).toBe('a\\x22b\\x5Cc\\x0A')
  expect(printable('a"b\\c')).toBe('a"b\\c')
})
