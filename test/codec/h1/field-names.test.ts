import { expect, test } from 'vitest'
import { fieldId, idOfName, OTHER } from '../../../proxy/codec/h1/field-names.ts'

const known = [
  'connection',
  'content-length',
  'transfer-encoding',
  'host',
  'upgrade',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'http2-settings',
  'x-request-id',
  'x-forwarded-for',
  'x-forwarded-proto',
  'traceparent',
  'tracestate',
  'b3',
]

function id(name: string): number {
  const bytes = Buffer.from(`..${name}..`, 'latin1')
  return fieldId(bytes, 2, 2 + name.length)
}

test.each(known)('%s is found in any case', name => {
  const wanted = idOfName(name)
  expect(wanted).not.toBe(OTHER)
  expect(id(name)).toBe(wanted)
  expect(id(name.toUpperCase())).toBe(wanted)
  expect(id([...name].map((letter, i) => (i % 2 === 0 ? letter.toUpperCase() : letter)).join(''))).toBe(wanted)
})

test.each(known)('nothing that differs from %s in any one or two bytes is taken for it', name => {
  for (let i = 0; i < name.length; i++) {
    for (let byte = 0; byte < 256; byte++) {
      const other = name.slice(0, i) + String.fromCharCode(byte) + name.slice(i + 1)
      if (other.toLowerCase() !== name) expect(id(other), other).toBe(OTHER)
    }
  }
  // The two that the hash looks at, together: that is where names meet.
  for (let first = 0x21; first < 0x7f; first++) {
    for (let last = 0x21; last < 0x7f; last++) {
      const other = String.fromCharCode(first) + name.slice(1, -1) + String.fromCharCode(last)
      const lower = other.toLowerCase()
      if (lower !== name && !known.includes(lower)) expect(id(other), other).toBe(OTHER)
    }
  }
})

test('shorter and longer names are others', () => {
  for (const name of known) {
    for (const other of [name.slice(1), name.slice(0, -1), `x${name}`, `${name}x`])
      if (!known.includes(other)) expect(id(other), other).toBe(OTHER)
  }
})
