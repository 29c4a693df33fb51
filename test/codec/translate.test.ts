import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { trimOws } from '../../proxy/codec/bytes.ts'
import { Http1Head } from '../../proxy/codec/h1/head.ts'
import { DONE } from '../../proxy/codec/h1/outcome.ts'
import { parseRequest, parseResponse } from '../../proxy/codec/h1/parse.ts'
import {
  CHUNKED_BODY,
  lengthOf,
  NO_BODY,
  roomFor,
  writeRequest,
  writeResponse,
} from '../../proxy/codec/h1/serialize.ts'
import { Http2Head } from '../../proxy/codec/h2/head.ts'
import { encodeRequest } from '../../proxy/codec/h2/head-writer.ts'
import { Decoder } from '../../proxy/codec/h2/hpack/decoder.ts'
import { Encoder } from '../../proxy/codec/h2/hpack/encoder.ts'
import { encodeCarriedRequest } from '../../proxy/codec/hop/encode.ts'
import { NAMES } from '../../proxy/codec/hop/names.ts'
import { CONNECT } from '../../proxy/core/tunnel.ts'
import { requestLimits } from '../support/recorder.ts'
import '../support/seed.ts'
import { literals } from './h2/support/frames.ts'

/**
 * What one version of HTTP accepts leaves as the other version in a form that our own strict reader takes, and reads as
 * the same request.
 */

/** What the codecs add themselves: Host, framing, TE and the line that asks for an upgrade. */
const ADDED = 6
const wide = {
  maxHeaders: requestLimits.maxHeaders + ADDED,
  maxHeadBytes: 2 * requestLimits.maxHeadBytes,
  maxTargetBytes: requestLimits.maxHeadBytes,
}

/** Bytes that have a meaning somewhere on the way, and a few others. */
const odd = fc.constantFrom(
  ...' \t\r\n\0\x7f\x80\xa0\xff:;,/?#*%@[]"\\aZ0-_.',
  'HTTP/1.1',
  'chunked',
  '\r\n\r\n',
  'host',
  'trailers',
  'é'.normalize(),
)
const noise = fc.array(odd, { maxLength: 6 }).map(parts => Buffer.from(parts.join(''), 'latin1').toString('latin1'))
const often = <T>(likely: fc.Arbitrary<T>, other: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 40, arbitrary: likely }, { weight: 1, arbitrary: other })

const method = often(
  fc.constantFrom('GET', 'POST', 'OPTIONS', 'HEAD', 'CONNECT', 'PUT', 'M-SEARCH', 'X'.repeat(32)),
  fc.oneof(fc.constant('X'.repeat(33)), noise),
)
const path = often(
  fc.constantFrom('/', '/a?b', '*', '//x', '/a%20b', '/?', '/a|b{c}'),
  fc.oneof(fc.constantFrom('', 'http://a/', 'a:443'), noise),
)
const authority = often(
  fc.constantFrom('orders', 'orders:80', 'orders.', 'ORDERS.:80'),
  fc.oneof(fc.constantFrom('[::1]:80', 'a:443', 'a:', '', 'a,b', 'u@h'), noise),
)
const scheme = often(fc.constantFrom('http', 'https'), noise)
const name = often(
  fc.constantFrom(
    'x-a',
    'x-b',
    'cookie',
    'content-length',
    'expect',
    'te',
    'host',
    'http2-settings',
    'trailer',
    'sec-websocket-key',
    'outrigger-reason',
    'x_y',
  ),
  fc.oneof(
    fc.constantFrom(
      'upgrade',
      'connection',
      'transfer-encoding',
      'keep-alive',
      'proxy-connection',
      'X-Upper',
      NAMES,
      '',
    ),
    noise,
  ),
)
const value = often(
  fc.constantFrom(
    ...[
      '1',
      '0',
      '007',
      'trailers',
      'Trailers ',
      'gzip, trailers',
      '100-continue',
      '',
      ' a ',
      '\ta\t',
      'orders',
      'orders:80',
      'close, x-a',
      'h2c',
    ],
  ),
  noise,
)
/** Most fields have a value that they may have. */
const fit: Readonly<Record<string, string>> = {
  'content-length': '0',
  expect: '100-continue',
  te: 'trailers',
  host: 'orders',
}
const field = fc
  .tuple(name, value, fc.nat(9))
  .map(([each, text, chance]): readonly [string, string] => [each, chance > 0 ? (fit[each] ?? text) : text])
const fields = fc.array(field, { maxLength: 8 })
const protocol = fc.option(often(fc.constantFrom('websocket', 'connect-udp', 'SPDY/3.1', 'h2c'), noise), {
  nil: undefined,
  freq: 1,
})

/** `:path` is "/", and then a text of no bytes: what was read before must not be taken for it. */
const SLASH_HUFFMAN = Buffer.from([0x04, 0x81, 0x63])
const EMPTY_HUFFMAN = Buffer.from([0x80])

interface Asked {
  readonly pseudo: readonly (readonly [string, string])[]
  readonly fields: readonly (readonly [string, string])[]
  readonly names: boolean
}

const asked: fc.Arbitrary<Asked> = fc
  .record({
    method,
    path: fc.option(path, { nil: undefined }),
    authority: fc.option(authority, { nil: undefined }),
    scheme,
    protocol,
    fields,
    names: fc.boolean(),
  })
  .chain(({ fields, names, ...pseudo }) => {
    const sent = Object.entries(pseudo).flatMap(([key, text]): (readonly [string, string])[] =>
      text === undefined ? [] : [[`:${key}`, text]],
    )
    return fc.record({
      pseudo: often(fc.constant(sent), fc.shuffledSubarray(sent)),
      fields: fc.constant(fields),
      names: fc.constant(names),
    })
  })

/** The head as the HTTP/2 codec takes it; null: it does not. */
function accepted({ pseudo, fields: list, names }: Asked): Http2Head | null {
  const all = [...pseudo, ...list]
  if (names)
    all.push([
      NAMES,
      [
        'Host',
        ...list.map(([each]) => each.replace(/^x-/, 'X-')).filter(each => each !== 'host' && each !== NAMES),
      ].join(','),
    ])
  const block = Buffer.concat(
    all.map(([each, text]) =>
      text === '' ? Buffer.concat([literals(each, '').subarray(0, -1), EMPTY_HUFFMAN]) : literals(each, text),
    ),
  )
  const head = new Http2Head(requestLimits)
  const decoder = new Decoder(4096)
  decoder.decode(SLASH_HUFFMAN, 0, SLASH_HUFFMAN.length, { field() {} })
  if (!decoder.decode(block, 0, block.length, head)) return null
  head.finishRequest()
  const isRefused =
    head.problem !== '' || head.tooLarge || (head.expect !== '' && head.expect.toLowerCase() !== '100-continue')
  return isRefused ? null : head
}

/** Pieces of a cookie are one, wherever they stand (RFC 9113 section 8.2.3). */
function lower(
  head: { forEach(visit: (name: string, value: string) => void): void },
  without: readonly string[],
): string[] {
  const lines: string[] = []
  head.forEach((each, text) => {
    const cookie = each.toLowerCase() === 'cookie' ? lines.findIndex(line => line.startsWith('cookie:')) : -1
    if (cookie >= 0) lines[cookie] += `; ${text}`
    else if (!without.includes(each.toLowerCase())) lines.push(`${each.toLowerCase()}: ${text}`)
  })
  return lines.map(trimOws)
}

/** Fields that are of one connection, or stand elsewhere in the other version. */
const OWN = [
  'host',
  'te',
  'connection',
  'upgrade',
  'http2-settings',
  'transfer-encoding',
  'content-length',
  'sec-websocket-accept',
]

describe('HTTP/2 to HTTP/1.1', () => {
  test('every request that is taken leaves as one that our parser takes, and as the same one', () => {
    let taken = 0
    fc.assert(
      fc.property(asked, fc.boolean(), (request, end) => {
        const head = accepted(request)
        if (head === null) return
        taken++
        const body = end || head.upgrade !== '' ? NO_BODY : lengthOf(head)
        const out = Buffer.alloc(roomFor(head))
        const length = writeRequest(head, body, out)
        const bytes = out.subarray(0, length)
        const again = new Http1Head()
        expect(parseRequest(again, bytes, length, wide).detail, bytes.toString('latin1')).toBe(DONE.detail)
        expect(again.end).toBe(length)
        expect(again).toMatchObject({
          method: head.method,
          path: head.path,
          authority: head.authority,
          upgrade: head.upgrade === 'h2c' ? '' : head.upgrade,
        })
        expect(again.chunked).toBe(body === CHUNKED_BODY)
        expect(lower(again, OWN)).toEqual(lower(head, OWN))
        expect(again.get('te')).toBe(
          head.upgrade === ''
            ? head
                .get('te')
                ?.toLowerCase()
                .replace(/, trailers/g, '')
            : undefined,
        )
      }),
      { numRuns: 20_000 },
    )
    // It is no test where everything is refused.
    expect(taken).toBeGreaterThan(1000)
  })

  test('every answer that is taken leaves as one that our parser takes', () => {
    const status = often(fc.constantFrom('200', '204', '304', '103', '999', '404'), noise)
    let taken = 0
    fc.assert(
      fc.property(status, fields, fc.boolean(), fc.boolean(), (code, list, names, end) => {
        const all = [[':status', code] as const, ...list]
        if (names) all.push([NAMES, list.map(([each]) => each).join(',')])
        const head = new Http2Head(requestLimits)
        const block = literals(...all.flat())
        if (!new Decoder(4096).decode(block, 0, block.length, head)) return
        head.finishResponse()
        if (head.problem !== '' || head.tooLarge) return
        taken++
        const isBodiless = head.status < 200 || head.status === 204 || head.status === 304
        const body = isBodiless ? NO_BODY : end ? 0 : lengthOf(head)
        const out = Buffer.alloc(roomFor(head))
        const length = writeResponse(head, body, '', out)
        const again = new Http1Head()
        expect(parseResponse(again, out, length, wide).detail, out.toString('latin1', 0, length)).toBe(DONE.detail)
        expect(again.end).toBe(length)
        expect(again.status).toBe(head.status)
        expect(again.chunked).toBe(body === CHUNKED_BODY)
        expect(lower(again, OWN)).toEqual(lower(head, OWN))
      }),
      { numRuns: 10_000 },
    )
    expect(taken).toBeGreaterThan(500)
  })
})

describe('HTTP/1.1 to HTTP/2', () => {
  const own = often(name, fc.constantFrom('Connection', 'Upgrade', 'Keep-Alive', 'Transfer-Encoding'))
  const line = fc.tuple(own, value).map(([each, text]) => `${each}:${fit[each] ?? text}\r\n`)
  const target = often(fc.constantFrom('/', '/a?b', '*', 'http://orders/x', 'http://orders?y', 'a:443'), noise)
  const text = fc
    .record({
      method,
      target,
      version: fc.constantFrom('1.1', '1.1', '1.0'),
      host: often(fc.constantFrom('orders', 'orders:80', '', 'a.'), noise),
      lines: fc.array(line, { maxLength: 6 }),
    })
    .map(
      ({ method: each, target: to, version, host, lines }) =>
        `${each} ${to} HTTP/${version}\r\nHost: ${host}\r\n${lines.join('')}\r\n`,
    )

  test.each([
    ['as HTTP/2', encodeRequest],
    ['carried to the next sidecar', encodeCarriedRequest],
  ])('every request that is taken leaves %s in a form that our decoder takes', (_how, encode) => {
    let taken = 0
    fc.assert(
      fc.property(text, request => {
        const bytes = Buffer.from(request, 'latin1')
        const head = new Http1Head()
        if (parseRequest(head, bytes, bytes.length, requestLimits) !== DONE || head.authority === '') return
        // Only a GET can be upgraded over HTTP/2, and nothing that asks for that is carried.
        if (
          head.upgrade !== '' &&
          (encode === encodeCarriedRequest || (head.upgrade !== CONNECT && head.method !== 'GET'))
        )
          return
        taken++
        const encoder = new Encoder(Buffer.alloc(4096), 4096)
        encoder.begin(encoder.out, 0)
        encode(encoder, head)
        const again = new Http2Head(wide)
        expect(new Decoder(4096).decode(encoder.out, 0, encoder.at, again)).toBe(true)
        again.finishRequest()
        expect([again.problem, again.tooLarge], request).toEqual(['', false])
        expect(again).toMatchObject({
          method: head.method,
          path: head.path,
          authority: head.authority,
          upgrade: head.upgrade,
          contentLength: head.contentLength,
        })
        const without = [...OWN, 'keep-alive', 'proxy-connection', NAMES, 'outrigger-reason']
        expect(lower(again, without)).toEqual(lower(head, without))
        if (head.minorVersion === 1) expect(again.get('te')).toBe(head.takesTrailers ? 'trailers' : undefined)
        if (encode === encodeCarriedRequest) expect(again.names).not.toBeNull()
      }),
      { numRuns: 20_000 },
    )
    expect(taken).toBeGreaterThan(1000)
  })
})
