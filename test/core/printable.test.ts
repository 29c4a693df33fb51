import { expect, test } from 'vitest'
import { escapeHtml, jsonText, printable, printableLines, quotable } from '../../proxy/core/printable.ts'

/** Controls, what turns the direction of text, and what is not seen. */
const unsafe = /[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/

function* characters(): Generator<string> {
  for (let code = 0; code < 0x10000; code++) if (code < 0xd800 || code > 0xdfff) yield String.fromCharCode(code)
}

test('every character that forges a line, steers a terminal or hides is written out, all others are left alone', () => {
  for (const character of characters()) {
    const text = `a${character}${character}b`
    expect(printable(text) === text, character.charCodeAt(0).toString(16)).toBe(!unsafe.test(character))
    expect(printable(text)).not.toMatch(unsafe)
  }
  expect(printable('\x1b[2J\x9b2J\n\u202e')).toBe('\\x1B[2J\\x9B2J\\x0A\\u202E')
})

test('text of several lines keeps its lines and nothing else', () => {
  expect(printableLines('a\nb\r\n\x1bc\u2028')).toBe('a\nb\\x0D\n\\x1Bc\\u2028')
})

test('between quotes, quotes and backslashes are written out too', () => {
  expect(quotable('a"b\\c\n')).toBe('a\\x22b\\x5Cc\\x0A')
  expect(printable('a"b\\c')).toBe('a"b\\c')
})

test('JSON is the same value to a parser, and raw in nothing but its own line ends', () => {
  const value = Object.fromEntries([...characters()].map(character => [`key${character}`, `value${character}`]))
  for (const indent of [undefined, 2]) {
    const text = jsonText(value, indent)
    expect(JSON.parse(text)).toEqual(value)
    expect(text.replaceAll('\n', '')).not.toMatch(unsafe)
  }
})

test('HTML has no markup from elsewhere, and no controls', () => {
  expect(escapeHtml(`<a href="x" title='y'>&\x1b\u202e\n</a>`)).toBe(
    '&#60;a href=&#34;x&#34; title=&#39;y&#39;&#62;&#38;\\x1B\\u202E\n&#60;/a&#62;',
  )
})
