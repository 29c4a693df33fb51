import { describe, expect, test, vi } from 'vitest'
import { http1 } from '../../../proxy/codec/h1/codec.ts'
import { Http1Head } from '../../../proxy/codec/h1/head.ts'
import { DONE, MORE, type Outcome } from '../../../proxy/codec/h1/outcome.ts'
import { type HeadLimits, parseFields, parseRequest, parseResponse } from '../../../proxy/codec/h1/parse.ts'
import { playRequests, playResponse, requestLimits } from '../../support/recorder.ts'

/** A peer that sends a byte at a time must not make the proxy do a head's work once a byte: what is read stays read. */

type Parse = (head: Http1Head, b: Buffer, length: number, limits: HeadLimits) => Outcome

/** How many bytes are looked at when the message comes a byte at a time. */
function looks(parse: Parse, text: string): number {
  const bytes = Buffer.from(text, 'latin1')
  let count = 0
  const watched = new Proxy(bytes, {
    get(target, name) {
      if (typeof name === 'string' && name.charCodeAt(0) < 0x3a) count++
      const value = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  }) as Buffer
  const head = new Http1Head()
  for (let length = 1; length <= bytes.length; length++)
    expect(parse(head, watched, length, requestLimits)).toBe(length === bytes.length ? DONE : MORE)
  return count
}

const many = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: ${'v'.repeat(50)}\r\n`).join('')
const start = 'GET / HTTP/1.1\r\nHost: a\r\n'
const trailers: Parse = (head, b, length, limits) => parseFields(head, b, length, limits, false)

describe('each byte is looked at a few times at most', () => {
  test.each<[string, Parse, string]>([
    ['many fields', parseRequest, `${start}${many(90)}\r\n`],
    ['a long value', parseRequest, `${start}X: ${'v'.repeat(5_000)}\r\n\r\n`],
    ['a long name', parseRequest, `${start}${'n'.repeat(5_000)}: v\r\n\r\n`],
    ['much white space before a value', parseRequest, `${start}X:${' '.repeat(5_000)}v\r\n\r\n`],
    ['much white space after a value', parseRequest, `${start}X: v${' \t'.repeat(2_500)}\r\n\r\n`],
    ['a long target', parseRequest, `GET /${'t'.repeat(5_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
    ['a long reason', parseResponse, `HTTP/1.1 200 ${'r'.repeat(5_000)}\r\n\r\n`],
    ['a long value in a response', parseResponse, `HTTP/1.1 200 OK\r\nX: ${'v'.repeat(5_000)}\r\n\r\n`],
    ['trailers', trailers, `${many(90)}X: ${'v'.repeat(2_500)}\r\n\r\n`],
  ])('%s', (_name, parse, text) => {
    // At the end of the bytes that are there, the next one is asked for a few times more.
    expect(looks(parse, text)).toBeLessThan(30 * text.length)
  })
})

describe('nothing is copied once a byte', () => {
  const aByteAtATime = (text: string) => Array.from(Buffer.from(text, 'latin1'), byte => Buffer.from([byte]))

  /** Bytes that were copied to put pieces together. */
  function copied(play: () => unknown): number {
    let bytes = 0
    const concat = vi.spyOn(Buffer, 'concat').mockImplementation(list => {
      bytes += list.reduce((sum, piece) => sum + piece.length, 0)
      const whole = Buffer.alloc(list.reduce((sum, piece) => sum + piece.length, 0))
      let at = 0
      for (const piece of list) {
        whole.set(piece, at)
        at += piece.length
      }
      return whole
    })
    play()
    concat.mockRestore()
    return bytes
  }

  const long = many(90)
  const chunked = 'Transfer-Encoding: chunked\r\n\r\n'

  test.each<[string, () => unknown]>([
    ['a request head', () => playRequests(http1, aByteAtATime(`${start}${long}\r\n`), false)],
    [
      'request trailers',
      () => playRequests(http1, aByteAtATime(`POST / HTTP/1.1\r\nHost: a\r\n${chunked}0\r\n${long}\r\n`), false),
    ],
    [
      'a response head',
      () => playResponse(http1, 'GET', aByteAtATime(`HTTP/1.1 200 OK\r\n${long}Content-Length: 0\r\n\r\n`), false),
    ],
    [
      'response trailers',
      () => playResponse(http1, 'GET', aByteAtATime(`HTTP/1.1 200 OK\r\n${chunked}0\r\n${long}\r\n`), false),
    ],
  ])('%s', (_name, play) => {
    expect(copied(play)).toBeLessThan(20 * long.length)
  })
})
