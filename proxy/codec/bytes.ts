/** Classes of bytes, 1 for members (RFC 9110 section 5.6.2, RFC 9112 section 3). */
function table(member: (byte: number) => boolean): Uint8Array {
  const classes = new Uint8Array(256)
  for (let byte = 0; byte < 256; byte++) if (member(byte)) classes[byte] = 1
  return classes
}

const among = (characters: string) => (byte: number) => characters.includes(String.fromCharCode(byte))
const isAlphanumeric = (byte: number) =>
  (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)

/** tchar: field names and methods. */
export const TOKEN = table(byte => isAlphanumeric(byte) || among("!#$%&'*+-.^_`|~")(byte))

/**
 * field-vchar, obs-text, SP and HTAB: field values and reason phrases. NUL, CR, LF, DEL and the other controls are not
 * among them.
 */
export const VALUE = table(byte => byte === 0x09 || (byte >= 0x20 && byte !== 0x7f))

/**
 * Visible ASCII without "#": a fragment never belongs in a request target (RFC 9112 section 3.2), and raw bytes above
 * 0x7f are read differently by every server.
 */
export const TARGET = table(byte => byte > 0x20 && byte < 0x7f && byte !== 0x23)

/** uri-host and port (RFC 3986 section 3.2.2), without the comma, which would make one of two joined Host fields. */
export const HOST = table(byte => isAlphanumeric(byte) || among("-._~%!$&'()*+;=:[]")(byte))

/** The value of a hex digit; 255 for other bytes. */
export const HEX = new Uint8Array(256).fill(255)
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}

/** ASCII letters in lower case, other bytes as they are. */
export const LOWER = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) LOWER[byte] = byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte

/** Longer than any method there is (RFC 9110 section 16.1). */
export const MAX_METHOD = 32

export const CR = 0x0d
export const LF = 0x0a
export const SP = 0x20
export const HTAB = 0x09
export const COLON = 0x3a
/**
 * The text without the white space around it that HTTP allows (RFC 9110 section 5.6.3): SP and HTAB. String.trim would
 * take a byte of UTF-8 (0xa0) as well.
 */
export function trimOws(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isOws(text.charCodeAt(from))) from++
  while (to > from && isOws(text.charCodeAt(to - 1))) to--
  return from === 0 && to === text.length ? text : text.slice(from, to)
}

export function isOws(byte: number): boolean {
  return byte === SP || byte === HTAB
}

export const NO_BYTES: Buffer = Buffer.alloc(0)
