/** DNS messages (RFC 1035), as far as a server needs them that answers for a few names and forwards the others. */

export const types = { a: 1, soa: 6, ptr: 12, aaaa: 28, srv: 33, opt: 41, ixfr: 251, axfr: 252, any: 255 } as const
export const rcodes = {
  noError: 0,
  formErr: 1,
  servFail: 2,
  nxDomain: 3,
  notImp: 4,
  refused: 5,
  /** With EDNS only: its upper bits are in the OPT record (RFC 6891 section 6.1.3). */
  badVersion: 16,
} as const
export const IN = 1

const HEADER = 12
const LONGEST_NAME = 255
/** What a client takes over UDP that says nothing (RFC 1035 section 4.2.1). */
export const PLAIN_UDP = 512
/** What is sent over UDP at most, to a client that takes more: on this machine, and over a network without fragments. */
export const LARGEST_UDP = 4096
export const LARGEST_REMOTE_UDP = 1232

const QR = 0x8000
const OPCODE = 0x7800
const AA = 0x0400
const TC = 0x0200
const RD = 0x0100
const RA = 0x0080
const RCODE = 0x000f

export interface Query {
  readonly id: number
  readonly flags: number
  /** In lower case, without the dot at the end; a dot inside a label is `\.`. Empty: the root. */
  readonly name: string
  readonly type: number
  readonly class: number
  /** The question as it came: its case is kept, because some clients check it. */
  readonly question: Buffer
  /** Null: the client does not speak EDNS. */
  readonly edns: Edns | null
}

export interface Edns {
  readonly udpSize: number
  readonly version: number
  readonly dnssecOk: boolean
}

/** `drop`: no query, so no answer. A number: a query that is answered with this code. */
export type Read = Query | 'drop' | number

/** Reads a query. What follows its question is only looked through for EDNS. */
export function readQuery(bytes: Buffer): Read {
  if (bytes.length < HEADER || (bytes.readUInt16BE(2) & QR) !== 0) return 'drop'
  const flags = bytes.readUInt16BE(2)
  if ((flags & OPCODE) !== 0) return rcodes.notImp
  if (bytes.readUInt16BE(4) !== 1 || bytes.readUInt16BE(6) !== 0) return rcodes.formErr
  const name = readName(bytes)
  if (name === null || name.end + 4 > bytes.length) return rcodes.formErr
  const edns = readEdns(bytes, name.end + 4)
  if (edns === 'malformed') return rcodes.formErr
  return {
    id: bytes.readUInt16BE(0),
    flags,
    name: name.text,
    type: bytes.readUInt16BE(name.end),
    class: bytes.readUInt16BE(name.end + 2),
    question: bytes.subarray(HEADER, name.end + 4),
    edns,
  }
}

/** The name of the first question: there is nothing before it that a pointer could mean. */
function readName(bytes: Buffer): { readonly text: string; readonly end: number } | null {
  let text = ''
  let at = HEADER
  for (;;) {
    if (at >= bytes.length) return null
    const length = bytes[at]!
    if (length === 0) break
    if (length > 63 || at + 1 + length > bytes.length || at + 1 + length - HEADER > LONGEST_NAME - 1) return null
    const label = bytes.latin1Slice(at + 1, at + 1 + length)
    text += (text === '' ? '' : '.') + (label.includes('.') ? label.replaceAll('.', '\\.') : label)
    at += 1 + length
  }
  return { text: lowerCase(text), end: at + 1 }
}

/** Of ASCII letters only (RFC 4343). */
function lowerCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, letters => letters.toLowerCase()) : text
}

function readEdns(bytes: Buffer, start: number): Edns | null | 'malformed' {
  const records = bytes.readUInt16BE(8) + bytes.readUInt16BE(10)
  let edns: Edns | null = null
  let at = start
  for (let i = 0; i < records; i++) {
    const owner = at
    at = afterName(bytes, at)
    if (at < 0 || at + 10 > bytes.length) return 'malformed'
    const type = bytes.readUInt16BE(at)
    const end = at + 10 + bytes.readUInt16BE(at + 8)
    if (end > bytes.length) return 'malformed'
    if (type === types.opt) {
      // One, of the root (RFC 6891 section 6.1.1).
      if (edns !== null || bytes[owner] !== 0) return 'malformed'
      edns = {
        udpSize: bytes.readUInt16BE(at + 2),
        version: bytes[at + 5]!,
        dnssecOk: (bytes[at + 6]! & 0x80) !== 0,
      }
    }
    at = end
  }
  return edns
}

/** Behind a name, whose pointers are not followed; negative: it is malformed. */
function afterName(bytes: Buffer, start: number): number {
  let at = start
  while (at < bytes.length && at - start < LONGEST_NAME) {
    const length = bytes[at]!
    if (length === 0) return at + 1
    if (length >= 0xc0) return at + 2
    if (length > 63) return -1
    at += 1 + length
  }
  return -1
}

export interface ResourceRecord {
  /** Null: the name of the question. */
  readonly name: string | null
  readonly type: number
  readonly ttl: number
  readonly data: Buffer
}

export interface Reply {
  readonly rcode: number
  readonly answers?: readonly ResourceRecord[]
  readonly authority?: readonly ResourceRecord[]
}

/** An answer of our own. */
export function writeReply(query: Query, { rcode, answers = [], authority = [] }: Reply): Buffer {
  const records = [...answers, ...authority].map(recordBytes)
  const opt = query.edns === null ? [] : [optBytes(query.edns, rcode)]
  const header = Buffer.alloc(HEADER)
  header.writeUInt16BE(query.id, 0)
  header.writeUInt16BE(QR | AA | RA | (query.flags & RD) | (rcode & RCODE), 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(answers.length, 6)
  header.writeUInt16BE(authority.length, 8)
  header.writeUInt16BE(opt.length, 10)
  return Buffer.concat([header, query.question, ...records, ...opt])
}

/** To a query that could not be read, or is not answered. `bytes`: it, with a whole header. */
export function writeError(bytes: Buffer, rcode: number): Buffer {
  const header = Buffer.alloc(HEADER)
  header.writeUInt16BE(bytes.readUInt16BE(0), 0)
  header.writeUInt16BE(QR | RA | (bytes.readUInt16BE(2) & (OPCODE | RD)) | rcode, 2)
  return header
}

/** To a query that is not answered by us and by nobody else: without AA. */
export function writeFailure(query: Query, rcode: number): Buffer {
  const bytes = writeReply(query, { rcode })
  bytes.writeUInt16BE(bytes.readUInt16BE(2) & ~AA, 2)
  return bytes
}

function recordBytes({ name, type, ttl, data }: ResourceRecord): Buffer {
  const owner = name === null ? Buffer.from([0xc0, HEADER]) : nameBytes(name)
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(IN, 2)
  fixed.writeUInt32BE(ttl, 4)
  fixed.writeUInt16BE(data.length, 8)
  return Buffer.concat([owner, fixed, data])
}

/** Of version 0, whatever the client's. */
function optBytes({ dnssecOk }: Edns, rcode: number): Buffer {
  const bytes = Buffer.alloc(11)
  bytes.writeUInt16BE(types.opt, 1)
  bytes.writeUInt16BE(LARGEST_UDP, 3)
  bytes[5] = rcode >> 4
  bytes[7] = dnssecOk ? 0x80 : 0
  return bytes
}

/** A name of ours: letters, digits, `-`, `_` and dots. */
export function nameBytes(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.')
  return Buffer.concat([
    ...labels.flatMap(label => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]),
    Buffer.from([0]),
  ])
}

/** Says for how long a negative answer counts (RFC 2308): `seconds`, as its TTL and its minimum. */
export function soa(zone: string, seconds: number): ResourceRecord {
  const numbers = Buffer.alloc(20)
  for (const [index, value] of [1, 3600, 600, 86_400, seconds].entries()) numbers.writeUInt32BE(value, index * 4)
  const data = Buffer.concat([nameBytes(`ns.${zone}`), nameBytes(`hostmaster.${zone}`), numbers])
  return { name: zone, type: types.soa, ttl: seconds, data }
}

// ── what is forwarded ──

/** Whether these bytes answer the question that was sent with this id. */
export function answers(bytes: Buffer, id: number, question: Buffer): boolean {
  if (bytes.length < HEADER || bytes.readUInt16BE(0) !== id) return false
  const flags = bytes.readUInt16BE(2)
  if ((flags & QR) === 0) return false
  const questions = bytes.readUInt16BE(4)
  // A server that could not read the question does not repeat it.
  if (questions === 0) return (flags & RCODE) !== 0 && bytes.readUInt16BE(6) === 0
  if (questions !== 1 || bytes.length < HEADER + question.length) return false
  const name = question.length - 4
  for (let i = 0; i < question.length; i++) {
    const [got, sent] = [bytes[HEADER + i]!, question[i]!]
    if (got !== sent && (i >= name || fold(got) !== fold(sent))) return false
  }
  return true
}

/** Case does not count in names. */
function fold(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}

/** A copy with another id. */
export function withId(bytes: Buffer, id: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt16BE(id, 0)
  return copy
}

export function rcodeOf(bytes: Buffer): number {
  return bytes.readUInt16BE(2) & RCODE
}

export function answerCount(bytes: Buffer): number {
  return bytes.readUInt16BE(6)
}

export function isTruncated(bytes: Buffer): boolean {
  return (bytes.readUInt16BE(2) & TC) !== 0
}

/** What fits into a datagram for this client: the answer, or a word that it has to ask over TCP. */
export function forDatagram(bytes: Buffer, query: Query, largest = LARGEST_UDP): Buffer {
  if (bytes.length <= datagramSize(query, largest)) return bytes
  const cut = writeReply(query, { rcode: rcodeOf(bytes) })
  cut.writeUInt16BE(bytes.readUInt16BE(2) | TC, 2)
  return cut
}

function datagramSize({ edns }: Query, largest: number): number {
  return edns === null ? PLAIN_UDP : Math.min(largest, Math.max(PLAIN_UDP, edns.udpSize))
}
