import { isProtocolName } from '../../core/tunnel.ts'
import { isAuthority } from '../authority.ts'
import { isOws, MAX_METHOD, TARGET, TOKEN, VALUE } from '../bytes.ts'
import { FAILURE, NAMES, REASON, SOURCE } from '../hop/names.ts'

/**
 * What a field is to the codec. It is found once: the entries of the HPACK tables keep theirs, so a field that comes as
 * an index costs no look at its bytes.
 */
export const PLAIN = 0
export const METHOD = 1
export const SCHEME = 2
export const AUTHORITY = 3
export const PATH = 4
export const PROTOCOL = 5
export const STATUS = 6
export const CONTENT_LENGTH = 7
export const COOKIE = 8
export const HOST = 9
export const EXPECT = 10
/** `te`, which may only say `trailers`. */
export const TE = 11
/** What one sidecar tells the next of a head that was HTTP/1.1. */
export const CARRIED_NAMES = 12
export const CARRIED_REASON = 13
/** What one sidecar tells the other of a request that reached no application. */
export const FAILURE_SAID = 14
/** The service of the calling sidecar. */
export const SOURCE_SAID = 15
/** From here on: malformed, by the rule in `malformed`. */
export const BAD_NAME = 16
export const BAD_VALUE = 17
export const CONNECTION_SPECIFIC = 18
export const UNKNOWN_PSEUDO = 19
export const BAD_TE = 20
export const BAD_METHOD = 21
export const BAD_SCHEME = 22
export const BAD_AUTHORITY = 23
export const BAD_PATH = 24
export const BAD_STATUS = 25
export const BAD_LENGTH = 26
export const BAD_PROTOCOL = 27

export const malformed: Readonly<Record<number, string>> = {
  [BAD_NAME]: 'a byte that no field name may have, or an uppercase letter (RFC 9113 section 8.2.1)',
  [BAD_VALUE]: 'a control byte in a field value, or white space around it (RFC 9113 section 8.2.1)',
  [CONNECTION_SPECIFIC]: 'a connection-specific field (RFC 9113 section 8.2.2)',
  [UNKNOWN_PSEUDO]: 'a pseudo-header field that is not defined (RFC 9113 section 8.3)',
  [BAD_TE]: 'TE other than "trailers" (RFC 9113 section 8.2.2)',
  [BAD_METHOD]: 'a byte that no method may have (RFC 9110 section 9.1)',
  [BAD_SCHEME]: ':scheme is not http or https (RFC 9113 section 8.3.1)',
  [BAD_AUTHORITY]: 'the authority is not a host and port (RFC 9113 section 8.3.1)',
  [BAD_PATH]: ':path is not a path (RFC 9113 section 8.3.1)',
  [BAD_STATUS]: ':status is not a status code (RFC 9113 section 8.3.2)',
  [BAD_PROTOCOL]: ':protocol is not the name of a protocol (RFC 8441 section 4)',
  [BAD_LENGTH]: 'Content-Length is not a plain number (RFC 9110 section 8.6)',
}

const kinds = new Map<string, number>([
  [':method', METHOD],
  [':scheme', SCHEME],
  [':authority', AUTHORITY],
  [':path', PATH],
  [':protocol', PROTOCOL],
  [':status', STATUS],
  ['content-length', CONTENT_LENGTH],
  ['cookie', COOKIE],
  ['host', HOST],
  ['expect', EXPECT],
  ['te', TE],
  [NAMES, CARRIED_NAMES],
  [REASON, CARRIED_REASON],
  [FAILURE, FAILURE_SAID],
  [SOURCE, SOURCE_SAID],
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map((name): [string, number] => [
    name,
    CONNECTION_SPECIFIC,
  ]),
])

const COLON = 0x3a

/** The kind that a name alone has. */
export function nameKind(name: string): number {
  const known = kinds.get(name)
  if (known !== undefined) return known
  if (name.length === 0) return BAD_NAME
  if (name.charCodeAt(0) === COLON) return UNKNOWN_PSEUDO
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (TOKEN[code] !== 1 || (code >= 0x41 && code <= 0x5a)) return BAD_NAME
  }
  return PLAIN
}

/** The kind of a field whose name has `kind`, with the value `value`, whose bytes are `b[from..to)`. */
export function fieldKind(kind: number, value: string, b: Buffer, from: number, to: number): number {
  if (kind >= BAD_NAME) return kind
  for (let i = from; i < to; i++) if (VALUE[b[i]!] !== 1) return BAD_VALUE
  if (to > from && (isOws(b[from]!) || isOws(b[to - 1]!))) return BAD_VALUE
  return kind === PLAIN || kind > TE ? kind : controlKind(kind, value, b, from, to)
}

export function isPseudo(kind: number): boolean {
  return kind >= METHOD && kind <= STATUS
}

/**
 * Those with rules of their own: what is passed on must be what every HTTP/1.1 server reads alike (RFC 9113 section
 * 10.3).
 */
function controlKind(kind: number, value: string, b: Buffer, from: number, to: number): number {
  switch (kind) {
    case METHOD:
      return to > from && to - from <= MAX_METHOD && areAll(TOKEN, b, from, to) ? kind : BAD_METHOD
    case SCHEME:
      return value === 'http' || value === 'https' ? kind : BAD_SCHEME
    case PATH:
      return to > from && (value === '*' || b[from] === 0x2f) && areAll(TARGET, b, from, to) ? kind : BAD_PATH
    case AUTHORITY:
    case HOST:
      return isAuthority(value, false) ? kind : BAD_AUTHORITY
    case PROTOCOL:
      return isProtocolName(value) ? kind : BAD_PROTOCOL
    case STATUS:
      return to - from === 3 && b[from]! >= 0x31 && b[from]! <= 0x39 && isDigit(b[from + 1]!) && isDigit(b[from + 2]!)
        ? kind
        : BAD_STATUS
    case CONTENT_LENGTH:
      return isLength(b, from, to) ? kind : BAD_LENGTH
    case TE:
      return value.toLowerCase() === 'trailers' ? kind : BAD_TE
    default:
      return kind
  }
}

function areAll(classes: Uint8Array, b: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (classes[b[i]!] !== 1) return false
  return true
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** Digits only, and few enough that a double holds them exactly. */
function isLength(b: Buffer, from: number, to: number): boolean {
  if (to === from || to - from > 15) return false
  for (let i = from; i < to; i++) if (!isDigit(b[i]!)) return false
  return true
}
