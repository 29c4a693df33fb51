/** The part of a ClientHello that TLS sends unencrypted. */
export interface ClientHello {
  /** SNI (RFC 6066 section 3), in small letters; empty: none, or not a valid name. */
  readonly serverName: string
  /** ALPN (RFC 7301), as offered. */
  readonly alpn: readonly string[]
}

const HANDSHAKE = 22
const CLIENT_HELLO = 1
/** The bytes of a handshake message's type and length. */
const HEAD_BYTES = 4
const SERVER_NAME = 0
const ALPN = 16
/** The longest record (RFC 8446 section 5.1). */
const MAX_FRAGMENT = 16 * 1024
/** Real clients send shorter ones; post-quantum keys take 2 KiB. */
export const MAX_HELLO_BYTES = 32 * 1024

/**
 * Reads the ClientHello at the start of a connection, which may span several records. Null: not TLS, or not understood.
 * `more`: incomplete so far.
 */
export function readClientHello(bytes: Buffer, length: number): ClientHello | 'more' | null {
  const limit = Math.min(length, MAX_HELLO_BYTES)
  // Called again with each packet, so nothing is joined before all is there: records of one byte would be copied
  // thousands of times.
  let size = 0
  let announced = Number.POSITIVE_INFINITY
  for (let at = 0; ; ) {
    if (limit > at && bytes[at] !== HANDSHAKE) return null
    if (limit > at + 1 && bytes[at + 1] !== 3) return null
    if (limit <= at + 5) break
    const record = bytes.readUInt16BE(at + 3)
    // Empty handshake fragments are not allowed: a caller could send them without end.
    if (record === 0 || record > MAX_FRAGMENT) return null
    if (size === 0 && bytes[at + 5] !== CLIENT_HELLO) return null
    const before = size
    size += Math.min(record, limit - at - 5)
    if (before < HEAD_BYTES && size >= HEAD_BYTES)
      announced = HEAD_BYTES + messageOf(bytes, limit, HEAD_BYTES).readUIntBE(1, 3)
    // Data after it, such as early data, is not read.
    if (size >= announced) return helloOf(messageOf(bytes, limit, announced).subarray(HEAD_BYTES))
    at += 5 + record
    if (at > limit) break
  }
  if (announced !== Number.POSITIVE_INFINITY && announced - HEAD_BYTES > MAX_HELLO_BYTES) return null
  return limit < MAX_HELLO_BYTES ? 'more' : null
}

/** The first bytes of the message in the records, in one piece; `size`: at most as many as there are. */
function messageOf(bytes: Buffer, limit: number, size: number): Buffer {
  const message = Buffer.alloc(size)
  for (let at = 0, to = 0; to < size; ) {
    const record = bytes.readUInt16BE(at + 3)
    to += bytes.copy(message, to, at + 5, Math.min(at + 5 + record, limit))
    at += 5 + record
  }
  return message
}

/** RFC 8446 section 4.1.2: version, random, session id, cipher suites, compression methods, extensions. */
function helloOf(body: Buffer): ClientHello | null {
  let at = skip(body, 34, 1)
  if (at >= 0) at = skip(body, at, 2)
  if (at >= 0) at = skip(body, at, 1)
  if (at < 0) return null
  // TLS 1.2 without extensions.
  if (at === body.length) return { serverName: '', alpn: [] }
  const end = skip(body, at, 2)
  if (end !== body.length) return null
  let serverName = ''
  let alpn: string[] = []
  for (at += 2; at < end; ) {
    if (at + 4 > end) return null
    const type = body.readUInt16BE(at)
    const next = skip(body, at + 2, 2)
    if (next < 0) return null
    const data = body.subarray(at + 4, next)
    if (type === SERVER_NAME) serverName = serverNameOf(data)
    else if (type === ALPN) alpn = protocolsOf(data)
    at = next
  }
  return { serverName, alpn }
}

/** The offset after a vector with a length of this many bytes; -1: it is longer than the data. */
function skip(body: Buffer, at: number, lengthBytes: number): number {
  if (at + lengthBytes > body.length) return -1
  const end = at + lengthBytes + body.readUIntBE(at, lengthBytes)
  return end > body.length ? -1 : end
}

/**
 * Reads a list of (type, name) with one host name. A name with other characters than letters, digits, hyphens,
 * underscores and dots counts as none.
 */
function serverNameOf(data: Buffer): string {
  if (data.length < 5 || data[2] !== 0) return ''
  const end = skip(data, 3, 2)
  if (end < 0 || end - 5 > 255) return ''
  const name = data.toString('latin1', 5, end).toLowerCase()
  return /^[a-z0-9._-]+$/.test(name) ? name.replace(/\.$/, '') : ''
}

function protocolsOf(data: Buffer): string[] {
  const names: string[] = []
  for (let at = 2; at < data.length && names.length < 16; ) {
    const end = skip(data, at, 1)
    if (end < 0) break
    names.push(data.toString('latin1', at + 1, end))
    at = end
  }
  return names
}
