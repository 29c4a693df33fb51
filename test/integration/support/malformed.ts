/**
 * What must be refused and never forwarded: a name, the bytes, the status. Where the head looks whole the bytes go on
 * with a request that a naive proxy would let in.
 */
export type Malformed = readonly [name: string, bytes: string, status: number]

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n'
const post = (fields: string, body = '') => `POST / HTTP/1.1\r\nHost: orders\r\n${fields}\r\n${body}`
const get = (fields: string, target = '/') => `GET ${target} HTTP/1.1\r\nHost: orders\r\n${fields}\r\n`
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body)

/** Refused by their head. */
export const malformedHeads: readonly Malformed[] = [
  // Which body is it? (RFC 9112 section 6.3)
  [
    'Content-Length and Transfer-Encoding',
    post('Content-Length: 6\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`),
    400,
  ],
  [
    'Transfer-Encoding and Content-Length',
    post('Transfer-Encoding: chunked\r\nContent-Length: 0\r\n', `0\r\n\r\n${SMUGGLED}`),
    400,
  ],
  ['two different Content-Lengths', post('Content-Length: 0\r\nContent-Length: 40\r\n', SMUGGLED), 400],
  ['two equal Content-Lengths', post('Content-Length: 0\r\nContent-Length: 0\r\n', SMUGGLED), 400],
  ['a list of Content-Lengths', post('Content-Length: 0, 40\r\n', SMUGGLED), 400],
  ['a signed Content-Length', post('Content-Length: +5\r\n', SMUGGLED), 400],
  ['a negative Content-Length', post('Content-Length: -1\r\n', SMUGGLED), 400],
  ['a hexadecimal Content-Length', post('Content-Length: 0x5\r\n', SMUGGLED), 400],
  ['a Content-Length with a space inside', post('Content-Length: 4 2\r\n', SMUGGLED), 400],
  ['an empty Content-Length', post('Content-Length: \r\n', SMUGGLED), 400],
  ['a Content-Length beyond 2^53', post('Content-Length: 99999999999999999999\r\n', SMUGGLED), 400],
  ['Transfer-Encoding: identity', post('Transfer-Encoding: identity\r\n', SMUGGLED), 400],
  ['Transfer-Encoding: xchunked', post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${SMUGGLED}`), 400],
  [
    'Transfer-Encoding: chunked, identity',
    post('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${SMUGGLED}`),
    400,
  ],
  ['Transfer-Encoding: gzip, chunked', post('Transfer-Encoding: gzip, chunked\r\n', `0\r\n\r\n${SMUGGLED}`), 400],
  [
    'Transfer-Encoding: chunked twice',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`),
    400,
  ],
  ['a quoted Transfer-Encoding', post('Transfer-Encoding: "chunked"\r\n', `0\r\n\r\n${SMUGGLED}`), 400],
  ['Transfer-Encoding with a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n', `0\r\n\r\n${SMUGGLED}`), 400],
  [
    'Transfer-Encoding in HTTP/1.0',
    `POST / HTTP/1.0\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    400,
  ],
  // Where does a line, a field, the head end? (RFC 9112 sections 2.2 and 5)
  ['a bare LF after the request line', `GET / HTTP/1.1\nHost: orders\r\n\r\n${SMUGGLED}`, 400],
  ['a bare LF after a field', `GET / HTTP/1.1\r\nHost: orders\nX: y\r\n\r\n${SMUGGLED}`, 400],
  ['a bare LF at the end of the head', `GET / HTTP/1.1\r\nHost: orders\r\n\n${SMUGGLED}`, 400],
  ['a bare CR in a field', get('X: a\rTransfer-Encoding: chunked\r\n'), 400],
  ['NUL in a field', get('X: a\0b\r\n'), 400],
  ['a space before the colon', post('Content-Length : 5\r\n', 'hello'), 400],
  ['a tab before the colon', post('Transfer-Encoding\t: chunked\r\n', `0\r\n\r\n${SMUGGLED}`), 400],
  ['a folded field', post('X: a\r\n Transfer-Encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`), 400],
  ['a first field that is folded', `GET / HTTP/1.1\r\n Host: orders\r\n\r\n${SMUGGLED}`, 400],
  ['a field without a name', get(': x\r\n'), 400],
  ['a field without a colon', get('garbage\r\n'), 400],
  ['a name with a byte of its own', get('X\xa0Y: z\r\n'), 400],
  // Who is it for, and what does it want? (RFC 9112 section 3)
  ['no Host', 'GET / HTTP/1.1\r\nX: y\r\n\r\n', 400],
  ['two Hosts', get('Host: elsewhere\r\n'), 400],
  ['a Host with a path', 'GET / HTTP/1.1\r\nHost: orders/admin\r\n\r\n', 400],
  ['a Host with user information', 'GET / HTTP/1.1\r\nHost: a@orders\r\n\r\n', 400],
  ['an absolute form with user information', 'GET http://a@orders/ HTTP/1.1\r\nHost: orders\r\n\r\n', 400],
  ['a method with a colon', `G:T / HTTP/1.1\r\nHost: orders\r\n\r\n`, 400],
  ['a space inside the target', get('', '/a b'), 400],
  ['a control byte in the target', get('', '/a\x01b'), 400],
  ['a target that is none', get('', 'orders'), 400],
  ['"*" for a GET', get('', '*'), 400],
  ['no version', 'GET /\r\nHost: orders\r\n\r\n', 400],
  ['a version in lower case', 'GET / http/1.1\r\nHost: orders\r\n\r\n', 400],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: orders\r\n\r\n', 505],
  // Too much.
  ['101 fields', get('X: y\r\n'.repeat(100)), 431],
  ['a head of more than 60 KiB', get(`${'x'.repeat(100)}: ${'y'.repeat(1000)}\r\n`.repeat(60)), 431],
  ['a target of more than 16 KiB', get('', `/${'a'.repeat(17 * 1024)}`), 414],
  ['an unknown expectation', post('Expect: 200-maybe\r\nContent-Length: 0\r\n'), 417],
]

/**
 * Refused by their body: the head was good, so the upstream may have seen it and a part of the body, but never an end
 * of it.
 */
export const malformedBodies: readonly Malformed[] = [
  ['a chunk size that is none', chunked(`xyz\r\n${SMUGGLED}`), 400],
  ['a chunk size with 0x', chunked(`0x5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`), 400],
  ['a signed chunk size', chunked(`+5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`), 400],
  ['a chunk size that overflows', chunked(`fffffffffffffffff\r\nhello\r\n0\r\n\r\n${SMUGGLED}`), 400],
  ['a space before the chunk size', chunked(` 5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`), 400],
  ['a bare LF after the chunk size', chunked(`5\nhello\r\n0\r\n\r\n${SMUGGLED}`), 400],
  ['a bare LF in a chunk extension', chunked(`5;a\nb\r\nhello\r\n0\r\n\r\n${SMUGGLED}`), 400],
  ['chunk data longer than its size', chunked(`3\r\nhello\r\n0\r\n\r\n${SMUGGLED}`), 400],
  ['chunk data ended by a bare LF', chunked(`5\r\nhello\n0\r\n\r\n${SMUGGLED}`), 400],
  ['a bare LF after the last chunk', chunked(`5\r\nhello\r\n0\n\r\n${SMUGGLED}`), 400],
  ['a bare LF in the trailers', chunked(`0\r\nX: y\n\r\n${SMUGGLED}`), 400],
  ['a space before the colon of a trailer', chunked(`0\r\nX : y\r\n\r\n${SMUGGLED}`), 400],
]
