import { describe, expect, test } from 'vitest'
import { isPreface, PREFACE } from '../../proxy/codec/h2/preface.ts'
import { lookAt } from '../../proxy/listener/first-bytes.ts'

const look = (bytes: Buffer, length = bytes.length) => lookAt(bytes, length, isPreface)

/** Every prefix says `more`, then all say the same. */
function answerOf(bytes: Buffer): string {
  const answers = Array.from({ length: bytes.length + 1 }, (_, length) => look(bytes, length))
  const first = answers.findIndex(answer => answer !== 'more')
  if (first < 0) return 'more'
  expect(new Set(answers.slice(first)), bytes.toString('latin1')).toHaveProperty('size', 1)
  return answers[first]!
}

describe('first bytes, at every split', () => {
  test.each([
    ['GET / HTTP/1.1\r\n', 'http1'],
    ['get / http/1.0\r\n', 'http1'],
    ['\r\n\r\nPOST /x HTTP/1.1\r\n', 'http1'],
    ['PRI * HTTP/1.1\r\n', 'http1'],
    // What breaks the rules is HTTP all the same, and is refused as such.
    ['G@T / HTTP/1.1\r\n', 'http1'],
    [' GET / HTTP/1.1\r\n', 'http1'],
    ['GET\t/\tHTTP/1.1\r\n', 'http1'],
    ['GET\0/ HTTP/1.1\r\n', 'http1'],
    ['GET\r\n', 'http1'],
    ['EHLO example.com\r\n', 'http1'],
    ['{"a": "HTTP/1.1"}\n', 'http1'],
    [PREFACE.toString('latin1'), 'http2'],
    ['*1\r\n$4\r\nPING\r\n', 'tcp'],
    ['PING\r\n', 'tcp'],
    ['{"method":"subscribe"}\n', 'tcp'],
    ['AMQP\0\0\x09\x01', 'tcp'],
    ['\0\0\0\x08\x04\xd2\x16\x2f', 'tcp'],
    ['\x10\x1a\0\x04MQTT', 'tcp'],
    ['\x16\x02\x01\x00\x10', 'tcp'],
    ['\x16\x03\x01\x00\x10\x02', 'tcp'],
    [`${'\r\n'.repeat(1000)}GET / HTTP/1.1\r\n`, 'tcp'],
    [`${'a'.repeat(2000)} HTTP/1.1\r\n`, 'tcp'],
    ['GE', 'more'],
    ['\r\n', 'more'],
    ['{"no": "end"', 'more'],
    ['\x16\x03', 'more'],
  ])('%j: %s', (text, expected) => {
    expect(answerOf(Buffer.from(text, 'latin1'))).toBe(expected)
  })
})
