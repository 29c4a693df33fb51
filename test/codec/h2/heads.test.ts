import { describe, expect, test } from 'vitest'
import { Http1Head } from '../../../proxy/codec/h1/head.ts'
import { parseRequest } from '../../../proxy/codec/h1/parse.ts'
import { writeRequest } from '../../../proxy/codec/h1/serialize.ts'
import { Http2Head } from '../../../proxy/codec/h2/head.ts'
import { encodeRequest } from '../../../proxy/codec/h2/head-writer.ts'
import { Decoder } from '../../../proxy/codec/h2/hpack/decoder.ts'
import { Encoder } from '../../../proxy/codec/h2/hpack/encoder.ts'
import { HeaderList } from '../../../proxy/core/header-list.ts'
import type { RequestHead } from '../../../proxy/core/message.ts'
import { requestLimits } from '../../support/recorder.ts'
import { literals, requestFields } from './support/frames.ts'

function encoded(head: RequestHead): string[] {
  const encoder = new Encoder(Buffer.alloc(10_000), 4096)
  encoder.begin(encoder.out, 0)
  encodeRequest(encoder, head)
  const lines: string[] = []
  new Decoder(4096).decode(encoder.out, 0, encoder.at, {
    field: (name, value, _kind, sensitive) => lines.push(`${name}: ${value}${sensitive ? ' (sensitive)' : ''}`),
  })
  return lines
}

function http1(text: string): Http1Head {
  const head = new Http1Head()
  const bytes = Buffer.from(text, 'latin1')
  parseRequest(head, bytes, bytes.length, requestLimits)
  return head
}

function http2(block: Buffer): Http2Head {
  const head = new Http2Head(requestLimits)
  expect(new Decoder(4096).decode(block, 0, block.length, head)).toBe(true)
  head.finishRequest()
  expect(head.problem).toBe('')
  return head
}

describe('a head of HTTP/1.1 as HTTP/2', () => {
  test('names in lower case, Host as :authority, nothing of one connection only', () => {
    const head = http1(
      'POST /a?b HTTP/1.1\r\nHost: Orders:80\r\nX-A: b\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\nTE: gzip\r\n\r\n',
    )
    expect(encoded(head)).toEqual([':method: POST', ':scheme: http', ':authority: Orders:80', ':path: /a?b', 'x-a: b'])
  })

  test('of TE, trailers stay', () => {
    expect(encoded(http1('GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers;q=1\r\n\r\n'))).toContain('te: trailers')
  })

  test('secrets are marked', () => {
    expect(encoded(http1('GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic x\r\n\r\n'))).toContain(
      'authorization: Basic x (sensitive)',
    )
  })

  test('what a filter set goes along', () => {
    const head = http1('GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1\r\n\r\n')
    head.set('x-request-id', '2')
    expect(encoded(head)).toEqual([':method: GET', ':scheme: http', ':authority: a', ':path: /', 'x-request-id: 2'])
  })
})

describe('a head of HTTP/2', () => {
  test('as HTTP/2: many pieces of a cookie as one, and secrets still secret', () => {
    const crumbs = Array.from({ length: 33 }, (_, i) => ['cookie', `c${i}=${'x'.repeat(20)}`])
    const never = Buffer.concat([Buffer.from([0x10]), literals('s', 't').subarray(1)])
    const head = http2(Buffer.concat([literals(...requestFields('a', 'b', ...crumbs.flat())), never]))
    expect(encoded(head).slice(4)).toEqual([
      'a: b',
      `cookie: ${crumbs.map(([, value]) => value).join('; ')}`,
      's: t (sensitive)',
    ])
  })

  test('as HTTP/2: in order, cookies apart, and secrets still secret', () => {
    const never = Buffer.concat([Buffer.from([0x10, 1]), Buffer.from('s'), Buffer.from([1]), Buffer.from('t')])
    const head = http2(
      Buffer.concat([
        literals(
          ...requestFields(
            'cookie',
            'a=1; long enough to be put in',
            'x',
            'y',
            'cookie',
            'b=2; long enough to be put in',
          ),
        ),
        never,
      ]),
    )
    expect(encoded(head).slice(4)).toEqual([
      'cookie: a=1; long enough to be put in',
      'x: y',
      'cookie: b=2; long enough to be put in',
      's: t (sensitive)',
    ])
  })

  test('as HTTP/1.1: Host first, one Cookie', () => {
    const head = http2(literals(...requestFields('cookie', 'a=1', 'x', 'y', 'cookie', 'b=2')))
    const out = Buffer.alloc(1000)
    const length = writeRequest(head, -3, out)
    expect(out.toString('latin1', 0, length)).toBe('GET / HTTP/1.1\r\nhost: a\r\ncookie: a=1; b=2\r\nx: y\r\n\r\n')
  })

  test('get, set, add and delete', () => {
    const head = http2(literals(...requestFields('a', '1', 'b', '2', 'a', '3')))
    expect(head.get('A')).toBe('1, 3')
    head.set('b', '4')
    head.delete('a')
    expect(head.get('a')).toBeUndefined()
    expect(encoded(head).slice(4)).toEqual(['b: 4'])
    head.add('Set-Cookie', 'c=1')
    head.add('set-cookie', 'd=2')
    expect(encoded(head).slice(4)).toEqual(['b: 4', 'set-cookie: c=1', 'set-cookie: d=2'])
  })

  test('an extended CONNECT keeps what it asks for', () => {
    const head = http2(
      literals(':method', 'CONNECT', ':protocol', 'websocket', ':scheme', 'https', ':path', '/chat', ':authority', 'a'),
    )
    expect(encoded(head)).toEqual([
      ':method: CONNECT',
      ':scheme: https',
      ':authority: a',
      ':path: /chat',
      ':protocol: websocket',
    ])
  })

  test('one that somebody made: a list', () => {
    const head: RequestHead = {
      method: 'CONNECT',
      scheme: 'http',
      authority: 'x:443',
      path: 'x:443',
      upgrade: 'connect',
      headers: new HeaderList(['Proxy-Connection', 'close', 'A', 'b']),
    }
    expect(encoded(head)).toEqual([':method: CONNECT', ':authority: x:443', 'a: b'])
  })
})
