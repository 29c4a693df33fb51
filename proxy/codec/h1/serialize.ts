import type { Carried, Headers, RequestHead, ResponseHead } from '../../core/message.ts'
import { type ToldIds, TRACEPARENT_LENGTH, writeTraceparent } from '../../core/traceparent.ts'
import { CONNECT } from '../../core/tunnel.ts'
import { carriedLines, roomForLines } from '../hop/write.ts'
import { trailersOfTe } from '../te.ts'
import {
  CONNECTION,
  CONTENT_LENGTH,
  HOST_FIELD,
  HTTP2_SETTINGS,
  idOfName,
  KEEP_ALIVE,
  PROXY_CONNECTION,
  REMOVED,
  TE,
  TRACEPARENT,
  TRANSFER_ENCODING,
  UPGRADE,
} from './field-names.ts'
import { Http1Head } from './head.ts'
import { reasonOf } from './reason.ts'

/** How the body of a message is framed on the wire it goes to: its length, or one of these. */
export const CHUNKED_BODY = -1
export const CLOSE_BODY = -2
export const NO_BODY = -3
/** What follows is a tunnel, and no body at all (RFC 9112 section 6.3). */
export const TUNNEL_BODY = -4

const TRACEPARENT_LINE = Buffer.from('traceparent: ')
const CHUNKED_LINE = 'transfer-encoding: chunked\r\n'
/** The sender takes trailers: told hop by hop, and so named by Connection (RFC 9110 section 10.1.4). */
const TRAILERS_LINES = 'te: trailers\r\nconnection: TE\r\n'

const KEEP = 0
const DROP = 1
/** TE of a request: only what it says of trailers goes on. */
const IF_TRAILERS = 2

/** Fields of one connection only (RFC 9110 section 7.6.1); Transfer-Encoding stays where the body stays chunked. */
function dropped(...ids: number[]): Uint8Array {
  const table = new Uint8Array(256).fill(KEEP)
  for (const id of [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, UPGRADE, HTTP2_SETTINGS, REMOVED, ...ids])
    table[id] = DROP
  return table
}

const HOP_BY_HOP = dropped()
const HOP_BY_HOP_AND_HOST = dropped(HOST_FIELD)
const HOP_BY_HOP_AND_CODING = dropped(TRANSFER_ENCODING)
const REQUEST_PAIRS_OF_UPGRADE = dropped(TRANSFER_ENCODING, HOST_FIELD)
const REQUEST_PAIRS = REQUEST_PAIRS_OF_UPGRADE.slice()
REQUEST_PAIRS[TE] = IF_TRAILERS
const HOP_BY_HOP_AND_FRAMING = dropped(TRANSFER_ENCODING, CONTENT_LENGTH)

/** The framing a body came with; one without a length goes out chunked. */
export function lengthOf(head: RequestHead | ResponseHead): number {
  const length = head.headers.bodyLength()
  return length >= 0 ? length : CHUNKED_BODY
}

/** What the head may take at most; a caller whose room is smaller makes more. */
export function roomFor(head: RequestHead | ResponseHead): number {
  let room = 256
  if (head instanceof Http1Head) {
    for (let i = 0; i < head.addedEnd; i += 2) room += head.added[i]!.length + head.added[i + 1]!.length + 4
    if (head.told !== null) room += TRACEPARENT_LINE.length + TRACEPARENT_LENGTH
    return room + head.end + head.path.length + head.authority.length
  }
  const carried = head.headers.carried()
  if (carried !== null) room += roomForLines(carried, carried.names!) + (carried.reason?.length ?? 0)
  else
    head.headers.forEach((name, value) => {
      room += name.length + value.length + 4
    })
  if ('path' in head) room += head.path.length + head.authority.length + head.method.length
  return room
}

/** Writes the request to `out` from 0 and returns its length. `body`: its framing. */
export function writeRequest(head: RequestHead, body: number, out: Buffer): number {
  // The length of a body that does not come would be taken from the next request.
  if (body === NO_BODY && head.headers.bodyLength() > 0) head.headers.delete('content-length')
  if (!(head instanceof Http1Head)) return writeRequestPairs(head, body, out)
  const length = writeOwnRequest(head, out)
  const lines = linesAnew(head, body)
  // In the place of the empty line.
  return lines === '' ? length : length - 2 + out.latin1Write(`${lines}\r\n`, length - 2)
}

/** What is not copied because it is of this connection, or was written as some would misread it. */
function linesAnew(head: Http1Head, body: number): string {
  const coding = body === CHUNKED_BODY && (!head.chunked || head.codingAnew) ? CHUNKED_LINE : ''
  if (head.upgrade !== '') return head.upgrade === CONNECT ? '' : coding + upgradeLines(spelling(head))
  return head.takesTrailers ? coding + TRAILERS_LINES : coding
}

/** As the caller wrote it: some servers look for SPDY/3.1 and would not know it in small letters. */
function spelling(head: Http1Head): string {
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] !== UPGRADE) continue
    for (const part of head.value(i).split(',')) if (part.trim().toLowerCase() === head.upgrade) return part.trim()
  }
  return head.upgrade
}

/** The fields that ask for an upgrade, or grant it (RFC 9110 section 7.8). */
export function upgradeLines(protocol: string): string {
  return `connection: Upgrade\r\nupgrade: ${protocol}\r\n`
}

function writeOwnRequest(head: Http1Head, out: Buffer): number {
  // HTTP/1.0 and the absolute form are rewritten: what we send is ours to vouch for (RFC 9110 section 2.5, RFC 9112
  // section 3.2.2).
  if (head.minorVersion === 1 && !head.isTargetAnew) return copyHead(head, head.start, HOP_BY_HOP, out, 0)
  const hasHost = head.authority !== ''
  const at = out.latin1Write(
    `${head.method} ${head.path} HTTP/1.1\r\n${hasHost || head.minorVersion === 0 ? `Host: ${head.authority}\r\n` : ''}`,
    0,
  )
  return copyHead(head, head.fieldsAt, HOP_BY_HOP_AND_HOST, out, at)
}

/**
 * Writes the response to `out` from 0 and returns its length. `body`: its framing; `line`: fields of this connection,
 * empty for none.
 */
export function writeResponse(head: ResponseHead, body: number, line: string, out: Buffer): number {
  const hasNoFraming = head.status === 204 || head.status < 200 || body === TUNNEL_BODY
  // A filter may have said another length than the body has, or none (RFC 9110 section 8.6).
  if (hasNoFraming ? head.headers.bodyLength() >= 0 : body >= 0 && head.headers.bodyLength() !== body)
    sayLength(head, hasNoFraming, body)
  if (!(head instanceof Http1Head)) return writeResponsePairs(head, body, line, out)
  let at: number
  if (head.minorVersion === 1) at = head.bytes.copy(out, 0, 0, head.statusEnd)
  else at = out.latin1Write(`HTTP/1.1 ${head.status}`, 0)
  if (head.bytes[head.statusEnd] !== 0x20) out[at++] = 0x20
  at += head.bytes.copy(out, at, head.statusEnd, head.fieldsAt)
  const coding = body === CHUNKED_BODY && (!head.chunked || head.codingAnew) ? CHUNKED_LINE : ''
  const table = hasNoFraming
    ? HOP_BY_HOP_AND_FRAMING
    : head.chunked && body !== CHUNKED_BODY && body !== NO_BODY
      ? HOP_BY_HOP_AND_CODING
      : HOP_BY_HOP
  if (line !== '' || coding !== '') at += out.latin1Write(line + coding, at)
  return copyHead(head, head.fieldsAt, table, out, at)
}

function sayLength({ headers }: ResponseHead, hasNoFraming: boolean, body: number): void {
  if (hasNoFraming) headers.delete('content-length')
  else headers.set('content-length', String(body))
}

/**
 * Copies the bytes from `from` to the end of the head, less the fields of `table`, in as few runs as there are gaps;
 * then the added fields and the empty line.
 */
function copyHead(head: Http1Head, from: number, table: Uint8Array, out: Buffer, at: number): number {
  const { bytes, fields, ids, count, told } = head
  const hidden = told === null ? REMOVED : TRACEPARENT
  let run = from
  for (let i = 0; i < count; i++) {
    if (table[ids[i]!] === KEEP && ids[i] !== hidden) continue
    const start = fields[i << 2]!
    if (start > run) at += bytes.copy(out, at, run, start)
    run = i + 1 < count ? fields[(i + 1) << 2]! : head.end - 2
  }
  const last = head.end - 2
  if (last > run) at += bytes.copy(out, at, run, last)
  const { added, addedEnd } = head
  for (let i = 0; i < addedEnd; i += 2) at = writeField(added[i]!, added[i + 1]!, out, at)
  if (told !== null) at = writeTold(told, out, at)
  out[at] = 0x0d
  out[at + 1] = 0x0a
  return at + 2
}

function writeField(name: string, value: string, out: Buffer, at: number): number {
  at = writeText(name, out, at)
  out[at] = 0x3a
  out[at + 1] = 0x20
  at = writeText(value, out, at + 2)
  out[at] = 0x0d
  out[at + 1] = 0x0a
  return at + 2
}

/** A call into Node costs as much as this many characters. */
const SHORT = 64

function writeText(text: string, out: Buffer, at: number): number {
  const { length } = text
  if (length > SHORT) return at + out.latin1Write(text, at)
  for (let i = 0; i < length; i++) out[at + i] = text.charCodeAt(i)
  return at + length
}

function writeTold(told: ToldIds, out: Buffer, at: number): number {
  for (let i = 0; i < TRACEPARENT_LINE.length; i++) out[at++] = TRACEPARENT_LINE[i]!
  writeTraceparent(out, at, told)
  at += TRACEPARENT_LENGTH
  out[at] = 0x0d
  out[at + 1] = 0x0a
  return at + 2
}

/**
 * Heads of another codec, or our own. What HTTP/2 may not have was refused there; what it may have and HTTP/1.1 has
 * another place for is left out here.
 */
function writeRequestPairs(head: RequestHead, body: number, out: Buffer): number {
  const carried = head.headers.carried()
  if (carried !== null) return writeCarriedRequest(head, carried, body, out)
  const asks = head.upgrade === '' || head.upgrade === CONNECT ? '' : upgradeLines(head.upgrade)
  const text = `${head.method} ${head.path} HTTP/1.1\r\nhost: ${head.authority}\r\n${asks}${pairs(head.headers, head.upgrade === '' ? REQUEST_PAIRS : REQUEST_PAIRS_OF_UPGRADE)}`
  // No body, said so: to methods that usually have one some servers answer 411 else (RFC 9110 section 8.6).
  const empty = body === NO_BODY && /^(?:POST|PUT|PATCH)$/.test(head.method) ? 0 : body
  return out.latin1Write(`${text}${framing(head, empty)}\r\n`, 0)
}

function writeResponsePairs(head: ResponseHead, body: number, line: string, out: Buffer): number {
  const carried = head.headers.carried()
  if (carried !== null) return writeCarriedResponse(head, carried, body, line, out)
  return out.latin1Write(
    `HTTP/1.1 ${head.status} ${reasonOf(head.status)}\r\n${line}${pairs(head.headers, HOP_BY_HOP_AND_CODING)}${framing(head, body)}\r\n`,
    0,
  )
}

/** A head that had been HTTP/1.1 before the sidecar that sent it to us: as it was. */
function writeCarriedRequest(head: RequestHead, carried: Carried, body: number, out: Buffer): number {
  const names = carried.names!
  const lines = carriedLines(carried, names, head.authority, body === CHUNKED_BODY)
  const framed = body !== CHUNKED_BODY || names.hasCoding ? '' : framing(head, body)
  return out.latin1Write(
    `${head.method} ${head.path} HTTP/1.1\r\n${lines}${framed}${names.hasTe && head.headers.get('te') !== undefined ? TRAILERS_LINES : ''}\r\n`,
    0,
  )
}

function writeCarriedResponse(head: ResponseHead, carried: Carried, body: number, line: string, out: Buffer): number {
  const names = carried.names!
  const { status } = head
  // With an answer that has no body the coding is as good as any other field, but for these (RFC 9112 section 6.1).
  const coding = (body === CHUNKED_BODY || body === NO_BODY) && status !== 204 && status >= 200
  const lines = carriedLines(carried, names, null, coding)
  const framed = coding && names.hasCoding ? '' : framing(head, body)
  return out.latin1Write(`HTTP/1.1 ${status} ${carried.reason ?? reasonOf(status)}\r\n${line}${lines}${framed}\r\n`, 0)
}

/** The fields less those of one connection only, which must not come to mean this one (RFC 9110 section 7.6.1). */
function pairs(headers: Headers, table: Uint8Array): string {
  let text = ''
  let trailers = ''
  headers.forEach((name, value) => {
    const how = table[idOfName(name.toLowerCase())]
    if (how === KEEP) text += `${name}: ${value}\r\n`
    else if (how === IF_TRAILERS && trailersOfTe(value)) trailers = TRAILERS_LINES
  })
  return text + trailers
}

function framing(head: RequestHead | ResponseHead, body: number): string {
  if (body === CHUNKED_BODY) return CHUNKED_LINE
  return body >= 0 && head.headers.bodyLength() < 0 ? `content-length: ${body}\r\n` : ''
}
