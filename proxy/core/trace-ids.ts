import type { Random } from './clock.ts'

/**
 * Ids of traces and spans as words of 32 bits, which V8 keeps in a field without an object: four are a trace, two a
 * span. A text of them is made only for what shows one.
 */

/** The two digits of each byte. */
const HIGH = new Uint8Array(256)
const LOW = new Uint8Array(256)
for (let i = 0; i < 256; i++) {
  const text = i.toString(16).padStart(2, '0')
  HIGH[i] = text.charCodeAt(0)
  LOW[i] = text.charCodeAt(1)
}

/** 0-15 for the digits of lower-case hex, else 255. */
export const HEX = new Uint8Array(256).fill(255)
for (let i = 0; i < 16; i++) HEX['0123456789abcdef'.charCodeAt(i)] = i

/** The value of one digit of lower-case hex; 255: it is none. */
export function hexValue(code: number): number {
  return code < 256 ? HEX[code]! : 255
}

/** The word whose 8 digits of lower-case hex begin at `at`, where there are some. */
export function wordAt(text: string, at: number): number {
  let word = 0
  for (let i = at; i < at + 8; i++) word = (word << 4) | hexValue(text.charCodeAt(i))
  return word
}

/** Writes the 8 digits of a word. */
export function writeDigits(bytes: Uint8Array, at: number, word: number): void {
  for (let shift = 24, i = at; shift >= 0; shift -= 8, i += 2) {
    const byte = (word >>> shift) & 255
    bytes[i] = HIGH[byte]!
    bytes[i + 1] = LOW[byte]!
  }
}

const digits = Buffer.allocUnsafeSlow(32)

/** 32 hex digits; empty: all words are 0. */
export function traceIdText(a: number, b: number, c: number, d: number): string {
  if ((a | b | c | d) === 0) return ''
  writeDigits(digits, 0, a)
  writeDigits(digits, 8, b)
  writeDigits(digits, 16, c)
  writeDigits(digits, 24, d)
  return digits.latin1Slice(0, 32)
}

/** 16 hex digits; empty: both words are 0. */
export function spanIdText(high: number, low: number): string {
  if ((high | low) === 0) return ''
  writeDigits(digits, 0, high)
  writeDigits(digits, 8, low)
  return digits.latin1Slice(0, 16)
}

export function randomWord(random: Random): number {
  return (random() * 0x1_0000_0000) | 0
}
