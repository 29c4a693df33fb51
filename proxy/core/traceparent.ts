/** The `traceparent` field (W3C Trace Context, level 2, section 3.2). */

/** Flags. */
export const SAMPLED = 1
/** At least the right-most 7 bytes of the trace id are random. */
export const RANDOM = 2

const LENGTH = 55
const DASH = 0x2d
const ZERO = 0x30

/** 0-15 for the digits of lower-case hex, else 255. */
const hex = new Uint8Array(256).fill(255)
for (let i = 0; i < 16; i++) hex['0123456789abcdef'.charCodeAt(i)] = i

/** The value of one digit of lower-case hex; 255: it is none. */
export function hexValue(code: number): number {
  return code < 256 ? hex[code]! : 255
}

/** Only lower-case hex from `from` to `to`, and not zeros alone. */
export function isId(text: string, from: number, to: number): boolean {
  let isZero = true
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i)
    if (hexValue(code) === 255) return false
    if (code !== ZERO) isZero = false
  }
  return !isZero
}

function isByte(text: string, at: number): boolean {
  return hexValue(text.charCodeAt(at)) !== 255 && hexValue(text.charCodeAt(at + 1)) !== 255
}

/**
 * Strict: ids of zeros, upper case and wrong lengths are as good as no field. Of a later version, what version 00 knows
 * must be there, and more may follow behind a dash.
 */
export function isTraceparent(text: string): boolean {
  if (text.length < LENGTH) return false
  if (text.charCodeAt(0) === ZERO && text.charCodeAt(1) === ZERO) {
    if (text.length !== LENGTH) return false
  } else {
    if (!isByte(text, 0) || (text[0] === 'f' && text[1] === 'f')) return false
    if (text.length > LENGTH && text.charCodeAt(LENGTH) !== DASH) return false
  }
  return (
    text.charCodeAt(2) === DASH &&
    text.charCodeAt(35) === DASH &&
    text.charCodeAt(52) === DASH &&
    isByte(text, 53) &&
    isId(text, 3, 35) &&
    isId(text, 36, 52)
  )
}

/** Of a valid field. Flags that this version does not know are not passed on by who writes a field of its own. */
export function flagsOf(text: string): number {
  return hexValue(text.charCodeAt(54)) & (SAMPLED | RANDOM)
}

export function traceparentOf(traceId: string, spanId: string, flags: number): string {
  return `00-${traceId}-${spanId}-0${flags}`
}
