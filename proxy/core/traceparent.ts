import { HEX, hexValue, writeDigits } from './trace-ids.ts'

/** The `traceparent` field (W3C Trace Context, level 2, section 3.2). */

/** Flags. */
export const SAMPLED = 1
/** At least the right-most 7 bytes of the trace id are random. */
export const RANDOM = 2

export const TRACEPARENT_LENGTH = 55
/** What is looked at: a later version may have more behind a dash. */
export const TRACEPARENT_LOOK = TRACEPARENT_LENGTH + 1
const DASH = 0x2d
const ZERO = 0x30
const LETTER_F = 0x66

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

/** The ids and flags of the field that was read last. */
export const parsed = { trace0: 0, trace1: 0, trace2: 0, trace3: 0, spanHigh: 0, spanLow: 0, flags: 0 }

/** The bits of all digits that were read: more than four where one was none. */
let bits = 0

function readDigits(bytes: Uint8Array, at: number, count: number): number {
  let word = 0
  let all = 0
  for (let i = at; i < at + count; i++) {
    const value = HEX[bytes[i]!]!
    all |= value
    word = (word << 4) | value
  }
  bits |= all
  return word
}

/**
 * Reads a value of `length` bytes, of which `bytes` has the first `TRACEPARENT_LOOK`. Strict: ids of zeros, upper case
 * and wrong lengths are as good as no field. Of a later version, what version 00 knows must be there, and more may
 * follow behind a dash.
 */
export function parseTraceparent(bytes: Uint8Array, length: number): boolean {
  if (length < TRACEPARENT_LENGTH) return false
  if (bytes[0] === ZERO && bytes[1] === ZERO) {
    if (length !== TRACEPARENT_LENGTH) return false
  } else {
    if (bytes[0] === LETTER_F && bytes[1] === LETTER_F) return false
    if (length > TRACEPARENT_LENGTH && bytes[TRACEPARENT_LENGTH] !== DASH) return false
  }
  if (bytes[2] !== DASH || bytes[35] !== DASH || bytes[52] !== DASH) return false
  bits = 0
  readDigits(bytes, 0, 2)
  parsed.trace0 = readDigits(bytes, 3, 8)
  parsed.trace1 = readDigits(bytes, 11, 8)
  parsed.trace2 = readDigits(bytes, 19, 8)
  parsed.trace3 = readDigits(bytes, 27, 8)
  parsed.spanHigh = readDigits(bytes, 36, 8)
  parsed.spanLow = readDigits(bytes, 44, 8)
  // Flags that this version does not know are not passed on by what writes a field of its own.
  parsed.flags = readDigits(bytes, 53, 2) & (SAMPLED | RANDOM)
  if (bits > 15) return false
  return (
    (parsed.trace0 | parsed.trace1 | parsed.trace2 | parsed.trace3) !== 0 && (parsed.spanHigh | parsed.spanLow) !== 0
  )
}

const scratch = new Uint8Array(TRACEPARENT_LOOK)

/** As `parseTraceparent`, of a text. */
export function isTraceparent(text: string): boolean {
  return parseTraceparent(scratch, copyText(text, scratch))
}

/** Copies what `bytes` has room for, and returns the length of the text. What is beyond Latin-1 is no digit. */
export function copyText(text: string, bytes: Uint8Array): number {
  const { length } = text
  const count = length < bytes.length ? length : bytes.length
  for (let i = 0; i < count; i++) {
    const code = text.charCodeAt(i)
    bytes[i] = code < 256 ? code : 0
  }
  return length
}

/** Writes the 55 bytes of the field at `at`. */
export function writeTraceparent(
  bytes: Uint8Array,
  at: number,
  { trace0, trace1, trace2, trace3, toldHigh, toldLow, flags }: ToldIds,
): void {
  bytes[at] = ZERO
  bytes[at + 1] = ZERO
  bytes[at + 2] = DASH
  writeDigits(bytes, at + 3, trace0)
  writeDigits(bytes, at + 11, trace1)
  writeDigits(bytes, at + 19, trace2)
  writeDigits(bytes, at + 27, trace3)
  bytes[at + 35] = DASH
  writeDigits(bytes, at + 36, toldHigh)
  writeDigits(bytes, at + 44, toldLow)
  bytes[at + 52] = DASH
  bytes[at + 53] = ZERO
  bytes[at + 54] = ZERO + flags
}

/** The trace, the span that the next one is told as its parent, and the flags. */
export interface ToldIds {
  readonly trace0: number
  readonly trace1: number
  readonly trace2: number
  readonly trace3: number
  readonly toldHigh: number
  readonly toldLow: number
  readonly flags: number
}

const value = Buffer.allocUnsafeSlow(TRACEPARENT_LENGTH)

/** The field as a text. */
export function traceparentOf(ids: ToldIds): string {
  writeTraceparent(value, 0, ids)
  return value.latin1Slice(0, TRACEPARENT_LENGTH)
}
