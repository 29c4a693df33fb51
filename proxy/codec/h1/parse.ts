import { CONNECT, isProtocolName, WEBSOCKET } from '../../core/tunnel.ts'
import { COLON, CR, HTAB, LF, LOWER, MAX_METHOD, SP, TARGET, TOKEN, trimOws, VALUE } from '../bytes.ts'
import { FAILURE_OPTION, OFFER } from '../hop/names.ts'
import { trailersOfTe } from '../te.ts'
import {
  CONNECTION,
  CONTENT_LENGTH,
  EXPECT,
  fieldId,
  HOST_FIELD,
  OTHER,
  REMOVED,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
} from './field-names.ts'
import type { Http1Head } from './head.ts'
import { broken, DONE, MORE, type Outcome } from './outcome.ts'
import { readTarget } from './target.ts'

export interface HeadLimits {
  readonly maxHeaders: number
  readonly maxHeadBytes: number
  readonly maxTargetBytes: number
}

const SLASH = 0x2f
const ASTERISK = 0x2a

/**
 * One pass over `b[head.at..length)`. Whole lines are kept when more bytes are needed, so a head that trickles in is
 * read once, not once a packet. The strictness is that of RFC 9112 for a server that fears request smuggling: what two
 * implementations might read differently is refused.
 */
export function parseRequest(head: Http1Head, b: Buffer, length: number, limits: HeadLimits): Outcome {
  if (head.fieldsAt === 0) {
    const outcome = parseRequestLine(head, b, length, limits)
    if (outcome !== DONE) return outcome
  }
  return parseFields(head, b, length, limits, true)
}

function parseRequestLine(head: Http1Head, b: Buffer, length: number, limits: HeadLimits): Outcome {
  let i = head.at
  while (i < length && b[i] === CR) {
    if (i + 1 >= length) return MORE
    if (b[i + 1] !== LF) return broken.bareCr
    i += 2
    if (i > 8) return broken.emptyLines
    head.at = i
  }
  if (head.read !== 0) {
    const read = runEnd(b, head.read, length, TARGET)
    if (read >= length && read - head.targetStart <= limits.maxTargetBytes) {
      head.read = read
      return MORE
    }
  }
  const start = i
  while (i < length && TOKEN[b[i]!] === 1) i++
  if (i - start > MAX_METHOD) return broken.method
  if (i >= length) return MORE
  if (b[i] !== SP || i === start) return b[i] === LF ? broken.bareLf : broken.method
  head.methodEnd = i++
  head.targetStart = i
  while (i < length && TARGET[b[i]!] === 1) i++
  if (i - head.targetStart > limits.maxTargetBytes) return broken.targetLong
  if (i >= length) {
    head.read = i
    return MORE
  }
  if (i === head.targetStart) return broken.target
  if (b[i] !== SP) return b[i] === LF || b[i] === CR ? broken.version : broken.target
  head.targetEnd = i++
  const outcome = parseVersion(head, b, i, length)
  if (outcome !== DONE)
    return outcome === broken.version && b[i] !== VERSION[0] && isNoTarget(b, head.targetStart, i - 1)
      ? broken.notHttp
      : outcome
  i += 8
  if (i >= length) return MORE
  if (b[i] !== CR) return b[i] === LF ? broken.bareLf : broken.version
  if (i + 1 >= length) return MORE
  if (b[i + 1] !== LF) return broken.bareCr
  i += 2
  if (i - start > limits.maxHeadBytes) return broken.head
  head.start = start
  head.fieldsAt = i
  head.at = i
  return DONE
}

/** Where the run of bytes of a class that goes on at `from` ends. */
function runEnd(b: Buffer, from: number, length: number, classes: Uint8Array): number {
  let i = from
  while (i < length && classes[b[i]!] === 1) i++
  return i
}

/** "HTTP/1.0" or "HTTP/1.1" at `i`. */
function parseVersion(head: Http1Head, b: Buffer, i: number, length: number): Outcome {
  // "HTTP/" digit "." digit, a byte at a time only where the eight are not all there yet.
  for (let k = 0; k < 8; k++) {
    if (i + k >= length) return MORE
    const byte = b[i + k]!
    if (k === 5 || k === 7) {
      if (byte < 0x30 || byte > 0x39) return broken.version
    } else if (byte !== VERSION[k]) return broken.version
  }
  const minor = b[i + 7]!
  if (b[i + 5] !== 0x31 || (minor !== 0x30 && minor !== 0x31)) return broken.otherVersion
  head.minorVersion = minor - 0x30
  head.keepAlive = minor === 0x31
  return DONE
}

const VERSION = Buffer.from('HTTP/1.1')

/**
 * None of the four forms begins or looks like it: no path, no URL, no host:port, no asterisk (RFC 9112 section 3.2).
 */
function isNoTarget(b: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (b[i] === SLASH || b[i] === COLON || b[i] === ASTERISK) return false
  return true
}

/** As `parseRequest`, for a status line and its fields. */
export function parseResponse(head: Http1Head, b: Buffer, length: number, limits: HeadLimits): Outcome {
  if (head.fieldsAt === 0) {
    let i = 0
    const outcome = parseVersion(head, b, i, length)
    if (outcome !== DONE) return outcome === MORE ? MORE : broken.statusLine
    i = 8
    if (length < i + 4) return MORE
    const hundreds = b[i + 1]! - 0x30
    const tens = b[i + 2]! - 0x30
    const ones = b[i + 3]! - 0x30
    if (b[i] !== SP || hundreds < 1 || hundreds > 9 || tens < 0 || tens > 9 || ones < 0 || ones > 9)
      return broken.statusLine
    head.status = hundreds * 100 + tens * 10 + ones
    i += 4
    head.statusEnd = i
    if (i >= length) return MORE
    // The space after the code may be missing together with the reason: many servers do so, and nothing else can be
    // meant.
    if (b[i] !== SP && b[i] !== CR) return broken.statusLine
    i = runEnd(b, Math.max(i, head.read), length, VALUE)
    if (i > limits.maxHeadBytes) return broken.head
    if (i >= length) {
      head.read = i
      return MORE
    }
    if (b[i] !== CR) return b[i] === LF ? broken.bareLf : broken.statusLine
    if (i + 1 >= length) return MORE
    if (b[i + 1] !== LF) return broken.bareCr
    head.fieldsAt = i + 2
    head.at = i + 2
  }
  return parseFields(head, b, length, limits, false)
}

/** The field lines and the empty line after them; then what follows from all of them together. */
export function parseFields(
  head: Http1Head,
  b: Buffer,
  length: number,
  limits: HeadLimits,
  isRequest: boolean,
): Outcome {
  let i = head.at
  const start = head.start
  if (head.read > i) {
    head.read = runEnd(b, head.read, length, head.inValue ? VALUE : TOKEN)
    if (head.read >= length) return length - start > limits.maxHeadBytes ? broken.head : MORE
  }
  for (;;) {
    if (i >= length) return length - start > limits.maxHeadBytes ? broken.head : MORE
    if (b[i] === CR) {
      if (i + 1 >= length) return MORE
      if (b[i + 1] !== LF) return broken.bareCr
      head.end = i + 2
      if (head.end - start > limits.maxHeadBytes) return broken.head
      head.bytes = b
      return isRequest ? finishRequest(head) : finishResponse(head)
    }
    const nameStart = i
    while (i < length && TOKEN[b[i]!] === 1) i++
    if (i >= length) return inside(head, false, length, limits)
    if (b[i] !== COLON) return badName(b[i]!, i === nameStart)
    if (i === nameStart) return broken.nameEmpty
    const nameEnd = i++
    while (i < length && (b[i] === SP || b[i] === HTAB)) i++
    const valueStart = i
    while (i < length && VALUE[b[i]!] === 1) i++
    if (i >= length) return inside(head, true, length, limits)
    if (b[i] !== CR) return b[i] === LF ? broken.bareLf : broken.value
    if (i + 1 >= length) return MORE
    if (b[i + 1] !== LF) return broken.bareCr
    let valueEnd = i
    while (valueEnd > valueStart && (b[valueEnd - 1] === SP || b[valueEnd - 1] === HTAB)) valueEnd--
    i += 2
    head.at = i
    if (i - start > limits.maxHeadBytes) return broken.head
    if (head.count >= limits.maxHeaders) return broken.fields
    const id = fieldId(b, nameStart, nameEnd)
    head.addField(id, nameStart, nameEnd, valueStart, valueEnd)
    if (id === CONTENT_LENGTH) {
      if (head.contentLength >= 0) return broken.lengthTwice
      head.contentLength = parseLength(b, valueStart, valueEnd)
      if (head.contentLength < 0) return broken.length
    } else if (id === TRANSFER_ENCODING) {
      if (head.chunked || !isChunked(b, valueStart, valueEnd)) return broken.coding
      head.chunked = true
      // White space that the grammar allows (RFC 9110 section 5.5) has hidden the coding from servers before: such a
      // field is written anew.
      if (valueStart - nameEnd > 2 || b[nameEnd + 1] === HTAB || valueEnd !== i - 2) {
        head.ids[head.count - 1] = REMOVED
        head.codingAnew = true
      }
    }
  }
}

/** The bytes end inside a line. */
function inside(head: Http1Head, inValue: boolean, length: number, limits: HeadLimits): Outcome {
  head.read = length
  head.inValue = inValue
  return length - head.start > limits.maxHeadBytes ? broken.head : MORE
}

function badName(byte: number, first: boolean): Outcome {
  if (byte === SP || byte === HTAB) return first ? broken.fold : broken.nameSpace
  return byte === LF ? broken.bareLf : broken.name
}

/** Digits only, and few enough that a double holds them exactly; -1 otherwise. */
function parseLength(b: Buffer, start: number, end: number): number {
  if (end === start || end - start > 15) return -1
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = b[i]! - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

function isChunked(b: Buffer, start: number, end: number): boolean {
  return end - start === 7 && b.latin1Slice(start, end).toLowerCase() === 'chunked'
}

function finishRequest(head: Http1Head): Outcome {
  if (head.chunked && head.contentLength >= 0) return broken.both
  if (head.chunked && head.minorVersion === 0) return broken.codingInOld
  let host = -1
  for (let i = 0; i < head.count; i++) {
    const id = head.ids[i]!
    if (id === OTHER) continue
    if (id === HOST_FIELD) {
      if (host >= 0) return broken.hostTwice
      host = i
    } else if (id === CONNECTION) {
      const outcome = readConnection(head, i)
      if (outcome !== DONE) return outcome
    } else if (id === UPGRADE) head.offersUpgrade = true
    else if (id === TE) head.takesTrailers ||= head.minorVersion === 1 && trailersOfTe(head.value(i))
    else if (id === EXPECT) {
      const expectation = head.value(i).toLowerCase()
      if (expectation === '') continue
      if (expectation !== '100-continue') return broken.expectation
      head.expectContinue = true
    }
  }
  if (host < 0 && head.minorVersion === 1) return broken.hostMissing
  const outcome = readTarget(head, host)
  if (outcome !== DONE) return outcome
  // Only where Connection names it, and not to HTTP/1.0 (RFC 9110 section 7.8).
  if (head.method === 'CONNECT') head.upgrade = CONNECT
  else if (head.offersUpgrade && head.mayUpgrade && head.minorVersion === 1) {
    const wrong = readUpgrade(head)
    if (wrong !== DONE) return wrong
  } else return DONE
  head.offered = head.upgrade
  // A CONNECT has no place for a body, and a WebSocket none that two servers would surely see alike.
  const mayHaveBody = head.upgrade !== CONNECT && !isOffered(head, WEBSOCKET)
  return !mayHaveBody && (head.chunked || head.contentLength > 0) ? broken.upgradeBody : DONE
}

function isOffered(head: Http1Head, protocol: string): boolean {
  return head.upgrade === protocol || (head.upgrade.includes(',') && head.upgrade.split(',').includes(protocol))
}

/** The protocols offered; the route settles on one. h2c is an offer to the connection itself, and is left out. */
function readUpgrade(head: Http1Head): Outcome {
  let upgrade = ''
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] !== UPGRADE) continue
    for (const part of head.value(i).split(',')) {
      const name = trimOws(part)
      if (name === '' || name.toLowerCase() === 'h2c') continue
      if (!isProtocolName(name)) return broken.upgrade
      upgrade = upgrade === '' ? name.toLowerCase() : `${upgrade},${name.toLowerCase()}`
    }
  }
  head.upgrade = upgrade
  return isOffered(head, WEBSOCKET) && head.method !== 'GET' ? broken.upgradeMethod : DONE
}

function finishResponse(head: Http1Head): Outcome {
  if (head.chunked && head.contentLength >= 0) return broken.both
  if (head.chunked && head.minorVersion === 0) return broken.codingInOld
  for (let i = 0; i < head.count; i++) {
    const id = head.ids[i]!
    if (id === CONNECTION) {
      const outcome = readConnection(head, i)
      if (outcome !== DONE) return outcome
    } else if (id === UPGRADE && head.status === 101)
      head.upgrade = head.upgrade === '' ? head.value(i).toLowerCase() : SEVERAL
  }
  return DONE
}

/** No protocol is called so. */
const SEVERAL = ','

/**
 * What a field named by Connection must never take away: naming them is an attack, not a wish (RFC 9110 section 7.6.1).
 */
const KEPT = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-request-id',
  'authorization',
  'cookie',
  'set-cookie',
])

const KEEP_ALIVE_OPTION = Buffer.from('keep-alive')

/** Most heads that have the field say this, and nothing else: it is read without a text. */
function saysKeepAlive({ bytes, fields }: Http1Head, field: number): boolean {
  const start = fields[(field << 2) + 2]!
  if (fields[(field << 2) + 3]! - start !== KEEP_ALIVE_OPTION.length) return false
  for (let i = 0; i < KEEP_ALIVE_OPTION.length; i++) if (LOWER[bytes[start + i]!] !== KEEP_ALIVE_OPTION[i]) return false
  return true
}

function readConnection(head: Http1Head, field: number): Outcome {
  if (saysKeepAlive(head, field)) {
    head.keepAlive = !head.closing
    return DONE
  }
  const value = head.value(field).toLowerCase()
  let named: Set<string> | null = null
  for (const part of value.split(',')) {
    const option = trimOws(part)
    if (option === 'close') head.closing = true
    else if (option === 'keep-alive') head.keepAlive = true
    else if (option === 'upgrade') head.mayUpgrade = true
    else if (option !== '' && !KEPT.has(option)) {
      if (!isToken(option)) return broken.connection
      if (option === OFFER) head.offersHop = true
      else if (option.startsWith(FAILURE_OPTION)) head.claimedFailure = option.slice(FAILURE_OPTION.length)
      named ??= new Set()
      named.add(option)
    }
  }
  // Named fields are for this connection only; the framing ones are kept above, the known ones drop out by their own
  // ids. One pass, however many are named: names times fields would be a quarter of a second for one head of 60 KiB.
  if (named !== null)
    for (let i = 0; i < head.count; i++) if (head.ids[i] === OTHER && named.has(nameOf(head, i))) head.ids[i] = REMOVED
  // "close" wins over "keep-alive", in whatever order and field they come (RFC 9112 section 9.3).
  if (head.closing) head.keepAlive = false
  return DONE
}

function nameOf(head: Http1Head, field: number): string {
  return head.bytes.latin1Slice(head.fields[field << 2]!, head.fields[(field << 2) + 1]!).toLowerCase()
}

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (TOKEN[text.charCodeAt(i)] !== 1) return false
  return true
}
