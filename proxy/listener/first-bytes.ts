import { readClientHello } from './client-hello.ts'

/** The protocol that the first bytes of a connection show. `more`: not enough bytes. */
export type FirstBytes = 'http1' | 'http2' | 'tls' | 'tcp' | 'more'

export type IsHttp2 = (bytes: Buffer, length: number) => 'yes' | 'no' | 'more'

/** A longer first line is not a request line. */
const MAX_LINE = 1024
const CR = 13
const LF = 10
const SPACE = 32
const TAB = 9
const SLASH = 47
const ASTERISK = 42

/** 1: a token character (RFC 9110 section 5.6.2). 2: any other character of a line of text. 0: others. */
const kinds = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (/[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(byte))) return 1
  return (byte > 32 && byte < 127) || byte === SPACE || byte === TAB ? 2 : 0
})

const METHODS = ['get', 'post', 'put', 'delete', 'head', 'patch', 'options', 'trace']

/** Depends on the bytes only: the answer is the same however they are split. */
export function lookAt(bytes: Buffer, length: number, isHttp2: IsHttp2): FirstBytes {
  if (length === 0) return 'more'
  if (bytes[0] === 0x16) {
    const hello = readClientHello(bytes, length)
    return hello === null ? 'tcp' : hello === 'more' ? 'more' : 'tls'
  }
  const h2 = isHttp2(bytes, length)
  if (h2 !== 'no') return h2 === 'yes' ? 'http2' : 'more'
  return lineOf(bytes, length)
}

/**
 * Bytes that begin with a word and a space or the name of a method, or have `HTTP/` in their first line, count as
 * HTTP/1. This is broader than correct, on purpose: a malformed request must be refused as a request, and must not pass
 * as bytes of a tunnel.
 */
function lineOf(bytes: Buffer, length: number): FirstBytes {
  let start = 0
  // RFC 9112 section 2.2: empty lines before a request are skipped.
  while (start < Math.min(length, MAX_LINE) && (bytes[start] === CR || bytes[start] === LF)) start++
  if (start === MAX_LINE) return 'tcp'
  const limit = Math.min(length, start + MAX_LINE)
  let at = start
  while (at < limit && kinds[bytes[at]!] === 1) at++
  if (at < limit) {
    if (at > start && (bytes[at] === SPACE || bytes[at] === TAB || isMethod(bytes, start, at))) return 'http1'
    while (at < limit && kinds[bytes[at]!] !== 0) at++
    if (at < limit) return bytes.toString('latin1', start, at).toUpperCase().includes('HTTP/') ? 'http1' : 'tcp'
  }
  return limit < start + MAX_LINE ? 'more' : 'tcp'
}

function isMethod(bytes: Buffer, start: number, end: number): boolean {
  return end - start <= 7 && METHODS.includes(bytes.toString('latin1', start, end).toLowerCase())
}

/** Whether these bytes, too few to decide, may begin a request. */
export function mayBeRequest(bytes: Buffer, length: number, isHttp2: IsHttp2): boolean {
  if (isHttp2(bytes, length) !== 'no') return true
  const text = bytes.toString('latin1', 0, Math.min(length, 16)).trimStart().toLowerCase()
  return METHODS.some(method => method.startsWith(text))
}

/**
 * What looks like HTTP/1 and may not be: text commands of memcached and Redis begin so too, and a request that is meant
 * for another proxy (CONNECT, or a whole URL as its target) is not for us. Only a first line of the form of RFC 9112
 * section 3 counts, whose target is a path.
 */
export function surely(bytes: Buffer, length: number): FirstBytes {
  let start = 0
  while (start < Math.min(length, MAX_LINE) && (bytes[start] === CR || bytes[start] === LF)) start++
  const limit = Math.min(length, start + MAX_LINE)
  let at = start
  while (at < limit && kinds[bytes[at]!] === 1) at++
  if (at < limit && (bytes[at] !== SPACE || at === start)) return 'tcp'
  if (at + 1 >= limit) return limit < start + MAX_LINE ? 'more' : 'tcp'
  const isPath = bytes[at + 1] === SLASH || bytes[at + 1] === ASTERISK
  if (!isPath) return 'tcp'
  if (isMethod(bytes, start, at)) return 'http1'
  // A method that is not known: the line has to end as that of a request does.
  const end = bytes.indexOf(LF, at)
  if (end < 0 || end >= limit) return limit < start + MAX_LINE ? 'more' : 'tcp'
  return / HTTP\/\d\.\d\r?$/.test(bytes.toString('latin1', at, end)) ? 'http1' : 'tcp'
}
